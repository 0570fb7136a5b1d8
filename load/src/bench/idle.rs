//! Client connections that have made a call and wait.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::Args;
use super::builds::{Build, GATEWAY_FLAGS, OfBuilds, in_turn};
use super::collector::Collector;
use crate::caller::{Caller, Connections, Queries, Stats, Tokens, counted_loop};
use crate::scenario::proc_stat::open_files;
use crate::scenario::table::Figures;
use crate::scenario::vendor::{Transport, Vendor};

/// The connections: somewhat fewer than the gateway's limit, from which on it
/// closes idle ones.
const CONNECTIONS: usize = 4000;

/// How many make their call at once.
const AT_ONCE: usize = 16;

/// The number of tokens.
const TOKENS: usize = 64;

/// How long they wait until the memory is measured.
const WAIT: Duration = Duration::from_secs(2);

/// The limit of resident memory, relative to the build of before.
const MAX_RATIO: f64 = 0.7;

/// The resident memory of a gateway, in megabytes.
struct Resident {
    before: f64,
    with_connections: f64,
}

pub(super) async fn run(args: &Args) -> Result<Vec<Figures>, String> {
    let collector = Collector::start().await?;
    let builds = Build::all(args);
    let (mut all, mut of_each) = (OfBuilds::new(&builds), OfBuilds::new(&builds));
    for round in 0..args.few_rounds() {
        for at in in_turn(round, builds.len()) {
            let resident = one(&builds[at], &collector).await?;
            let connections = resident.with_connections - resident.before;
            all.add(at, resident.with_connections);
            of_each.add(at, connections * 1000.0 / CONNECTIONS as f64);
        }
    }
    let mut figures = Figures::new("4,000 idle connections");
    let figure = "resident memory";
    all.compare(figure, (1, "MB"), Some(MAX_RATIO), &mut figures);
    of_each.report("the same for each connection", (2, "KB"), &mut figures);
    Ok(vec![figures])
}

async fn one(build: &Build, collector: &Collector) -> Result<Resident, String> {
    let vendor =
        Vendor::on_one_thread(Transport::Plain, Duration::ZERO, &build.settings.logs).await?;
    let gateway = build
        .start("idle", &vendor, &GATEWAY_FLAGS, Some(collector))
        .await?;
    let before = gateway.resident()?;
    let caller = Arc::new(Caller {
        connections: Connections::open(&[gateway.address], CONNECTIONS).await?,
        queries: Queries::new(0.0),
        tokens: Tokens::new("token", TOKENS),
        deadline: Duration::from_secs(10),
        stats: Stats::default(),
    });
    // Each call takes the next connection.
    counted_loop(&caller, AT_ONCE, CONNECTIONS / AT_ONCE).await;
    if caller.stats.answered().count() != CONNECTIONS as u64 {
        return Err(format!(
            "{}: some calls failed:\n{}",
            build.name, caller.stats
        ));
    }
    sleep(WAIT).await;
    let with_connections = gateway.resident()?;
    let open = open_files(gateway.pid())?;
    if open < CONNECTIONS {
        return Err(format!(
            "{} has closed connections: {open} are open",
            build.name
        ));
    }
    drop(caller);
    gateway.end().await?.print_warnings();
    Ok(Resident {
        before,
        with_connections,
    })
}
