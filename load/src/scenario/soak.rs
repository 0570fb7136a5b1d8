//! Ten minutes at half the capacity, with faults and restarts.

mod memory;
mod restarts;

use std::sync::Arc;
use std::time::Duration;

use super::gateway::Gateway;
use super::table::Figures;
use super::vendor::Vendor;
use super::{ANYWHERE, Setting};
use crate::caller::{Caller, Connections, Questions, Tally, Tokens, open};
use memory::Resident;
use restarts::Restarts;

const NAME: &str = "soak";
const LATENCY: Duration = Duration::from_secs(1);
const TIME: Duration = Duration::from_secs(600);

/// What goes wrong at the upstream: one request in twenty meets something.
const FAULTS: &str = "503=0.01,429=0.01,cut=0.005,break=0.005,drip=0.01,delay=0.01";

/// The part of the calls that are bulk reads, which are two requests.
const BULK: f64 = 0.05;

/// Half of what two gateways have places for, each of which serves a call a
/// second. This many of them are greedy tokens' calls.
const RATE: f64 = 1024.0;
const GREEDY_RATE: f64 = 60.0;

/// So many tokens ask some 60 times a minute, and so many 900 times.
const MODEST: usize = 1000;
const GREEDY: usize = 4;

/// What the vendor allows a token in a minute; each gateway has half of it.
const BUDGET: usize = 300;

/// How much more memory the last tenth of the time may need than the second.
const GROWTH: f64 = 10.0;

pub(super) async fn run(setting: &Setting) -> Result<Figures, String> {
    let vendor = Vendor::start(LATENCY, FAULTS).await?;
    let half = (BUDGET / 2).to_string();
    let flags = ["--token-requests-per-minute", &half];
    let steady = Gateway::start(setting, "steady", &vendor, ANYWHERE, &flags).await?;
    let other = Gateway::start(setting, "restarted-0", &vendor, ANYWHERE, &flags).await?;
    let connections = Connections::open(&[steady.address, other.address], 4).await?;
    let caller = |name, tokens| {
        Arc::new(Caller {
            connections: Arc::clone(&connections),
            questions: Questions::new(BULK),
            tokens: Tokens::new(name, tokens),
            deadline: Duration::from_secs(5),
            tally: Tally::default(),
        })
    };
    let (modest, greedy) = (caller("modest", MODEST), caller("greedy", GREEDY));
    let time = setting.time(TIME);
    let restarts = Restarts {
        setting,
        vendor: &vendor,
        flags: &flags,
    };
    let (resident, ended, (), ()) = tokio::join!(
        Resident::watch(&steady, time),
        restarts.go_on(other, time),
        open(&modest, RATE - GREEDY_RATE, time),
        open(&greedy, GREEDY_RATE, time),
    );
    let (resident, mut ended) = (resident?, ended?);
    let report = vendor.report().await?;
    ended.push(steady.end().await?);
    println!("{NAME}, modest tokens:\n{}", modest.tally);
    println!("{NAME}, greedy tokens:\n{}", greedy.tally);

    let mut figures = Figures::of(NAME);
    let both = [&modest.tally, &greedy.tally];
    let sum = |count: fn(&Tally) -> u64| both.map(count).iter().sum::<u64>();
    let (calls, lost, wrong) = (sum(Tally::calls), sum(Tally::lost), sum(Tally::wrong));
    let requests = report.requests;
    let measured = format!("{calls}, which were {requests} requests to the upstream");
    figures.tell("calls", &measured);
    figures.want("calls without a status", &0, &lost, lost == 0);
    figures.want("answers to another question", &0, &wrong, wrong == 0);
    for (figure, tally) in ["modest tokens, answered", "greedy tokens, answered"]
        .into_iter()
        .zip(both)
    {
        let answered = tally.answered();
        let rate = tally.a_second(answered.count());
        let part = answered.count() as f64 * 100.0 / tally.calls() as f64;
        figures.tell(figure, &format!("{part:.2} %, {rate:.0}/s, {answered}"));
    }
    resident.tell(&mut figures);
    for (figure, budget, most) in [
        (
            "one token's requests through one process in any 60 s",
            BUDGET / 2,
            &report.most_of_sender,
        ),
        (
            "one token's requests in any 60 s",
            BUDGET,
            &report.most_of_token,
        ),
    ] {
        let most = most.first().copied().unwrap_or_default();
        figures.want(figure, &format!("<= {budget}"), &most, most <= budget);
    }
    let faults = report.faults.iter();
    let faults: Vec<_> = faults
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    figures.tell("faults", &faults.join(", "));
    let (clean, all) = (
        ended.iter().filter(|ended| ended.is_clean()).count(),
        ended.len(),
    );
    figures.want(
        "ends by SIGTERM with exit code 0",
        &"all",
        &format!("{clean} of {all}"),
        clean == all,
    );
    for ended in &ended {
        ended.complain();
    }
    Ok(figures)
}
