//! One long stream of ids without a rate limit.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Args;
use super::builds::{Build, OfBuilds, UNPACED_FLAGS, in_turn};
use super::collector::Collector;
use super::keep_awake::KeepAwake;
use super::machine::report_others;
use super::meter::{Meter, Spent};
use super::route::{Load, Pace, Route};
use super::series::Series;
use crate::caller::{Caller, Calls, Connections, Queries, Stats, Tokens};
use crate::scenario::gateway::Gateway;
use crate::scenario::proc_stat::peak_resident;
use crate::scenario::table::Figures;
use crate::scenario::vendor::{Transport, Vendor};

/// The limits of time and of processor time, relative to the build of before.
const MAX_TIME_RATIO: f64 = 0.65;
const MAX_CPU_RATIO: f64 = 0.65;

/// The warm-up has this fraction of the ids.
const WARM_UP: usize = 10;

/// The longest time of a stream.
const DEADLINE: Duration = Duration::from_secs(300);

pub(super) async fn run(args: &Args, keep_awake: &KeepAwake) -> Result<Vec<Figures>, String> {
    let mut all = Vec::new();
    for &transport in &args.over {
        all.push(over(transport, args, keep_awake).await?);
    }
    Ok(all)
}

async fn over(
    transport: Transport,
    args: &Args,
    keep_awake: &KeepAwake,
) -> Result<Figures, String> {
    let vendor = Vendor::on_one_thread(transport, Duration::ZERO, &args.logs).await?;
    let collector = Collector::start().await?;
    let builds = Build::all(args);
    let mut gateways = Vec::new();
    for build in &builds {
        let gateway = build.start("stream", &vendor, &UNPACED_FLAGS, Some(&collector));
        gateways.push(gateway.await?);
    }
    let routes = builds.iter().zip(&gateways).map(|(build, gateway)| Route {
        name: build.name,
        pid: Some(gateway.pid()),
        address: gateway.address,
    });
    let routes: Vec<Route> = routes.collect();
    let load = Load {
        name: "a stream".to_owned(),
        queries: Queries::streams(50),
        pace: Pace::AtOnce(1),
    };
    for route in &routes {
        route
            .agree(vendor.address, std::slice::from_ref(&load))
            .await?;
    }
    let processes = gateways.iter().map(Gateway::pid);
    let processes = processes.chain([vendor.pid()]).chain(keep_awake.pids());
    let processes: Vec<u32> = processes.collect();
    let meter = Meter {
        vendor: vendor.pid(),
        processes: &processes,
    };
    let ids = args.stream_ids.get();
    let (short, long) = (
        Queries::streams(ids.div_ceil(WARM_UP)),
        Queries::streams(ids),
    );
    let mut measured = Measured::new(&builds);
    for round in 0..=args.rounds {
        for at in in_turn(round, routes.len()) {
            let queries = if round == 0 { &short } else { &long };
            let spent = one(&routes[at], queries, meter).await?;
            if round > 0 {
                measured.add(at, spent);
            }
        }
    }
    let mut figures = Figures::new(transport.name("a stream"));
    figures.report("ids", &ids);
    measured.report(&mut figures);
    for (build, gateway) in builds.iter().zip(gateways) {
        let most = peak_resident(gateway.pid())?;
        let figure = format!("peak resident memory: {}", build.name);
        figures.report(&figure, &format!("{most:.1} MB"));
        gateway.end().await?.print_warnings();
    }
    let connections = vendor.report().await?.connections();
    figures.report("connections at the upstream", &connections);
    Ok(figures)
}

/// Makes one stream.
async fn one(route: &Route, queries: &Queries, meter: Meter<'_>) -> Result<Spent, String> {
    let caller = Arc::new(Caller {
        connections: Connections::open(&[route.address], 1).await?,
        queries: queries.clone(),
        tokens: Tokens::new("token", 1),
        deadline: DEADLINE,
        stats: Stats::default(),
    });
    let call = async {
        caller.call(Instant::now()).await;
        Ok(())
    };
    let ((), spent) = meter.measure(route.pid, call).await?;
    if caller.stats.answered().count() != 1 {
        return Err(format!(
            "{}, a stream failed:\n{}",
            route.name, caller.stats
        ));
    }
    Ok(spent)
}

/// The figures of all rounds.
struct Measured {
    time: OfBuilds,
    cpu: OfBuilds,
    /// Of a core, while it lasted.
    share: OfBuilds,
    vendor: OfBuilds,
    caller: OfBuilds,
    others: Series,
}

impl Measured {
    fn new(builds: &[Build]) -> Self {
        let empty = || OfBuilds::new(builds);
        Self {
            time: empty(),
            cpu: empty(),
            share: empty(),
            vendor: empty(),
            caller: empty(),
            others: Series::default(),
        }
    }

    fn add(&mut self, build: usize, spent: Spent) {
        let [time, own, vendor, caller] =
            [spent.time, spent.own, spent.vendor, spent.caller].map(|time| time.as_secs_f64());
        self.time.add(build, time);
        self.cpu.add(build, own);
        self.share.add(build, own / time);
        self.vendor.add(build, vendor);
        self.caller.add(build, caller);
        self.others.add(spent.others);
    }

    fn report(&self, figures: &mut Figures) {
        self.time
            .compare("time", (2, "s"), Some(MAX_TIME_RATIO), figures);
        self.cpu
            .compare("processor time", (2, "s"), Some(MAX_CPU_RATIO), figures);
        let figure = "processor time, of the time";
        self.share.report(figure, (2, ""), figures);
        for (figure, of_builds) in [
            ("processor time of the upstream", &self.vendor),
            ("processor time of the caller", &self.caller),
        ] {
            of_builds.report(figure, (2, "s"), figures);
        }
        report_others(self.others.median(), figures);
    }
}
