//! A watch that is not read for a minute, among 500.

use std::time::Duration;

use tokio::time::Instant;

use super::super::Settings;
use super::super::table::Figures;
use super::{CROWD, RATE, Scene};
use crate::caller::{Calls, open_loop};

const NAME: &str = "watch-stopped";

/// The time before, and the time in which it is not read.
const TIME: Duration = Duration::from_secs(60);

/// The limit of the latency that it adds to the others, in milliseconds.
const ADDED: f64 = 5.0;

pub(in super::super) async fn run(settings: &Settings) -> Result<Figures, String> {
    let scene = Scene::start(settings, NAME, CROWD).await?;
    let board = &scene.board;
    board.leave_out(0..CROWD.users_of_watch);
    let (changes, time) = (scene.changes(), settings.time(TIME));
    open_loop(&changes, RATE, time).await;
    scene.settle().await;
    let before = board.take_latencies();
    let answers = changes.stats().answered();

    let read = board.messages(0);
    scene.stop.send_replace(true);
    open_loop(&changes, RATE, time).await;
    let during = board.take_latencies();
    let answers_during = changes.stats().answered().since(&answers);
    let (unread, overtaken) = (board.messages(0) - read, board.overtaken());
    let behind = board.wrong_of(0..CROWD.users_of_watch);
    let resumed = Instant::now();
    scene.stop.send_replace(false);
    scene.settle().await;
    let [right, _] = board.since(resumed);
    let after = board.messages(0) - read - unread;

    let mut figures = Figures::new(NAME);
    figures.report("changes of the other watches, before", &before);
    figures.report("the same, while one is not read", &during);
    // What else runs on the machine delays the sandbox's answers as well.
    let figure = "the sandbox's own answers, before";
    figures.report(figure, &answers);
    figures.report("the same, meanwhile", &answers_during);
    let added = during.quantile(0.99) - before.quantile(0.99);
    figures.expect(
        "latency that it adds to the others, p99",
        &format!("<= {ADDED} ms"),
        &format!("{added:.2} ms"),
        added <= ADDED && during.count() > 0,
    );
    figures.expect(
        "changes of the others that did not come before the next one",
        &0,
        &overtaken,
        overtaken == 0,
    );
    let of = CROWD.users_of_watch;
    let not_read = format!("{behind} of {of} users behind when it was read again");
    figures.report("the watch that is not read", &not_read);
    let right = right.as_secs_f64() * 1000.0;
    let read = format!("{right:.1} ms and {after} presences");
    figures.report("the same, until it is right", &read);
    scene.end(&mut figures).await?;
    Ok(figures)
}
