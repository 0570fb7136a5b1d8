//! A bulk read of 10,000 ids at an upstream with latency.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Args;
use super::builds::{Build, GATEWAY_FLAGS};
use super::series::Series;
use crate::caller::{Caller, Calls, Connections, Queries, Stats, Tokens};
use crate::scenario::proc_stat::peak_resident;
use crate::scenario::table::Figures;
use crate::scenario::vendor::{Transport, Vendor};

const IDS: usize = 10_000;
const LATENCY: Duration = Duration::from_millis(50);

/// 200 batches of 50, sixteen at a time.
const ROUNDS: u32 = 13;

/// The limit of the time, relative to what the upstream alone takes.
const LIMIT: f64 = 1.04;

/// The limit of the resident memory, in megabytes.
const MEMORY: f64 = 48.0;

/// The number of calls, one after the other.
const CALLS: usize = 11;

pub(super) async fn run(args: &Args) -> Result<Vec<Figures>, String> {
    let mut all = Vec::new();
    for &transport in &args.over {
        all.push(over(transport, args).await?);
    }
    Ok(all)
}

async fn over(transport: Transport, args: &Args) -> Result<Figures, String> {
    let vendor = Vendor::on_one_thread(transport, LATENCY, &args.logs).await?;
    let flags = ["--bulk-concurrency", "16", "--max-bulk-ids", "10000"];
    let flags = [&GATEWAY_FLAGS[..], &flags].concat();
    let gateway = Build::now(args)
        .start("large", &vendor, &flags, None)
        .await?;
    let caller = Arc::new(Caller {
        connections: Connections::open(&[gateway.address], 1).await?,
        queries: Queries::bulk(IDS),
        tokens: Tokens::new("token", 1),
        deadline: Duration::from_secs(30),
        stats: Stats::default(),
    });
    let mut took = Series::default();
    for number in 0..=CALLS {
        let begun = Instant::now();
        caller.call(begun).await;
        // The first call opens the connections.
        if number > 0 {
            took.add(begun.elapsed().as_secs_f64() * 1000.0);
        }
    }
    let calls = caller.stats.calls();
    if caller.stats.answered().count() != calls {
        return Err(format!("10,000 ids: some calls failed:\n{}", caller.stats));
    }
    let ideal = (LATENCY * ROUNDS).as_secs_f64() * 1000.0;
    let part = took.median() / ideal;
    let most = peak_resident(gateway.pid())?;
    gateway.end().await?.print_warnings();
    let mut figures = Figures::new(transport.name("10,000 ids"));
    figures.expect(
        "time, of what the upstream takes",
        &format!("≤ {LIMIT}"),
        &format!("{part:.3}: {} ms of {ideal} ms", took.summary(0)),
        part <= LIMIT,
    );
    figures.expect(
        "peak resident memory of the gateway",
        &format!("< {MEMORY} MB"),
        &format!("{most:.1} MB"),
        most < MEMORY,
    );
    let connections = vendor.report().await?.connections();
    figures.report("connections at the upstream", &connections);
    Ok(figures)
}
