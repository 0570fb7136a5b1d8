//! Load of twice the capacity.

use std::sync::Arc;
use std::time::Duration;

use super::gateway::Gateway;
use super::table::Figures;
use super::vendor::Vendor;
use super::{ANYWHERE, Settings};
use crate::caller::{Caller, Connections, Queries, Stats, Tokens, open_loop};

const NAME: &str = "overload";
const LATENCY: Duration = Duration::from_secs(1);
const TIME: Duration = Duration::from_secs(60);

/// Twice the default concurrency limit, with calls of one second.
const RATE: f64 = 2.0 * 1024.0;

const TOKENS: usize = 64;

/// The p99 of shed calls, in milliseconds.
const SHED: f64 = 50.0;

pub(super) async fn run(settings: &Settings) -> Result<Figures, String> {
    let vendor = Vendor::start(LATENCY, "").await?;
    // Without the rate limiter, so that only permits are short.
    let flags = ["--token-requests-per-minute", "0", "--lame-duck", "0s"];
    let gateway = Gateway::start(settings, NAME, &vendor, ANYWHERE, &flags).await?;
    let caller = Arc::new(Caller {
        connections: Connections::open(&[gateway.address], 8).await?,
        queries: Queries::new(0.0),
        tokens: Tokens::new("token", TOKENS),
        deadline: Duration::from_secs(10),
        stats: Stats::default(),
    });
    open_loop(&caller, RATE, settings.time(TIME)).await;
    let exit = gateway.end().await?;
    println!("{NAME}:\n{}", caller.stats);

    let mut figures = Figures::new(NAME);
    let stats = &caller.stats;
    let (calls, lost) = (stats.calls(), stats.lost());
    let (answered, shed) = (stats.answered(), stats.shed());
    // A caller that cannot keep up would measure an easier scenario.
    let offered = stats.per_second(calls);
    figures.expect(
        "offered",
        &format!("{RATE:.0}/s"),
        &format!("{offered:.0}/s"),
        offered > RATE * 0.99,
    );
    figures.expect("calls without a status", &0, &lost, lost == 0);
    let others = calls - answered.count() - shed.count() - lost;
    figures.expect("calls that failed otherwise", &0, &others, others == 0);
    let rate = stats.per_second(answered.count());
    figures.report("accepted", &format!("{rate:.0}/s, {answered}"));
    let rate = stats.per_second(shed.count());
    figures.expect(
        "shed",
        &format!("p99 < {SHED} ms"),
        &format!("{rate:.0}/s, {shed}"),
        shed.count() > 0 && shed.quantile(0.99) < SHED,
    );
    let most = exit.peak_resident;
    let figure = "peak resident memory of the gateway";
    figures.report(figure, &format!("{most:.1} MB"));
    exit.report(calls, &mut figures);
    Ok(figures)
}
