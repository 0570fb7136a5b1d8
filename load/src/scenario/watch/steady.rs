//! 500 watches of 10,000 users, of whom 1,000 change in a second.

use std::time::Duration;

use super::super::Settings;
use super::super::memory::Resident;
use super::super::proc_stat;
use super::super::table::Figures;
use super::{CROWD, RATE, Scene, Usage};
use crate::caller::{Calls, open_loop};

const NAME: &str = "watch";
const TIME: Duration = Duration::from_secs(600);

/// How many users change by one request before the time begins.
const AT_ONCE: usize = 100;

/// The limits from a change to its message at the caller, in milliseconds.
const MEDIAN: f64 = 5.0;
const P99: f64 = 50.0;

/// The limit of the peak of resident memory, in megabytes, and of its growth, in percent.
const MEMORY: f64 = 96.0;
const GROWTH: f64 = 5.0;

/// The limit of the gateway's cores.
const CORES: f64 = 0.5;

pub(in super::super) async fn run(settings: &Settings) -> Result<Figures, String> {
    let scene = Scene::start(settings, NAME, CROWD).await?;
    let (changes, time) = (scene.changes(), settings.time(TIME));
    let idle = scene.gateway.resident()?;
    // A presence of a notification is larger than one that was read.
    changes.all(AT_ONCE).await?;
    scene.settle().await;
    scene.board.take_latencies();
    let before = Usage::of(&scene)?;
    let (resident, ()) = tokio::join!(
        Resident::watch(&scene.gateway, time),
        open_loop(&changes, RATE, time),
    );
    let [gateway, sandbox, caller] = Usage::of(&scene)?.cores_since(&before);
    scene.settle().await;
    let latencies = scene.board.take_latencies();
    let stats = changes.stats();
    println!("{NAME}, changes posted:\n{stats}");

    let mut figures = Figures::new(NAME);
    let (posted, came) = (stats.calls(), latencies.count());
    let offered = stats.per_second(posted);
    figures.expect(
        "changes",
        &format!("{RATE:.0}/s"),
        &format!("{offered:.0}/s"),
        offered > RATE * 0.99,
    );
    let overtaken = scene.board.overtaken();
    figures.expect(
        "changes that came",
        &"all",
        &format!("{came} of {posted}, {overtaken} replaced by later ones"),
        posted > 0 && came == posted,
    );
    figures.report("from a change to the sandbox's answer", &stats.answered());
    let most = format!("p50 <= {MEDIAN} ms, p99 <= {P99} ms");
    let is_met = latencies.quantile(0.5) <= MEDIAN && latencies.quantile(0.99) <= P99;
    figures.expect("from a change to its message", &most, &latencies, is_met);
    let peak = proc_stat::peak_resident(scene.gateway.pid())?;
    figures.expect(
        "peak resident memory of the gateway",
        &format!("<= {MEMORY} MB"),
        &format!("{peak:.1} MB ({idle:.1} MB before the first change)"),
        peak <= MEMORY,
    );
    resident?.report_thirds(GROWTH, &mut figures);
    figures.expect(
        "cores of the gateway",
        &format!("<= {CORES}"),
        &format!("{gateway:.2}"),
        gateway <= CORES,
    );
    let others = format!("{sandbox:.2} and {caller:.2}");
    figures.report("cores of the sandbox and of the caller", &others);
    let requests = scene.sandbox.control().requests().await?;
    figures.report("requests to the sandbox", &requests);
    scene.end(&mut figures).await?;
    Ok(figures)
}
