//! A bulk read of 10,000 ids at an upstream that takes its time.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::course::gateway;
use super::series::Series;
use crate::caller::{Caller, Calls, Connections, Questions, Tally, Tokens};
use crate::scenario::Setting;
use crate::scenario::memory::most_resident;
use crate::scenario::table::Figures;
use crate::scenario::vendor::Vendor;

const IDS: usize = 10_000;
const LATENCY: Duration = Duration::from_millis(50);

/// 200 batches of 50, sixteen at a time.
const ROUNDS: u32 = 13;

/// The most that is wanted, of what the upstream alone takes.
const MOST: f64 = 1.1;

/// The most resident memory, in megabytes.
const MEMORY: f64 = 48.0;

/// How many calls are made, one after the other.
const CALLS: usize = 11;

pub(super) async fn run(setting: &Setting) -> Result<Figures, String> {
    let vendor = Vendor::on_one_thread(LATENCY).await?;
    let flags = ["--bulk-concurrency", "16", "--max-bulk-ids", "10000"];
    let gateway = gateway(setting, &vendor, "large", &flags, None).await?;
    let caller = Arc::new(Caller {
        connections: Connections::open(&[gateway.address], 1).await?,
        questions: Questions::bulk(IDS),
        tokens: Tokens::new("token", 1),
        deadline: Duration::from_secs(30),
        tally: Tally::default(),
    });
    let mut took = Series::default();
    for number in 0..=CALLS {
        let begun = Instant::now();
        caller.call(begun).await;
        // The first one opens the connections.
        if number > 0 {
            took.add(begun.elapsed().as_secs_f64() * 1000.0);
        }
    }
    let calls = caller.tally.calls();
    if caller.tally.answered().count() != calls {
        return Err(format!(
            "10,000 ids: not all is answered:\n{}",
            caller.tally
        ));
    }
    let ideal = (LATENCY * ROUNDS).as_secs_f64() * 1000.0;
    let part = took.median() / ideal;
    let most = most_resident(gateway.pid())?;
    gateway.end().await?.complain();
    let mut figures = Figures::of("10,000 ids");
    figures.want(
        "time, of what the upstream takes",
        &format!("≤ {MOST}"),
        &format!("{part:.3}: {} ms of {ideal} ms", took.told(0)),
        part <= MOST,
    );
    figures.want(
        "most resident memory of the gateway",
        &format!("< {MEMORY} MB"),
        &format!("{most:.1} MB"),
        most < MEMORY,
    );
    Ok(figures)
}
