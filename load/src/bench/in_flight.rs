//! 10,000 calls in flight: the scenarios of `load/run`, by all builds in turn.

use std::time::Duration;

use super::Args;
use super::builds::{Build, GATEWAY_FLAGS, OfBuilds, in_turn};
use super::collector::Collector;
use crate::scenario::in_flight::{CALLS, Case, HELD, Held, OF_A_SECOND, TIME, hold};
use crate::scenario::table::Figures;
use crate::scenario::vendor::{Transport, Vendor};

/// The limit of resident memory, relative to the build of before: over TLS, as the vendor
/// is reached.
const MAX_RATIO: f64 = 0.55;

pub(super) async fn run(args: &Args) -> Result<Vec<Figures>, String> {
    let collector = Collector::start().await?;
    let mut all = Vec::new();
    for &transport in &args.over {
        for (case, time) in [(OF_A_SECOND, TIME), (HELD, once(&HELD))] {
            all.push(run_case(args, case.over(transport), time, &collector).await?);
        }
    }
    Ok(all)
}

async fn run_case(
    args: &Args,
    case: Case,
    time: Duration,
    collector: &Collector,
) -> Result<Figures, String> {
    let builds = Build::all(args);
    let (mut most, mut of_each) = (OfBuilds::new(&builds), OfBuilds::new(&builds));
    let mut at_upstream = usize::MAX;
    let mut connections = vec![String::new(); builds.len()];
    for round in 0..args.few_rounds() {
        for at in in_turn(round, builds.len()) {
            let held = in_flight(&builds[at], &case, CALLS, time, collector).await?;
            most.add(at, held.exit.peak_resident);
            of_each.add(at, per_call(&held, CALLS));
            at_upstream = at_upstream.min(held.report.peak_in_flight);
            connections[at] = held.report.connections();
        }
    }
    let mut figures = Figures::new(case.title());
    let figure = "peak resident memory";
    let limit = (case.transport == Transport::Tls).then_some(MAX_RATIO);
    most.compare(figure, (0, "MB"), limit, &mut figures);
    of_each.report("the same for each call", (1, "KB"), &mut figures);
    figures.report("least peak of requests at the upstream", &at_upstream);
    for (build, connections) in builds.iter().zip(&connections) {
        let figure = format!("connections at the upstream, last round: {}", build.name);
        figures.report(&figure, connections);
    }
    Ok(figures)
}

/// The time in which each of the calls of a case is made once.
pub(super) fn once(case: &Case) -> Duration {
    case.latency / 2
}

/// Runs a build with so many calls in flight.
pub(super) async fn in_flight(
    build: &Build,
    case: &Case,
    calls: usize,
    time: Duration,
    collector: &Collector,
) -> Result<Held, String> {
    let vendor = Vendor::on_one_thread(case.transport, case.latency, &build.settings.logs).await?;
    let flags = [&GATEWAY_FLAGS[..], &["--max-in-flight", "10000"]].concat();
    let gateway = build
        .start(case.name, &vendor, &flags, Some(collector))
        .await?;
    let held = hold(gateway, &vendor, calls, time).await?;
    held.exit.print_warnings();
    let (stats, name) = (&held.stats, build.name);
    if stats.calls() == 0 || stats.answered().count() != stats.calls() {
        return Err(format!("{name}, {calls} in flight: some failed:\n{stats}"));
    }
    Ok(held)
}

/// The kilobytes that each call took besides what the gateway had before.
fn per_call(held: &Held, calls: usize) -> f64 {
    (held.exit.peak_resident - held.idle) * 1000.0 / calls as f64
}
