//! The rounds of the benchmark: every route in turn.

mod figures;

use std::time::Duration;

use super::Args;
use super::builds::{Build, GATEWAY_FLAGS, in_turn};
use super::collector::Collector;
use super::envoy::Envoy;
use super::keep_awake::KeepAwake;
use super::meter::Meter;
use super::micro;
use super::route::{Load, Measurements, Pace, Route};
use super::sdk;
use crate::caller::Queries;
use crate::scenario::proc_stat::{peak_resident, resident};
use crate::scenario::table::Figures;
use crate::scenario::vendor::{Transport, Vendor};

/// The limit of resident memory under load, in megabytes.
const MEMORY: f64 = 64.0;

/// The calls in flight of a closed-loop workload.
const AT_ONCE: usize = 16;

/// The calls per second of the open-loop workload.
const RATE: f64 = 1000.0;

/// The index of each route.
const DIRECT: usize = 0;
const GATEWAY: usize = 1;
const ENVOY: usize = 2;
/// Only if another build is given.
const BEFORE: usize = 3;

/// A workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Workload {
    /// Single reads, closed loop.
    Unary,
    /// Bulk reads, closed loop.
    Bulk,
    /// Single reads, open loop.
    AtRate,
}

impl Workload {
    const ALL: [Self; 3] = [Self::Unary, Self::Bulk, Self::AtRate];

    fn name(self) -> &'static str {
        match self {
            Self::Unary => "unary",
            Self::Bulk => "bulk of 50",
            Self::AtRate => "unary, 1000/s",
        }
    }

    pub(super) fn queries(self) -> Queries {
        match self {
            Self::Unary | Self::AtRate => Queries::new(0.0),
            Self::Bulk => Queries::bulk(50),
        }
    }

    fn load(self) -> Load {
        Load {
            name: self.name().to_owned(),
            queries: self.queries(),
            pace: match self {
                Self::Unary | Self::Bulk => Pace::AtOnce(AT_ONCE),
                Self::AtRate => Pace::PerSecond(RATE),
            },
        }
    }
}

/// The measurements of each workload, by route.
type Measured = [Vec<Measurements>; Workload::ALL.len()];

pub(super) async fn run(args: &Args, keep_awake: &KeepAwake) -> Result<Vec<Figures>, String> {
    let mut all = Vec::new();
    for &transport in &args.over {
        all.extend(over(transport, args, keep_awake).await?);
    }
    Ok(all)
}

async fn over(
    transport: Transport,
    args: &Args,
    keep_awake: &KeepAwake,
) -> Result<Vec<Figures>, String> {
    let vendor = Vendor::on_one_thread(transport, Duration::ZERO, &args.logs).await?;
    let collector = Collector::start().await?;
    let start = async |build: Build| {
        let started = build.start("bench", &vendor, &GATEWAY_FLAGS, Some(&collector));
        started.await
    };
    let gateway = start(Build::now(args)).await?;
    let envoy = Envoy::start(&args.envoy, &vendor, &args.logs).await?;
    let before = match Build::before(args) {
        Some(before) => Some(start(before).await?),
        None => None,
    };
    let route = |name, pid, address| Route { name, pid, address };
    let mut routes = vec![
        route("direct", None, vendor.address),
        route("gateway", Some(gateway.pid()), gateway.address),
        route("Envoy", Some(envoy.pid()), envoy.address),
    ];
    routes.extend(
        before
            .iter()
            .map(|before| route("before", Some(before.pid()), before.address)),
    );
    let mut memory = Figures::new(transport.name("memory"));
    let idle = gateway.resident()?;
    let mut connections = agree(transport, &routes, &vendor).await?;
    let measured = measure(args, &routes, &vendor, keep_awake).await?;
    connections.report("all", &vendor.report().await?.connections());
    let figures = Workload::ALL.into_iter().zip(&measured);
    let figures = figures.map(|(work, of)| figures::of(work, transport, &routes, of));
    let mut all: Vec<Figures> = figures.collect();
    let most = peak_resident(gateway.pid())?;
    memory.expect(
        "peak resident memory of the gateway",
        &format!("≤ {MEMORY} MB"),
        &format!("{most:.1} MB ({idle:.1} MB before the first call)"),
        most <= MEMORY,
    );
    memory.report("Envoy", &format!("{:.1} MB", peak_resident(envoy.pid())?));
    memory.report("upstream", &format!("{:.1} MB", resident(vendor.pid())?));
    if transport == Transport::Plain {
        let sdk = sdk::run(&args.python, &vendor.url("sdk"), args.time).await?;
        memory.report("SDK", &format!("{:.1} MB", sdk.resident_mb));
        all.push(figures::of_sdk(&sdk, &measured));
        all.push(micro::run(vendor.address).await?);
    }
    all.extend([memory, connections]);
    if collector.received() == 0 {
        return Err("no telemetry was sent".to_owned());
    }
    let ended = gateway.end().await?;
    ended.print_warnings();
    if !ended.is_success() {
        return Err("the gateway did not exit with code 0".to_owned());
    }
    Ok(all)
}

/// Checks that all return what the vendor returns, and reports the connections that
/// the vendor had from each by then.
async fn agree(transport: Transport, routes: &[Route], vendor: &Vendor) -> Result<Figures, String> {
    let mut figures = Figures::new(transport.name("connections at the upstream"));
    for route in &routes[GATEWAY..] {
        let loads = [Workload::Unary, Workload::Bulk].map(Workload::load);
        route.agree(vendor.address, &loads).await?;
        let connections = vendor.report().await?.connections();
        figures.report(
            &format!("after forty calls by {}", route.name),
            &connections,
        );
    }
    println!("the gateway and Envoy return what the vendor returns");
    Ok(figures)
}

/// Measures each workload by each route, in rounds.
async fn measure(
    args: &Args,
    routes: &[Route],
    vendor: &Vendor,
    keep_awake: &KeepAwake,
) -> Result<Measured, String> {
    let processes = routes.iter().filter_map(|route| route.pid);
    let processes = processes.chain([vendor.pid()]).chain(keep_awake.pids());
    let processes: Vec<u32> = processes.collect();
    let meter = Meter {
        vendor: vendor.pid(),
        processes: &processes,
    };
    let mut measured = Workload::ALL.map(|_| {
        let measurements = routes.iter().map(|_| Measurements::default());
        measurements.collect::<Vec<_>>()
    });
    for round in 0..=args.rounds {
        for (work, measured) in Workload::ALL.into_iter().zip(&mut measured) {
            for at in in_turn(round, routes.len()) {
                // The first round is a warm-up.
                let mut warm = Measurements::default();
                let (time, measured) = match round {
                    0 => (args.time / 4, &mut warm),
                    _ => (args.time, &mut measured[at]),
                };
                let route = &routes[at];
                route.measure(work.load(), time, meter, measured).await?;
            }
        }
        if round > 0 {
            println!("round {round} of {}", args.rounds);
        }
    }
    Ok(measured)
}
