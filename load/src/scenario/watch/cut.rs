//! All sockets of the watches cut at once.

use std::time::Duration;

use tokio::time::Instant;

use super::super::Settings;
use super::super::table::Figures;
use super::sandbox::BULK_READ;
use super::{CROWD, RATE, Scene};
use crate::caller::open_loop;

const NAME: &str = "watch-cut";

/// How long users change before the cut.
const TIME: Duration = Duration::from_secs(20);

/// How long they go on to change after it.
const AFTER: Duration = Duration::from_secs(5);

/// How many users change by one request while the sockets are gone.
const AT_ONCE: usize = 500;

/// The limit of the time until a user is right again, in milliseconds.
const RIGHT: f64 = 5000.0;

/// The limit of bulk reads for each 100 users.
const READS: usize = 2;

pub(in super::super) async fn run(settings: &Settings) -> Result<Figures, String> {
    let scene = Scene::start(settings, NAME, CROWD).await?;
    let changes = scene.changes();
    open_loop(&changes, RATE, settings.time(TIME)).await;
    scene.settle().await;
    let control = scene.sandbox.control();
    let before = control.requests().await?;
    let lost_before = control.lost().await?;
    scene.board.take_latencies();

    let cut_at = Instant::now();
    let cut = control.apply("cut on=now").await?;
    changes.all(AT_ONCE).await?;
    let changed = cut_at.elapsed();
    open_loop(&changes, RATE, AFTER).await;
    scene.settle().await;
    let is_live = || scene.board.live() == CROWD.watches();
    scene
        .wait("watches that are not live again", is_live)
        .await?;
    let [_, live] = scene.board.since(cut_at);
    let right = scene.board.take_latencies();
    let lost = control.lost().await? - lost_before;
    let requests = control.requests().await?.since(&before);

    let mut figures = Figures::new(NAME);
    let sockets = CROWD.tokens as u64;
    figures.expect("sockets cut", &sockets, &cut, cut == sockets);
    let users = CROWD.users();
    figures.expect(
        "events lost while the sockets were gone",
        &"some",
        &format!(
            "{lost}; all {users} users changed in {} ms",
            changed.as_millis()
        ),
        lost > 0,
    );
    let wrong = scene.board.wrong();
    figures.expect(
        "from a change after the cut to its message, or that of a later one",
        &format!("all, max <= {RIGHT} ms"),
        &format!("{right}; {wrong} users never"),
        right.quantile(1.0) <= RIGHT && wrong == 0,
    );
    let live = format!("{} ms after the cut", live.as_millis());
    figures.report("all watches live again", &live);
    let (reads, most) = (requests.of(BULK_READ), users * READS / 100);
    let limit = format!("<= {most}");
    figures.expect("bulk reads", &limit, &reads, reads <= most);
    figures.report("all requests to the sandbox", &requests);
    let rejected = requests.rejected;
    figures.expect("requests with 429", &0, &rejected, rejected == 0);
    scene.end(&mut figures).await?;
    Ok(figures)
}
