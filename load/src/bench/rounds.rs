//! The rounds of the benchmark: every route in turn.

use std::time::Duration;

use super::Args;
use super::collector::Collector;
use super::envoy::Envoy;
use super::keep_awake::KeepAwake;
use super::micro;
use super::route::{Measurements, Route, Workload};
use super::sdk::{self, Sdk};
use crate::scenario::gateway::Gateway;
use crate::scenario::proc_stat::{peak_resident, resident};
use crate::scenario::table::Figures;
use crate::scenario::vendor::Vendor;
use crate::scenario::{ANYWHERE, Settings};

/// The limit of processor time per call, relative to Envoy's.
const MAX_CPU_RATIO: f64 = 0.5;

/// The limit of added latency, relative to Envoy's.
const LATENCY: f64 = 0.6;

/// The limit of resident memory under load, in megabytes.
const MEMORY: f64 = 64.0;

/// The fraction of a core from which the table reports other load.
const QUIET: f64 = 0.1;

/// The index of each route.
const DIRECT: usize = 0;
const GATEWAY: usize = 1;
const ENVOY: usize = 2;
/// Only if another build is given.
const BEFORE: usize = 3;

/// The flags of a usual deployment, with a rate limit that is never reached.
pub(super) const GATEWAY_FLAGS: [&str; 4] =
    ["--token-requests-per-minute", "100000", "--lame-duck", "0s"];

pub(super) async fn run(
    settings: &Settings,
    args: &Args,
    keep_awake: &KeepAwake,
) -> Result<Vec<Figures>, String> {
    let vendor = Vendor::on_one_thread(Duration::ZERO).await?;
    let collector = Collector::start().await?;
    let gateway = gateway(settings, &vendor, "bench", &[], Some(&collector)).await?;
    let envoy = Envoy::start(&args.envoy, vendor.address, &settings.logs).await?;
    let before = before(settings, args, &vendor, &collector).await?;
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
    let idle = gateway.resident()?;
    for route in &routes[GATEWAY..] {
        route.agree(vendor.address).await?;
    }
    println!("the gateway and Envoy return what the vendor returns");
    let processes = routes
        .iter()
        .filter_map(|route| route.pid)
        .chain([vendor.pid()]);
    let processes: Vec<u32> = processes.chain(keep_awake.pids()).collect();
    let mut measured = Workload::ALL.map(|_| {
        let measurements = routes.iter().map(|_| Measurements::default());
        measurements.collect::<Vec<_>>()
    });
    for round in 0..=args.rounds {
        for (work, measured) in Workload::ALL.into_iter().zip(&mut measured) {
            for turn in 0..routes.len() {
                let at = (round + turn) % routes.len();
                // The first round is a warm-up.
                let mut warm = Measurements::default();
                let (time, measured) = match round {
                    0 => (args.time / 4, &mut warm),
                    _ => (args.time, &mut measured[at]),
                };
                let route = &routes[at];
                route
                    .measure(work, time, vendor.pid(), &processes, measured)
                    .await?;
            }
        }
        if round > 0 {
            println!("round {round} of {}", args.rounds);
        }
    }
    let sdk = sdk::run(&args.python, &vendor.url("sdk"), args.time).await?;
    let mut all: Vec<Figures> = Workload::ALL
        .into_iter()
        .zip(&measured)
        .map(|(work, measured)| figures_of(work, &routes, measured))
        .collect();
    all.push(by_hand(&sdk, &measured));
    all.push(micro::run(vendor.address).await?);
    let mut figures = Figures::new("memory");
    let most = peak_resident(gateway.pid())?;
    figures.expect(
        "peak resident memory of the gateway",
        &format!("≤ {MEMORY} MB"),
        &format!("{most:.1} MB ({idle:.1} MB before the first call)"),
        most <= MEMORY,
    );
    let of = |pid| resident(pid).map(|memory| format!("{memory:.1} MB"));
    figures.report("Envoy", &format!("{:.1} MB", peak_resident(envoy.pid())?));
    figures.report("upstream", &of(vendor.pid())?);
    figures.report("SDK", &format!("{:.1} MB", sdk.resident_mb));
    all.push(figures);
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

/// A gateway of the benchmark, with telemetry if a collector is given.
pub(super) async fn gateway(
    settings: &Settings,
    vendor: &Vendor,
    name: &str,
    more: &[&str],
    collector: Option<&Collector>,
) -> Result<Gateway, String> {
    let mut flags = GATEWAY_FLAGS.to_vec();
    flags.extend(more);
    let endpoint = collector.map(|collector| format!("http://{}", collector.address));
    let mut variables = vec![
        ("TOKIO_WORKER_THREADS", "1"),
        // No access log, as for Envoy.
        ("RUST_LOG", "warn,presence_gateway::cli=info"),
    ];
    if let Some(endpoint) = &endpoint {
        variables.extend([
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.01"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "5000"),
        ]);
    }
    Gateway::with(
        settings,
        name,
        &vendor.url(name),
        ANYWHERE,
        &flags,
        &variables,
    )
    .await
}

/// The other build of the gateway, if one is given.
async fn before(
    settings: &Settings,
    args: &Args,
    vendor: &Vendor,
    collector: &Collector,
) -> Result<Option<Gateway>, String> {
    let Some(program) = &args.before else {
        return Ok(None);
    };
    let settings = Settings {
        gateway: program.clone(),
        logs: settings.logs.clone(),
        scale: settings.scale,
    };
    let gateway = gateway(&settings, vendor, "before", &[], Some(collector));
    gateway.await.map(Some)
}

fn figures_of(work: Workload, routes: &[Route], measured: &[Measurements]) -> Figures {
    let mut figures = Figures::new(work.name());
    let (direct, gateway, envoy) = (&measured[DIRECT], &measured[GATEWAY], &measured[ENVOY]);
    let named = || routes.iter().map(|route| route.name).zip(measured);
    let ratio = gateway.cpu.ratio_to(&envoy.cpu);
    figures.expect(
        "processor time for a call, of Envoy's",
        &format!("≤ {MAX_CPU_RATIO}"),
        &ratio.summary(2),
        ratio.median() <= MAX_CPU_RATIO,
    );
    if let Some(before) = measured.get(BEFORE) {
        let ratio = gateway.cpu.ratio_to(&before.cpu);
        figures.report("processor time for a call, of before", &ratio.summary(2));
    }
    for (name, measured) in named().skip(GATEWAY) {
        let figure = format!("processor time for a call: {name}");
        figures.report(&figure, &format!("{} us", measured.cpu.summary(1)));
    }
    for (name, measured) in named() {
        let figure = format!("processor time of the upstream: {name}");
        figures.report(&figure, &format!("{} us", measured.vendor.summary(1)));
    }
    if work == Workload::AtRate {
        type Quantile = fn(&Measurements) -> &super::series::Series;
        let quantiles: [Quantile; 2] = [|measured| &measured.p50, |measured| &measured.p99];
        for (name, quantile) in ["p50", "p99"].into_iter().zip(quantiles) {
            let added = [gateway, envoy].map(|measured| quantile(measured).minus(quantile(direct)));
            let ratio = added[0].median() / added[1].median();
            let rounds = added[0].ratio_to(&added[1]).summary(2);
            figures.expect(
                &format!("added latency, {name}, of Envoy's"),
                &format!("≤ {LATENCY}"),
                &format!("{ratio:.2} (by rounds {rounds})"),
                ratio <= LATENCY,
            );
            for (route, measured) in named() {
                figures.report(
                    &format!("{name}: {route}"),
                    &format!("{} ms", quantile(measured).summary(3)),
                );
            }
        }
    } else {
        for (name, measured) in named() {
            let rates = format!(
                "{}, p50 {} ms, p99 {} ms",
                measured.calls.summary(0),
                measured.p50.summary(2),
                measured.p99.summary(2)
            );
            figures.report(&format!("calls a second, 16 at once: {name}"), &rates);
        }
    }
    let others = measured.iter().map(|measured| measured.others.median());
    let most = others.fold(0.0, f64::max);
    let verdict = if most > QUIET { "NOT QUIET: " } else { "" };
    let other_load = format!("{verdict}others used {:.0} % of a core", most * 100.0);
    figures.report("the machine meanwhile", &other_load);
    figures
}

fn by_hand(sdk: &Sdk, measured: &[Vec<Measurements>; 3]) -> Figures {
    let mut figures = Figures::new("official SDK");
    for (name, loops, work) in [("unary", &sdk.unary, 0), ("bulk of 50", &sdk.bulk, 1)] {
        let of_gateway = loops.cpu_us / measured[work][GATEWAY].cpu.median();
        let cost = format!(
            "{:.0} us of processor time for a call, {of_gateway:.0} times the gateway's; {:.0}/s, p50 {:.2} ms, p99 {:.2} ms",
            loops.cpu_us, loops.per_second, loops.p50_ms, loops.p99_ms
        );
        figures.report(&format!("{name}, one after the other"), &cost);
    }
    figures
}
