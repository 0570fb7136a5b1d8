//! The routes to the vendor: direct, through the gateway, through Envoy.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::direct::Direct;
use super::meter::Meter;
use super::series::Series;
use crate::caller::{
    Caller, Calls, Connections, Queries, Stats, Tokens, closed_loop, message, open_loop,
};

/// The connections of the caller, the same for each route.
const CONNECTIONS: usize = 2;

/// The number of tokens; the gateway counts the requests of each.
const TOKENS: usize = 64;

/// The deadline of each call.
const DEADLINE: Duration = Duration::from_secs(10);

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

/// Calls of one kind.
#[derive(Debug, Clone)]
pub(super) struct Load {
    /// Its name in the table.
    pub name: String,
    /// The requests.
    pub queries: Queries,
    /// When the calls are made.
    pub pace: Pace,
}

/// When calls are made.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pace {
    /// So many at once, each after the other.
    AtOnce(usize),
    /// So many a second, however long they take.
    PerSecond(f64),
}

/// The measurements of a route and a load, round by round.
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

impl Route {
    /// Puts a load on it for `time`.
    pub(super) async fn measure(
        &self,
        load: Load,
        time: Duration,
        meter: Meter<'_>,
        measured: &mut Measurements,
    ) -> Result<(), String> {
        let name = load.name.clone();
        let (stats, spent) = meter.measure(self.pid, self.run(load, time)).await?;
        let calls = stats.calls();
        if calls == 0 || stats.answered().count() != calls {
            let route = self.name;
            return Err(format!("{route}, {name}: some calls failed:\n{stats}"));
        }
        let each = |cpu_time: Duration| cpu_time.as_secs_f64() * 1e6 / calls as f64;
        measured.cpu.add(each(spent.own));
        measured.vendor.add(each(spent.vendor));
        measured.calls.add(stats.per_second(calls));
        measured.p50.add(stats.answered().quantile(0.5));
        measured.p99.add(stats.answered().quantile(0.99));
        measured.others.add(spent.others);
        Ok(())
    }

    async fn run(&self, load: Load, time: Duration) -> Result<Stats, String> {
        let Load { queries, pace, .. } = load;
        let tokens = Tokens::new("token", TOKENS);
        if self.pid.is_none() {
            let direct = Arc::new(Direct::new(self.address, queries, tokens));
            return done(direct, pace, time, Direct::into_stats).await;
        }
        let caller = Arc::new(Caller {
            connections: Connections::open(&[self.address], CONNECTIONS).await?,
            queries,
            tokens,
            deadline: DEADLINE,
            stats: Stats::default(),
        });
        done(caller, pace, time, |caller| caller.stats).await
    }

    /// Checks that the route returns what the vendor returns directly.
    pub(super) async fn agree(&self, vendor: SocketAddr, loads: &[Load]) -> Result<(), String> {
        let tokens = Tokens::new("token", 1);
        let connections = Connections::open(&[self.address], 1).await?;
        let mut connection = connections.next().await.ok_or("no connection")?;
        for Load { name, queries, .. } in loads {
            let direct = Direct::new(vendor, queries.clone(), Tokens::new("token", 1));
            for _ in 0..20 {
                let query = queries.next();
                let body = direct.body(query, tokens.next()).await?;
                let expected = query.parse_json(&body).ok_or("no JSON of the vendor's")?;
                let message = message(&mut connection, query, tokens.next()).await;
                let message = message.map_err(|why| format!("{}: {why}", self.name))?;
                if query.parse_message(&message) != Some(expected) {
                    return Err(format!("{} and the vendor differ for {name}", self.name));
                }
            }
        }
        Ok(())
    }
}

async fn done<C: Calls>(
    caller: Arc<C>,
    pace: Pace,
    time: Duration,
    stats: impl FnOnce(C) -> Stats,
) -> Result<Stats, String> {
    match pace {
        Pace::AtOnce(count) => closed_loop(&caller, count, time).await,
        Pace::PerSecond(rate) => open_loop(&caller, rate, time).await,
    }
    Arc::into_inner(caller)
        .map(stats)
        .ok_or_else(|| "a call is still running".to_owned())
}
