//! The routes to the vendor: direct, through the gateway, through Envoy.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::direct::Direct;
use super::machine::CpuUsage;
use super::series::Series;
use crate::caller::{
    Caller, Calls, Connections, Queries, Stats, Tokens, closed_loop, message, open_loop,
};
use crate::scenario::proc_stat::cpu_time;

/// The calls in flight of a closed-loop workload.
const AT_ONCE: usize = 16;

/// The calls per second of the open-loop workload.
pub(super) const RATE: f64 = 1000.0;

/// The connections of the caller, the same for each route.
const CONNECTIONS: usize = 2;

/// The number of tokens; the gateway counts the requests of each.
const TOKENS: usize = 64;

/// A route to the vendor.
#[derive(Debug)]
pub(super) struct Route {
    /// Its name in the table.
    pub name: &'static str,
    /// The proxy's process; `None` for the direct route.
    pub pid: Option<u32>,
    /// Its address.
    pub address: SocketAddr,
}

/// A workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Workload {
    /// Single reads, closed loop.
    Unary,
    /// Bulk reads of 50, closed loop.
    Bulk,
    /// Single reads, open loop.
    AtRate,
}

/// The measurements of a route and a workload, round by round.
#[derive(Debug, Default)]
pub(super) struct Measurements {
    /// Microseconds of the proxy's processor time per call.
    pub cpu: Series,
    /// The same of the upstream.
    pub vendor: Series,
    /// Calls per second.
    pub calls: Series,
    /// Milliseconds.
    pub p50: Series,
    /// Milliseconds.
    pub p99: Series,
    /// The fraction of a core that other processes used meanwhile.
    pub others: Series,
}

impl Workload {
    pub(super) const ALL: [Self; 3] = [Self::Unary, Self::Bulk, Self::AtRate];

    pub(super) fn name(self) -> &'static str {
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
}

impl Route {
    /// Runs a workload for `time`; `processes` belong to the benchmark.
    pub(super) async fn measure(
        &self,
        work: Workload,
        time: Duration,
        vendor: u32,
        processes: &[u32],
        measured: &mut Measurements,
    ) -> Result<(), String> {
        let before = CpuUsage::now(processes);
        let of = |pid: Option<u32>| pid.map_or(Ok(Duration::ZERO), cpu_time);
        let (own, vendors, begun) = (of(self.pid)?, cpu_time(vendor)?, Instant::now());
        let stats = self.work(work, time).await?;
        let (own, vendors) = (
            of(self.pid)?.saturating_sub(own),
            cpu_time(vendor)?.saturating_sub(vendors),
        );
        let calls = stats.calls();
        if calls == 0 || stats.answered().count() != calls {
            return Err(format!(
                "{}, {}: some calls failed:\n{stats}",
                self.name,
                work.name()
            ));
        }
        let each = |cpu_time: Duration| cpu_time.as_secs_f64() * 1e6 / calls as f64;
        measured.cpu.add(each(own));
        measured.vendor.add(each(vendors));
        measured.calls.add(stats.per_second(calls));
        measured.p50.add(stats.answered().quantile(0.5));
        measured.p99.add(stats.answered().quantile(0.99));
        let others = CpuUsage::now(processes).others_cpu_since(before, begun.elapsed());
        measured.others.add(others);
        Ok(())
    }

    async fn work(&self, work: Workload, time: Duration) -> Result<Stats, String> {
        let (queries, tokens) = (work.queries(), Tokens::new("token", TOKENS));
        if self.pid.is_none() {
            let direct = Arc::new(Direct::new(self.address, queries, tokens));
            return done(direct, work, time, Direct::into_stats).await;
        }
        let caller = Arc::new(Caller {
            connections: Connections::open(&[self.address], CONNECTIONS).await?,
            queries,
            tokens,
            deadline: Duration::from_secs(10),
            stats: Stats::default(),
        });
        done(caller, work, time, |caller| caller.stats).await
    }

    /// Checks that the route returns what the vendor returns directly.
    pub(super) async fn agree(&self, vendor: SocketAddr) -> Result<(), String> {
        let tokens = Tokens::new("token", 1);
        let connections = Connections::open(&[self.address], 1).await?;
        let mut connection = connections.next().await.ok_or("no connection")?;
        for work in [Workload::Unary, Workload::Bulk] {
            let queries = work.queries();
            let direct = Direct::new(vendor, work.queries(), Tokens::new("token", 1));
            for _ in 0..20 {
                let query = queries.next();
                let body = direct.body(query, tokens.next()).await?;
                let expected = query.parse_json(&body).ok_or("no JSON of the vendor's")?;
                let message = message(&mut connection, query, tokens.next()).await;
                let message = message.map_err(|why| format!("{}: {why}", self.name))?;
                if query.parse_message(&message) != Some(expected) {
                    let name = work.name();
                    return Err(format!("{} and the vendor differ for {name}", self.name));
                }
            }
        }
        Ok(())
    }
}

async fn done<C: Calls>(
    caller: Arc<C>,
    work: Workload,
    time: Duration,
    stats: impl FnOnce(C) -> Stats,
) -> Result<Stats, String> {
    match work {
        Workload::AtRate => open_loop(&caller, RATE, time).await,
        Workload::Unary | Workload::Bulk => closed_loop(&caller, AT_ONCE, time).await,
    }
    Arc::into_inner(caller)
        .map(stats)
        .ok_or_else(|| "a call is still running".to_owned())
}
