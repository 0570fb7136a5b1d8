//! The course of the benchmark: all ways, one after the other, round by round.

use std::time::Duration;

use super::Args;
use super::awake::Awake;
use super::collector::Collector;
use super::envoy::Envoy;
use super::micro;
use super::sdk::{self, Sdk};
use super::way::{Taken, Way, Work};
use crate::scenario::gateway::Gateway;
use crate::scenario::memory::{most_resident, resident};
use crate::scenario::table::Figures;
use crate::scenario::vendor::Vendor;
use crate::scenario::{ANYWHERE, Setting};

/// The most of Envoy's processor time that is wanted of a call.
const CPU: f64 = 0.5;

/// The most of the latency that Envoy adds.
const LATENCY: f64 = 0.6;

/// The most resident memory under load, in megabytes.
const MEMORY: f64 = 64.0;

/// How much of a core others may use before the figures say so.
const QUIET: f64 = 0.1;

/// The place of the first way that has a process: direct, gateway, Envoy.
const GATEWAY: usize = 1;

/// What an operator sets who wants to see what goes on, and to keep callers
/// within what the vendor allows, which here is more than they ask for.
pub(super) const FLAGS: [&str; 4] = ["--token-requests-per-minute", "100000", "--lame-duck", "0s"];

pub(super) async fn run(
    setting: &Setting,
    args: &Args,
    awake: &Awake,
) -> Result<Vec<Figures>, String> {
    let vendor = Vendor::on_one_thread(Duration::ZERO).await?;
    let collector = Collector::start().await?;
    let gateway = gateway(setting, &vendor, "bench", &[], Some(&collector)).await?;
    let envoy = Envoy::start(&args.envoy, vendor.address, &setting.logs).await?;
    let way = |name, pid, address| Way { name, pid, address };
    let ways = [
        way("direct", None, vendor.address),
        way("gateway", Some(gateway.pid()), gateway.address),
        way("Envoy", Some(envoy.pid()), envoy.address),
    ];
    let idle = gateway.resident()?;
    for way in &ways[GATEWAY..] {
        way.agree(vendor.address).await?;
    }
    println!("the gateway and Envoy answer what the vendor says");
    let processes = [vendor.pid(), gateway.pid(), envoy.pid()].into_iter();
    let processes: Vec<u32> = processes.chain(awake.pids()).collect();
    let mut taken: [[Taken; 3]; 3] = Default::default();
    for round in 0..=args.rounds {
        for (work, taken) in Work::ALL.into_iter().zip(&mut taken) {
            for turn in 0..ways.len() {
                let at = (round + turn) % ways.len();
                // The first round warms up, and does not count.
                let mut warm = Taken::default();
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
    let mut all: Vec<Figures> = Work::ALL.into_iter().zip(&taken).map(told).collect();
    all.push(by_hand(&sdk, &taken));
    all.push(micro::run(vendor.address).await?);
    let mut figures = Figures::of("memory");
    let most = most_resident(gateway.pid())?;
    figures.want(
        "most resident memory of the gateway",
        &format!("≤ {MEMORY} MB"),
        &format!("{most:.1} MB ({idle:.1} MB before the first call)"),
        most <= MEMORY,
    );
    let of = |pid| resident(pid).map(|memory| format!("{memory:.1} MB"));
    figures.tell("Envoy", &format!("{:.1} MB", most_resident(envoy.pid())?));
    figures.tell("upstream", &of(vendor.pid())?);
    figures.tell("SDK", &format!("{:.1} MB", sdk.resident_mb));
    all.push(figures);
    if collector.received() == 0 {
        return Err("no telemetry was sent".to_owned());
    }
    let ended = gateway.end().await?;
    ended.complain();
    if !ended.is_clean() {
        return Err("the gateway did not end as it should".to_owned());
    }
    Ok(all)
}

/// A gateway as the benchmark has it, with telemetry where there is a collector.
pub(super) async fn gateway(
    setting: &Setting,
    vendor: &Vendor,
    name: &str,
    more: &[&str],
    collector: Option<&Collector>,
) -> Result<Gateway, String> {
    let mut flags = FLAGS.to_vec();
    flags.extend(more);
    let endpoint = collector.map(|collector| format!("http://{}", collector.address));
    let mut variables = vec![
        ("TOKIO_WORKER_THREADS", "1"),
        // No line for each call: Envoy writes none either.
        ("RUST_LOG", "warn,presence_gateway::cli::serve=info"),
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
    Gateway::with(setting, name, vendor, ANYWHERE, &flags, &variables).await
}

fn told((work, taken): (Work, &[Taken; 3])) -> Figures {
    let mut figures = Figures::of(work.name());
    let [direct, gateway, envoy] = taken;
    let ratio = gateway.cpu.by(&envoy.cpu);
    figures.want(
        "processor time for a call, of Envoy's",
        &format!("≤ {CPU}"),
        &ratio.told(2),
        ratio.median() <= CPU,
    );
    for (name, taken) in [("gateway", gateway), ("Envoy", envoy)] {
        let figure = format!("processor time for a call: {name}");
        figures.tell(&figure, &format!("{} us", taken.cpu.told(1)));
    }
    let named = [("direct", direct), ("gateway", gateway), ("Envoy", envoy)];
    for (name, taken) in named {
        let figure = format!("processor time of the upstream: {name}");
        figures.tell(&figure, &format!("{} us", taken.vendor.told(1)));
    }
    if work == Work::AtRate {
        type Of = fn(&Taken) -> &super::series::Series;
        let of: [Of; 2] = [|taken| &taken.p50, |taken| &taken.p99];
        for (name, of) in ["p50", "p99"].into_iter().zip(of) {
            let added = [gateway, envoy].map(|taken| of(taken).less(of(direct)));
            let ratio = added[0].median() / added[1].median();
            let rounds = added[0].by(&added[1]).told(2);
            figures.want(
                &format!("added latency, {name}, of Envoy's"),
                &format!("≤ {LATENCY}"),
                &format!("{ratio:.2} (by rounds {rounds})"),
                ratio <= LATENCY,
            );
            for (way, taken) in named {
                figures.tell(
                    &format!("{name}: {way}"),
                    &format!("{} ms", of(taken).told(3)),
                );
            }
        }
    } else {
        for (name, taken) in named {
            let told = format!(
                "{}, p50 {} ms, p99 {} ms",
                taken.calls.told(0),
                taken.p50.told(2),
                taken.p99.told(2)
            );
            figures.tell(&format!("calls a second, 16 at once: {name}"), &told);
        }
    }
    let others = [direct, gateway, envoy].map(|taken| taken.others.median());
    let most = others.into_iter().fold(0.0, f64::max);
    let verdict = if most > QUIET { "NOT QUIET: " } else { "" };
    let told = format!("{verdict}others used {:.0} % of a core", most * 100.0);
    figures.tell("the machine meanwhile", &told);
    figures
}

fn by_hand(sdk: &Sdk, taken: &[[Taken; 3]; 3]) -> Figures {
    let mut figures = Figures::of("official SDK");
    for (name, loops, work) in [("unary", &sdk.unary, 0), ("bulk of 50", &sdk.bulk, 1)] {
        let of_gateway = loops.cpu_us / taken[work][GATEWAY].cpu.median();
        let told = format!(
            "{:.0} us of processor time for a call, {of_gateway:.0} times the gateway's; {:.0}/s, p50 {:.2} ms, p99 {:.2} ms",
            loops.cpu_us, loops.a_second, loops.p50_ms, loops.p99_ms
        );
        figures.tell(&format!("{name}, one after the other"), &told);
    }
    figures
}
