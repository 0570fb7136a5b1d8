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

/// The index of the gateway's route, after the direct one.
const GATEWAY: usize = 1;

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
    let way = |name, pid, address| Route { name, pid, address };
    let ways = [
        way("direct", None, vendor.address),
        way("gateway", Some(gateway.pid()), gateway.address),
        way("Envoy", Some(envoy.pid()), envoy.address),
    ];
    let idle = gateway.resident()?;
    for way in &ways[GATEWAY..] {
        way.agree(vendor.address).await?;
    }
    println!("the gateway and Envoy return what the vendor returns");
    let processes = [vendor.pid(), gateway.pid(), envoy.pid()].into_iter();
    let processes: Vec<u32> = processes.chain(keep_awake.pids()).collect();
    let mut taken: [[Measurements; 3]; 3] = Default::default();
    for round in 0..=args.rounds {
        for (work, taken) in Workload::ALL.into_iter().zip(&mut taken) {
            for turn in 0..ways.len() {
                let at = (round + turn) % ways.len();
                // The first round is a warm-up.
                let mut warm = Measurements::default();
                let (time, taken) = match round {
                    0 => (args.time / 4, &mut warm),
                    _ => (args.time, &mut taken[at]),
                };
                let way = &ways[at];
                way.measure(work, time, vendor.pid(), &processes, taken)
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
        .zip(&taken)
        .map(figures_of)
        .collect();
    all.push(by_hand(&sdk, &taken));
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
    Gateway::with(settings, name, vendor, ANYWHERE, &flags, &variables).await
}

fn figures_of((work, taken): (Workload, &[Measurements; 3])) -> Figures {
    let mut figures = Figures::new(work.name());
    let [direct, gateway, envoy] = taken;
    let ratio = gateway.cpu.ratio_to(&envoy.cpu);
    figures.expect(
        "processor time for a call, of Envoy's",
        &format!("≤ {MAX_CPU_RATIO}"),
        &ratio.summary(2),
        ratio.median() <= MAX_CPU_RATIO,
    );
    for (name, taken) in [("gateway", gateway), ("Envoy", envoy)] {
        let figure = format!("processor time for a call: {name}");
        figures.report(&figure, &format!("{} us", taken.cpu.summary(1)));
    }
    let named = [("direct", direct), ("gateway", gateway), ("Envoy", envoy)];
    for (name, taken) in named {
        let figure = format!("processor time of the upstream: {name}");
        figures.report(&figure, &format!("{} us", taken.vendor.summary(1)));
    }
    if work == Workload::AtRate {
        type Of = fn(&Measurements) -> &super::series::Series;
        let of: [Of; 2] = [|taken| &taken.p50, |taken| &taken.p99];
        for (name, of) in ["p50", "p99"].into_iter().zip(of) {
            let added = [gateway, envoy].map(|taken| of(taken).minus(of(direct)));
            let ratio = added[0].median() / added[1].median();
            let rounds = added[0].ratio_to(&added[1]).summary(2);
            figures.expect(
                &format!("added latency, {name}, of Envoy's"),
                &format!("≤ {LATENCY}"),
                &format!("{ratio:.2} (by rounds {rounds})"),
                ratio <= LATENCY,
            );
            for (way, taken) in named {
                figures.report(
                    &format!("{name}: {way}"),
                    &format!("{} ms", of(taken).summary(3)),
                );
            }
        }
    } else {
        for (name, taken) in named {
            let told = format!(
                "{}, p50 {} ms, p99 {} ms",
                taken.calls.summary(0),
                taken.p50.summary(2),
                taken.p99.summary(2)
            );
            figures.report(&format!("calls a second, 16 at once: {name}"), &told);
        }
    }
    let others = [direct, gateway, envoy].map(|taken| taken.others.median());
    let most = others.into_iter().fold(0.0, f64::max);
    let verdict = if most > QUIET { "NOT QUIET: " } else { "" };
    let told = format!("{verdict}others used {:.0} % of a core", most * 100.0);
    figures.report("the machine meanwhile", &told);
    figures
}

fn by_hand(sdk: &Sdk, taken: &[[Measurements; 3]; 3]) -> Figures {
    let mut figures = Figures::new("official SDK");
    for (name, loops, work) in [("unary", &sdk.unary, 0), ("bulk of 50", &sdk.bulk, 1)] {
        let of_gateway = loops.cpu_us / taken[work][GATEWAY].cpu.median();
        let told = format!(
            "{:.0} us of processor time for a call, {of_gateway:.0} times the gateway's; {:.0}/s, p50 {:.2} ms, p99 {:.2} ms",
            loops.cpu_us, loops.per_second, loops.p50_ms, loops.p99_ms
        );
        figures.report(&format!("{name}, one after the other"), &told);
    }
    figures
}
