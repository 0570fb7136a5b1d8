//! 10,000 calls in flight.

use std::sync::Arc;
use std::time::Duration;

use super::gateway::Gateway;
use super::table::Figures;
use super::vendor::Vendor;
use super::{ANYWHERE, Settings};
use crate::caller::{Caller, Connections, Queries, Stats, Tokens, closed_loop};

const CALLS: usize = 10_000;
const TIME: Duration = Duration::from_secs(20);

/// With a latency of one second, the upstream never has more calls in flight
/// than the machine can start in a second.
pub(super) const OF_A_SECOND: Case = Case {
    name: "in-flight",
    latency: Duration::from_secs(1),
};

/// With a latency of ten seconds, the upstream has all of them at once.
pub(super) const HELD: Case = Case {
    name: "held",
    latency: Duration::from_secs(10),
};

/// Ten times as many as needed for each to stay within its share of permits.
const TOKENS: usize = 40;

/// The peak resident memory, in megabytes: the measured one and a tenth more.
/// docs/load.md explains it.
const MEMORY: f64 = 480.0;

/// A case with its latency.
pub(super) struct Case {
    name: &'static str,
    latency: Duration,
}

pub(super) async fn run(settings: &Settings, case: Case) -> Result<Figures, String> {
    let Case { name, latency } = case;
    let vendor = Vendor::start(latency, "").await?;
    // No rate limit: each token makes thousands of calls a minute.
    let flags = [
        "--max-in-flight",
        "10000",
        "--token-requests-per-minute",
        "0",
        "--lame-duck",
        "0s",
    ];
    let gateway = Gateway::start(settings, name, &vendor, ANYWHERE, &flags).await?;
    let before = gateway.resident()?;
    let caller = Arc::new(Caller {
        connections: Connections::open(&[gateway.address], 8).await?,
        queries: Queries::new(0.0),
        tokens: Tokens::new("token", TOKENS),
        deadline: Duration::from_secs(30),
        stats: Stats::default(),
    });
    closed_loop(&caller, CALLS, settings.time(TIME)).await;
    let report = vendor.report().await?;
    let exit = gateway.end().await?;
    println!("{name}:\n{}", caller.stats);

    let mut figures = Figures::new(name);
    let (calls, answered) = (caller.stats.calls(), caller.stats.answered());
    figures.expect(
        "calls answered",
        &"all",
        &format!("{} of {calls}", answered.count()),
        calls > 0 && answered.count() == calls,
    );
    let most = exit.peak_resident;
    figures.expect(
        "peak resident memory of the gateway",
        &format!("< {MEMORY} MB"),
        &format!("{most:.1} MB ({before:.1} MB before the first call)"),
        most < MEMORY,
    );
    let figure = "peak of requests in flight at the upstream";
    figures.report(figure, &report.peak_in_flight);
    let rate = caller.stats.per_second(answered.count());
    figures.report("answered", &format!("{rate:.0}/s, {answered}"));
    exit.report(calls, &mut figures);
    Ok(figures)
}
