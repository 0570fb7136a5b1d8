//! The requests to the vendor that 1,000 watched users cost, of whom 10 change in a second.

use std::time::Duration;

use tokio::time::sleep;

use super::super::Settings;
use super::super::table::Figures;
use super::{Crowd, Scene};
use crate::caller::{Calls, open_loop};

const NAME: &str = "watch-requests";
const TIME: Duration = Duration::from_secs(600);

const CROWD: Crowd = Crowd {
    tokens: 1,
    watches_of_token: 20,
    users_of_watch: 50,
};
const RATE: f64 = 10.0;

/// The limit of requests in an hour.
const REQUESTS: f64 = 60.0;

const HOUR: Duration = Duration::from_secs(3600);

/// The latest that all users are read again without a gap: the hour and a tenth.
const REREAD: Duration = Duration::from_secs(3960);

/// The users of a bulk read.
const BATCH: usize = 50;

pub(in super::super) async fn run(settings: &Settings) -> Result<Figures, String> {
    let scene = Scene::start(settings, NAME, CROWD).await?;
    // A read for the sake of the first topics may follow.
    sleep(Duration::from_secs(1)).await;
    let control = scene.sandbox.control();
    let begun = control.requests().await?;
    let begin = begun.count();
    let (changes, time) = (scene.changes(), settings.time(TIME));
    open_loop(&changes, RATE, time).await;
    scene.settle().await;
    let latencies = scene.board.take_latencies();
    let posted = changes.stats().calls();
    let later = control.requests().await?.since(&begun);

    let mut figures = Figures::new(NAME);
    let came = latencies.count();
    figures.expect(
        "changes that came",
        &"all",
        &format!("{came} of {posted}, {latencies}"),
        posted > 0 && came == posted,
    );
    figures.report("requests until all watches are live", &begun);
    let minutes = time.as_secs_f64() / 60.0;
    let figure = format!("requests in the {minutes:.1} minutes after it");
    figures.report(&figure, &later);
    // A run of an hour has the read of each hour; to a shorter one it is added.
    let (reread, others) = if time >= REREAD {
        (0, later.count() as f64)
    } else {
        let rate = later.count() as f64 / time.as_secs_f64();
        let others = (rate * HOUR.as_secs_f64()).ceil();
        (CROWD.users() / BATCH, others)
    };
    let of_hour = (begin + reread) as f64 + others;
    let rejected = later.rejected;
    figures.expect(
        "requests in the first hour",
        &format!("<= {REQUESTS}"),
        &format!(
            "{of_hour}: {begin} to begin, {others} after it, {reread} added for the hourly read"
        ),
        of_hour <= REQUESTS,
    );
    figures.expect("requests with 429", &0, &rejected, rejected == 0);
    scene.end(&mut figures).await?;
    Ok(figures)
}
