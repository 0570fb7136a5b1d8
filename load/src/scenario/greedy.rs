//! One greedy token in a crowd of modest ones.

use std::sync::Arc;
use std::time::Duration;

use super::gateway::Gateway;
use super::table::Figures;
use super::vendor::Vendor;
use super::{ANYWHERE, Settings};
use crate::caller::{Caller, Connections, Queries, Stats, Tokens, open_loop};

const NAME: &str = "greedy";
const LATENCY: Duration = Duration::from_millis(100);

/// The time of each phase: the crowd alone, then beside the greedy token.
const TIME: Duration = Duration::from_secs(30);

/// The crowd: each of its tokens makes 90 calls per minute.
const MODEST: usize = 200;
const MODEST_RATE: f64 = 300.0;

/// The greedy token would use a minute's budget in less than a second.
const GREEDY_RATE: f64 = 1000.0;

/// The limits of the crowd's added latency, in milliseconds: the machine has
/// more to do, and nothing else.
const MEDIAN: f64 = 2.0;
const GRACE: f64 = 10.0;

pub(super) async fn run(settings: &Settings) -> Result<Figures, String> {
    let vendor = Vendor::start(LATENCY, "").await?;
    let flags = ["--lame-duck", "0s"];
    let gateway = Gateway::start(settings, NAME, &vendor, ANYWHERE, &flags).await?;
    let caller = async |name, tokens| {
        Ok::<_, String>(Arc::new(Caller {
            connections: Connections::open(&[gateway.address], 8).await?,
            queries: Queries::new(0.0),
            tokens: Tokens::new(name, tokens),
            deadline: Duration::from_secs(10),
            stats: Stats::default(),
        }))
    };
    let alone = caller("modest", MODEST).await?;
    let crowded = caller("crowded", MODEST).await?;
    let greedy = caller("greedy", 1).await?;
    let time = settings.time(TIME);
    open_loop(&alone, MODEST_RATE, time).await;
    tokio::join!(
        open_loop(&crowded, MODEST_RATE, time),
        open_loop(&greedy, GREEDY_RATE, time),
    );
    let exit = gateway.end().await?;
    println!("{NAME}, modest tokens beside it:\n{}", crowded.stats);
    println!("{NAME}, the greedy token:\n{}", greedy.stats);

    let mut figures = Figures::new(NAME);
    let (before, after) = (alone.stats.answered(), crowded.stats.answered());
    let unanswered = crowded.stats.calls() - after.count();
    figures.report("modest tokens, alone", &before);
    figures.report("modest tokens, beside the greedy one", &after);
    figures.expect(
        "modest calls not answered",
        &0,
        &unanswered,
        unanswered == 0,
    );
    for (part, name, most) in [(0.5, "p50", MEDIAN), (0.99, "p99", GRACE)] {
        let moved = after.quantile(part) - before.quantile(part);
        figures.expect(
            &format!("added latency, {name}"),
            &format!("< {most} ms"),
            &format!("{moved:.1} ms"),
            moved < most,
        );
    }
    let rate = greedy.stats.per_second(greedy.stats.answered().count());
    let refused = greedy.stats.calls() - greedy.stats.answered().count();
    let outcome = format!("{rate:.0}/s answered, {refused} refused");
    figures.report("greedy token", &outcome);
    exit.report(
        alone.stats.calls() + crowded.stats.calls() + greedy.stats.calls(),
        &mut figures,
    );
    Ok(figures)
}
