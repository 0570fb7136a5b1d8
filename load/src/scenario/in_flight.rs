//! 10,000 calls in flight.

use std::sync::Arc;
use std::time::Duration;

use super::gateway::Gateway;
use super::table::Figures;
use super::vendor::Vendor;
use super::{ANYWHERE, Setting};
use crate::caller::{Caller, Connections, Questions, Tally, Tokens, closed};

const CALLS: usize = 10_000;
const TIME: Duration = Duration::from_secs(20);

/// An upstream that takes a second has no more calls in flight than the
/// machine can begin in one.
pub(super) const OF_A_SECOND: Case = Case {
    name: "in-flight",
    latency: Duration::from_secs(1),
};

/// One that takes long has all of them at once.
pub(super) const HELD: Case = Case {
    name: "held",
    latency: Duration::from_secs(10),
};

/// Ten times as many as need be for each to stay within its quarter of the places.
const TOKENS: usize = 40;

/// The most resident memory, in megabytes: what it came to, and a tenth more.
/// docs/load.md tells what takes it.
const MEMORY: f64 = 480.0;

/// An upstream that takes so long.
pub(super) struct Case {
    name: &'static str,
    latency: Duration,
}

pub(super) async fn run(setting: &Setting, case: Case) -> Result<Figures, String> {
    let Case { name, latency } = case;
    let vendor = Vendor::start(latency, "").await?;
    // No pacing: each token makes thousands of calls a minute here.
    let flags = [
        "--max-in-flight",
        "10000",
        "--token-requests-per-minute",
        "0",
        "--lame-duck",
        "0s",
    ];
    let gateway = Gateway::start(setting, name, &vendor, ANYWHERE, &flags).await?;
    let before = gateway.resident()?;
    let caller = Arc::new(Caller {
        connections: Connections::open(&[gateway.address], 8).await?,
        questions: Questions::new(0.0),
        tokens: Tokens::new("token", TOKENS),
        deadline: Duration::from_secs(30),
        tally: Tally::default(),
    });
    closed(&caller, CALLS, setting.time(TIME)).await;
    let report = vendor.report().await?;
    let ended = gateway.end().await?;
    println!("{name}:\n{}", caller.tally);

    let mut figures = Figures::of(name);
    let (calls, answered) = (caller.tally.calls(), caller.tally.answered());
    figures.want(
        "calls answered",
        &"all",
        &format!("{} of {calls}", answered.count()),
        calls > 0 && answered.count() == calls,
    );
    let most = ended.most_resident;
    figures.want(
        "most resident memory of the gateway",
        &format!("< {MEMORY} MB"),
        &format!("{most:.1} MB ({before:.1} MB before the first call)"),
        most < MEMORY,
    );
    let figure = "most requests in flight at the upstream";
    figures.tell(figure, &report.most_in_flight);
    let rate = caller.tally.a_second(answered.count());
    figures.tell("answered", &format!("{rate:.0}/s, {answered}"));
    ended.tell(calls, &mut figures);
    Ok(figures)
}
