//! The callers: calls of many tokens over some connections, each with the
//! status that it ended with.

mod connection;
mod exchange;
mod outcome;
mod pace;
mod question;
mod tally;
mod token;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

pub use connection::Connections;
pub use exchange::message;
pub use outcome::Outcome;
pub use pace::{Calls, closed, open};
pub use question::{Question, Questions};
pub use tally::Tally;
pub use token::Tokens;

use exchange::{Asked, exchange};

/// How often a call is sent again that never arrived, as a client of gRPC
/// does by itself.
const MAX_RESENT: usize = 5;

/// How long after its deadline a call is given up that has no answer: the
/// gateway is to answer before the deadline, so that one is lost.
const LATE: Duration = Duration::from_secs(1);

/// The flags of `call`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Where a gateway is; may be given for each replica
    #[arg(long = "address", required = true)]
    addresses: Vec<SocketAddr>,

    /// Keep so many calls in flight
    #[arg(long, conflicts_with = "rate", required_unless_present = "rate")]
    in_flight: Option<usize>,

    /// Begin so many calls a second, however long they take
    #[arg(long)]
    rate: Option<f64>,

    /// For so long
    #[arg(long = "for", default_value = "30s", value_parser = humantime::parse_duration)]
    time: Duration,

    /// The deadline of each call
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
    deadline: Duration,

    /// How many connections there are to each address
    #[arg(long, default_value = "8")]
    connections: usize,

    /// How many tokens there are
    #[arg(long, default_value = "64")]
    tokens: usize,

    /// The part of the calls that are bulk reads
    #[arg(long, default_value = "0")]
    bulk: f64,
}

/// Calls as the flags say, and prints what it came to.
///
/// # Errors
///
/// If there is no gateway.
pub async fn run(args: Args) -> Result<(), String> {
    let caller = Caller {
        connections: Connections::open(&args.addresses, args.connections).await?,
        questions: Questions::new(args.bulk),
        tokens: Tokens::new("token", args.tokens),
        deadline: args.deadline,
        tally: Tally::default(),
    };
    let caller = Arc::new(caller);
    match (args.in_flight, args.rate) {
        (Some(count), _) => closed(&caller, count, args.time).await,
        (_, rate) => open(&caller, rate.unwrap_or_default(), args.time).await,
    }
    print!("{}", caller.tally);
    Ok(())
}

/// Who calls, and what is asked.
#[derive(Debug)]
pub struct Caller {
    /// To all gateways.
    pub connections: Arc<Connections>,
    /// What is asked.
    pub questions: Questions,
    /// In whose name.
    pub tokens: Tokens,
    /// How long an answer may take.
    pub deadline: Duration,
    /// What it comes to.
    pub tally: Tally,
}

impl Calls for Caller {
    async fn call(&self, due: Instant) {
        let end = Instant::now() + self.deadline + LATE;
        let outcome = timeout_at(end, self.outcome()).await;
        let outcome = outcome.unwrap_or(Outcome::Lost("no answer in time"));
        self.tally.count(&outcome, due.elapsed());
    }

    fn tally(&self) -> &Tally {
        &self.tally
    }
}

impl Caller {
    async fn outcome(&self) -> Outcome {
        let (question, token) = (self.questions.next(), self.tokens.next());
        for _ in 0..=MAX_RESENT {
            let Some(mut connection) = self.connections.next().await else {
                return Outcome::Lost("no connection");
            };
            match exchange(&mut connection, question, token, self.deadline).await {
                Asked::Ended(outcome) => return outcome,
                Asked::Unsent => self.tally.resent(),
            }
        }
        Outcome::Lost("never arrived")
    }
}
