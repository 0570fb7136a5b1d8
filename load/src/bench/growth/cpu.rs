//! Processor time by ids of a call, and by calls in flight.

use std::time::Duration;

use super::{Args, KeepAwake};
use crate::bench::builds::{Build, GATEWAY_FLAGS, OfBuilds, in_turn};
use crate::bench::collector::Collector;
use crate::bench::fit::spread;
use crate::bench::machine::report_others;
use crate::bench::meter::Meter;
use crate::bench::route::{Load, Measurements, Pace, Route};
use crate::bench::series::Series;
use crate::caller::Queries;
use crate::scenario::gateway::Gateway;
use crate::scenario::table::Figures;
use crate::scenario::vendor::{Transport, Vendor};

/// The ids of a bulk read, and how many of these are made at once: a call has eight
/// batches in flight (`--bulk-concurrency`), so that all loads have sixteen.
const BULKS: [(usize, usize); 3] = [(50, 16), (500, 2), (5000, 2)];

/// The same of a stream.
const STREAM: (usize, usize) = (50_000, 2);

/// The calls in flight.
const CALLS: [usize; 4] = [1, 16, 256, 1024];

/// The limits of the largest figure, relative to the smallest.
const MAX_OF_IDS: f64 = 1.15;
const MAX_OF_CALLS: f64 = 1.3;

/// The growth of one cost.
struct Growth {
    name: &'static str,
    /// What the cost is of.
    unit: &'static str,
    limit: f64,
    steps: Vec<Step>,
}

/// A load, and the number of units in one of its calls.
struct Step {
    load: Load,
    units: usize,
}

pub(super) async fn run(args: &Args, keep_awake: &KeepAwake) -> Result<Vec<Figures>, String> {
    let vendor = Vendor::on_one_thread(Transport::Plain, Duration::ZERO, &args.logs).await?;
    let collector = Collector::start().await?;
    let builds = Build::all(args);
    let flags = [&GATEWAY_FLAGS[..], &["--max-in-flight", "4096"]].concat();
    let (mut gateways, mut routes) = (Vec::new(), Vec::new());
    for build in &builds {
        let gateway = build.start("growth", &vendor, &flags, Some(&collector));
        let gateway = gateway.await?;
        routes.push(Route {
            name: build.name,
            pid: Some(gateway.pid()),
            address: gateway.address,
        });
        gateways.push(gateway);
    }
    let processes = gateways.iter().map(Gateway::pid);
    let processes = processes.chain([vendor.pid()]).chain(keep_awake.pids());
    let processes: Vec<u32> = processes.collect();
    let meter = Meter {
        vendor: vendor.pid(),
        processes: &processes,
    };
    let mut all = Vec::new();
    for growth in [by_ids(), by_calls()] {
        all.push(measure(args, &growth, &builds, &routes, meter).await?);
    }
    for gateway in gateways {
        gateway.end().await?.print_warnings();
    }
    Ok(all)
}

fn by_ids() -> Growth {
    let step = |ids, queries, at_once| Step {
        load: Load {
            name: format!("{ids} ids"),
            queries,
            pace: Pace::AtOnce(at_once),
        },
        units: ids,
    };
    let bulks = BULKS.map(|(ids, at_once)| step(ids, Queries::bulk(ids), at_once));
    let (ids, at_once) = STREAM;
    let stream = step(ids, Queries::streams(ids), at_once);
    Growth {
        name: "growth: ids of a bulk read",
        unit: "id",
        limit: MAX_OF_IDS,
        steps: bulks.into_iter().chain([stream]).collect(),
    }
}

fn by_calls() -> Growth {
    let step = |calls| Step {
        load: Load {
            name: format!("{calls} in flight"),
            queries: Queries::new(0.0),
            pace: Pace::AtOnce(calls),
        },
        units: 1,
    };
    Growth {
        name: "growth: calls in flight",
        unit: "call",
        limit: MAX_OF_CALLS,
        steps: CALLS.map(step).into(),
    }
}

async fn measure(
    args: &Args,
    growth: &Growth,
    builds: &[Build],
    routes: &[Route],
    meter: Meter<'_>,
) -> Result<Figures, String> {
    let steps = growth.steps.iter();
    let mut measured: Vec<OfBuilds> = steps.map(|_| OfBuilds::new(builds)).collect();
    let mut others = Series::default();
    for round in 0..=args.few_rounds() {
        for (step, measured) in growth.steps.iter().zip(&mut measured) {
            for at in in_turn(round, routes.len()) {
                let time = if round == 0 { args.time / 4 } else { args.time };
                let mut one = Measurements::default();
                let load = step.load.clone();
                routes[at].measure(load, time, meter, &mut one).await?;
                // The first round is a warm-up.
                if round > 0 {
                    measured.add(at, one.cpu.median() / step.units as f64);
                    others.add(one.others.median());
                }
            }
        }
    }
    let mut figures = Figures::new(growth.name);
    let figure = format!("processor time for each {}", growth.unit);
    for (at, build) in builds.iter().enumerate() {
        let medians: Vec<f64> = measured.iter().map(|step| step.median(at)).collect();
        let (figure, ratio) = (
            format!("{figure}, largest of smallest: {}", build.name),
            spread(&medians),
        );
        let measured = format!("{ratio:.2}");
        if at == 0 {
            let limit = format!("≤ {:.2}", growth.limit);
            figures.expect(&figure, &limit, &measured, ratio <= growth.limit);
        } else {
            figures.report(&figure, &measured);
        }
    }
    for (step, measured) in growth.steps.iter().zip(&measured) {
        let figure = format!("{figure}, {}", step.load.name);
        measured.report(&figure, (2, "us"), &mut figures);
    }
    report_others(others.median(), &mut figures);
    Ok(figures)
}
