//! Ten minutes at half the capacity, with faults and restarts.

mod restarts;

use std::sync::Arc;
use std::time::Duration;

use super::gateway::Gateway;
use super::memory::Resident;
use super::table::Figures;
use super::vendor::Vendor;
use super::{ANYWHERE, Settings};
use crate::caller::{Caller, Connections, Queries, Stats, Tokens, open_loop};
use restarts::Restarts;

const NAME: &str = "soak";
const LATENCY: Duration = Duration::from_secs(1);
const TIME: Duration = Duration::from_secs(600);

/// The injected faults: one request in twenty.
const FAULTS: &str = "503=0.01,429=0.01,cut=0.005,break=0.005,drip=0.01,delay=0.01";

/// The fraction of bulk reads, which are two requests each.
const BULK: f64 = 0.05;

/// Half the concurrency limit of two gateways, with calls of one second; of
/// these, the calls of greedy tokens.
const RATE: f64 = 1024.0;
const GREEDY_RATE: f64 = 60.0;

/// The modest tokens make about 60 calls per minute each, the greedy ones 900.
const MODEST: usize = 1000;
const GREEDY: usize = 4;

/// The vendor's limit per token and minute; each gateway has half of it.
const BUDGET: usize = 300;

/// The limit of memory growth from the second tenth to the last, in percent.
const GROWTH: f64 = 10.0;

pub(super) async fn run(settings: &Settings) -> Result<Figures, String> {
    let vendor = Vendor::start(LATENCY, FAULTS).await?;
    let half = (BUDGET / 2).to_string();
    let flags = ["--token-requests-per-minute", &half];
    let steady = Gateway::start(settings, "steady", &vendor, ANYWHERE, &flags).await?;
    let other = Gateway::start(settings, "restarted-0", &vendor, ANYWHERE, &flags).await?;
    let connections = Connections::open(&[steady.address, other.address], 4).await?;
    let caller = |name, tokens| {
        Arc::new(Caller {
            connections: Arc::clone(&connections),
            queries: Queries::new(BULK),
            tokens: Tokens::new(name, tokens),
            deadline: Duration::from_secs(5),
            stats: Stats::default(),
        })
    };
    let (modest, greedy) = (caller("modest", MODEST), caller("greedy", GREEDY));
    let time = settings.time(TIME);
    let restarts = Restarts {
        settings,
        vendor: &vendor,
        flags: &flags,
    };
    let (resident, ended, (), ()) = tokio::join!(
        Resident::watch(&steady, time),
        restarts.run(other, time),
        open_loop(&modest, RATE - GREEDY_RATE, time),
        open_loop(&greedy, GREEDY_RATE, time),
    );
    let (resident, mut ended) = (resident?, ended?);
    let report = vendor.report().await?;
    ended.push(steady.end().await?);
    println!("{NAME}, modest tokens:\n{}", modest.stats);
    println!("{NAME}, greedy tokens:\n{}", greedy.stats);

    let mut figures = Figures::new(NAME);
    let both = [&modest.stats, &greedy.stats];
    let sum = |count: fn(&Stats) -> u64| both.map(count).iter().sum::<u64>();
    let (calls, lost, wrong) = (sum(Stats::calls), sum(Stats::lost), sum(Stats::wrong));
    let requests = report.requests;
    let measured = format!("{calls}, which were {requests} requests to the upstream");
    figures.report("calls", &measured);
    figures.expect("calls without a status", &0, &lost, lost == 0);
    figures.expect("responses to another query", &0, &wrong, wrong == 0);
    for (figure, stats) in ["modest tokens, answered", "greedy tokens, answered"]
        .into_iter()
        .zip(both)
    {
        let answered = stats.answered();
        let rate = stats.per_second(answered.count());
        let part = answered.count() as f64 * 100.0 / stats.calls() as f64;
        figures.report(figure, &format!("{part:.2} %, {rate:.0}/s, {answered}"));
    }
    resident.report(GROWTH, &mut figures);
    let most = |of: &[usize]| of.first().copied().unwrap_or_default();
    let (of_process, of_all) = (most(&report.peak_per_sender), most(&report.peak_per_token));
    figures.expect(
        "peak requests of one token by one process in any 60 s",
        &format!("<= {half}"),
        &of_process,
        of_process <= BUDGET / 2,
    );
    // A new process knows nothing of earlier requests.
    figures.report(
        "peak requests of one token by all processes, old and new, in any 60 s",
        &of_all,
    );
    let faults = report.faults.iter();
    let faults: Vec<_> = faults
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    figures.report("faults", &faults.join(", "));
    let (clean, all) = (
        ended.iter().filter(|ended| ended.is_success()).count(),
        ended.len(),
    );
    figures.expect(
        "ends by SIGTERM with exit code 0",
        &"all",
        &format!("{clean} of {all}"),
        clean == all,
    );
    for ended in &ended {
        ended.print_warnings();
    }
    Ok(figures)
}
