//! 10,000 calls in flight.

use std::sync::Arc;
use std::time::Duration;

use super::gateway::{Exit, Gateway};
use super::table::Figures;
use super::vendor::{Transport, Vendor};
use super::{ANYWHERE, Settings};
use crate::caller::{Caller, Connections, Queries, Stats, Tokens, closed_loop};
use crate::upstream::Report;

pub(crate) const CALLS: usize = 10_000;
pub(crate) const TIME: Duration = Duration::from_secs(20);

/// With a latency of one second, the upstream never has more calls in flight
/// than the machine can start in a second.
pub(crate) const OF_A_SECOND: Case = Case {
    name: "in-flight",
    latency: Duration::from_secs(1),
    transport: Transport::Plain,
};

/// With a latency of ten seconds, the upstream has all of them at once.
pub(crate) const HELD: Case = Case {
    name: "held",
    latency: Duration::from_secs(10),
    transport: Transport::Plain,
};

/// Ten times as many as needed for each to stay within its share of permits.
const TOKENS: usize = 40;

/// The peak resident memory, in megabytes: the measured one and a tenth more.
/// docs/load.md explains it.
const MEMORY: f64 = 480.0;

/// A case with the vendor's latency and transport.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub name: &'static str,
    pub latency: Duration,
    pub transport: Transport,
}

impl Case {
    /// The case over another transport.
    pub(crate) const fn over(self, transport: Transport) -> Self {
        Self { transport, ..self }
    }

    /// Its name in the table.
    pub(crate) fn title(&self) -> String {
        self.transport.name(self.name)
    }
}

/// A gateway that had calls in flight.
#[derive(Debug)]
pub(crate) struct Held {
    /// The statistics of the calls.
    pub stats: Stats,
    /// The counts of the upstream.
    pub report: Report,
    /// How the gateway ended.
    pub exit: Exit,
    /// Its resident memory before the first call, in megabytes.
    pub idle: f64,
}

pub(super) async fn run(settings: &Settings, case: Case) -> Result<Figures, String> {
    let Case { name, latency, .. } = case;
    let vendor = Vendor::over(case.transport, latency, &settings.logs).await?;
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
    let held = hold(gateway, &vendor, CALLS, settings.time(TIME)).await?;
    let title = case.title();
    println!("{title}:\n{}", held.stats);

    let mut figures = Figures::new(title);
    let (calls, answered) = (held.stats.calls(), held.stats.answered());
    figures.expect(
        "calls answered",
        &"all",
        &format!("{} of {calls}", answered.count()),
        calls > 0 && answered.count() == calls,
    );
    let (most, idle) = (held.exit.peak_resident, held.idle);
    figures.expect(
        "peak resident memory of the gateway",
        &format!("< {MEMORY} MB"),
        &format!("{most:.1} MB ({idle:.1} MB before the first call)"),
        most < MEMORY,
    );
    let figure = "peak of requests in flight at the upstream";
    figures.report(figure, &held.report.peak_in_flight);
    let figure = "connections at the upstream";
    figures.report(figure, &held.report.connections());
    let rate = held.stats.per_second(answered.count());
    figures.report("answered", &format!("{rate:.0}/s, {answered}"));
    held.exit.report(calls, &mut figures);
    Ok(figures)
}

/// Keeps `calls` calls in flight in a gateway for `time`, and ends it.
pub(crate) async fn hold(
    gateway: Gateway,
    vendor: &Vendor,
    calls: usize,
    time: Duration,
) -> Result<Held, String> {
    let idle = gateway.resident()?;
    let caller = Arc::new(Caller {
        connections: Connections::open(&[gateway.address], 8).await?,
        queries: Queries::new(0.0),
        tokens: Tokens::new("token", TOKENS),
        deadline: Duration::from_secs(30),
        stats: Stats::default(),
    });
    closed_loop(&caller, calls, time).await;
    let report = vendor.report().await?;
    let exit = gateway.end().await?;
    let caller = Arc::into_inner(caller).ok_or("a call is still running")?;
    Ok(Held {
        stats: caller.stats,
        report,
        exit,
        idle,
    })
}
