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

/// How many users change by one request while the sockets are gone.
const AT_ONCE: usize = 500;

/// The limit of the time until all is right again.
const RIGHT: Duration = Duration::from_secs(5);

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

    let cut_at = Instant::now();
    let cut = control.apply("cut on=now").await?;
    changes.all(AT_ONCE).await?;
    let changed = cut_at.elapsed();
    scene.settle().await;
    let is_live = || scene.board.live() == CROWD.watches();
    scene
        .wait("watches that are not live again", is_live)
        .await?;
    let [right, live] = scene.board.since(cut_at);
    let lost = control.lost().await? - lost_before;
    let requests = control.requests().await?.since(&before);

    let mut figures = Figures::new(NAME);
    let sockets = CROWD.tokens as u64;
    figures.expect("sockets cut", &sockets, &cut, cut == sockets);
    let users = CROWD.users();
    figures.expect(
        "changes since, of which no event came",
        &"some",
        &format!("{lost} of {users}, in {} ms", changed.as_millis()),
        lost > 0,
    );
    let wrong = scene.board.wrong();
    figures.expect(
        "all users right again",
        &format!("in {RIGHT:?}"),
        &format!(
            "{} ms after the cut, without {wrong} users",
            right.as_millis()
        ),
        right <= RIGHT && wrong == 0,
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
