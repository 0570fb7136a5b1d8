//! The caller: makes calls with many tokens over several connections, and counts
//! how each ends.

mod connection;
mod exchange;
mod load_loop;
mod outcome;
mod query;
mod received;
mod stats;
mod token;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

pub use connection::Connections;
pub use exchange::message;
pub use load_loop::{Calls, closed_loop, counted_loop, open_loop};
pub use outcome::Outcome;
pub use query::{Queries, Query, encode_frame};
pub use stats::{Latencies, Stats};
pub use token::Tokens;

use exchange::{Attempt, exchange};

/// How often a call that the gateway did not process is sent again; gRPC
/// clients do this transparently.
const MAX_RESENDS: usize = 5;

/// How long after its deadline a call without a response is abandoned. The
/// gateway responds before the deadline, so such a call has no status.
const GRACE: Duration = Duration::from_secs(1);

/// The flags of `call`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The address of a gateway; repeat it for each replica
    #[arg(long = "address", required = true)]
    addresses: Vec<SocketAddr>,

    /// Closed loop: keep this many calls in flight
    #[arg(long, conflicts_with = "rate", required_unless_present = "rate")]
    in_flight: Option<usize>,

    /// Open loop: start this many calls per second
    #[arg(long)]
    rate: Option<f64>,

    /// The duration of the run
    #[arg(long = "for", default_value = "30s", value_parser = humantime::parse_duration)]
    time: Duration,

    /// The deadline of each call
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
    deadline: Duration,

    /// The number of connections to each address
    #[arg(long, default_value = "8")]
    connections: usize,

    /// The number of tokens
    #[arg(long, default_value = "64")]
    tokens: usize,

    /// The fraction of calls that are bulk reads
    #[arg(long, default_value = "0")]
    bulk: f64,
}

/// Makes calls as the flags say, and prints their statistics.
///
/// # Errors
///
/// If no gateway can be reached.
pub async fn run(args: Args) -> Result<(), String> {
    let caller = Caller {
        connections: Connections::open(&args.addresses, args.connections).await?,
        queries: Queries::new(args.bulk),
        tokens: Tokens::new("token", args.tokens),
        deadline: args.deadline,
        stats: Stats::default(),
    };
    let caller = Arc::new(caller);
    match (args.in_flight, args.rate) {
        (Some(count), _) => closed_loop(&caller, count, args.time).await,
        (_, rate) => open_loop(&caller, rate.unwrap_or_default(), args.time).await,
    }
    print!("{}", caller.stats);
    Ok(())
}

/// The caller and its requests.
#[derive(Debug)]
pub struct Caller {
    /// The connections to all gateways.
    pub connections: Arc<Connections>,
    /// The requests.
    pub queries: Queries,
    /// The tokens.
    pub tokens: Tokens,
    /// The deadline of each call.
    pub deadline: Duration,
    /// The statistics of its calls.
    pub stats: Stats,
}

impl Calls for Caller {
    async fn call(&self, due: Instant) {
        let end = Instant::now() + self.deadline + GRACE;
        let outcome = timeout_at(end, self.outcome()).await;
        let outcome = outcome.unwrap_or(Outcome::NoStatus("no answer in time"));
        self.stats.count(&outcome, due.elapsed());
    }

    fn stats(&self) -> &Stats {
        &self.stats
    }
}

impl Caller {
    async fn outcome(&self) -> Outcome {
        let (query, token) = (self.queries.next(), self.tokens.next());
        for _ in 0..=MAX_RESENDS {
            let Some(mut connection) = self.connections.next().await else {
                return Outcome::NoStatus("no connection");
            };
            match exchange(&mut connection, query, token, self.deadline).await {
                Attempt::Exit(outcome) => return outcome,
                Attempt::Unsent => self.stats.count_resent(),
            }
        }
        Outcome::NoStatus("never arrived")
    }
}
