//! The benchmark: the same calls directly to the vendor, through the gateway and
//! through Envoy, in turn. docs/performance.md describes it.

mod binary_size;
mod builds;
mod collector;
mod direct;
mod envoy;
mod fit;
mod growth;
mod idle;
mod in_flight;
mod keep_awake;
mod large_bulk;
mod machine;
mod meter;
mod micro;
mod rounds;
mod route;
mod sdk;
mod series;
mod startup;
mod stream;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

use crate::scenario::table::{Figures, Table};
use crate::scenario::vendor::Transport;
use builds::Build;
use keep_awake::KeepAwake;
pub use keep_awake::spin;

/// The flags of `bench`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The gateway's program
    #[arg(long, default_value = "target/release/presence-gateway")]
    gateway: PathBuf,

    /// The program of another build of the gateway, to compare with
    #[arg(long)]
    before: Option<PathBuf>,

    /// Envoy's program
    #[arg(long)]
    envoy: PathBuf,

    /// A Python interpreter with the vendor's official SDK
    #[arg(long)]
    python: PathBuf,

    /// The number of rounds
    #[arg(long, default_value = "7")]
    rounds: usize,

    /// The time of each measurement
    #[arg(long = "for", default_value = "4s", value_parser = humantime::parse_duration)]
    time: Duration,

    /// The parts to run, with commas; all by default
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,

    /// The transports to the upstream, for the parts with calls
    #[arg(long, value_delimiter = ',', default_value = "plain,tls")]
    over: Vec<Transport>,

    /// The ids of the long stream
    #[arg(long, default_value = "1000000")]
    stream_ids: NonZeroUsize,

    /// The directory of logs and of Envoy's files
    #[arg(long, default_value = "target/bench")]
    logs: PathBuf,
}

/// The most rounds of a part that takes long.
const FEW_ROUNDS: usize = 3;

impl Args {
    /// The number of rounds of a part that takes long.
    fn few_rounds(&self) -> usize {
        self.rounds.min(FEW_ROUNDS)
    }
}

/// A part of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The size of the program
    Size,
    /// The time from the start to SERVING
    Start,
    /// Single and bulk reads beside Envoy, direct calls and the SDK
    Calls,
    /// A bulk read of 10,000 ids
    LargeBulk,
    /// A stream of 1,000,000 ids
    Stream,
    /// Memory with 10,000 calls in flight
    InFlight,
    /// Memory with 4,000 idle connections
    Idle,
    /// Processor time by ids and by calls in flight, memory by calls in flight
    Growth,
}

impl Part {
    async fn run(self, args: &Args, keep_awake: &KeepAwake) -> Result<Vec<Figures>, String> {
        match self {
            Self::Size => binary_size::run(&Build::now(args).settings).map(|figures| vec![figures]),
            Self::Start => Ok(vec![startup::run(&Build::now(args).settings).await?]),
            Self::Calls => rounds::run(args, keep_awake).await,
            Self::LargeBulk => large_bulk::run(args).await,
            Self::Stream => stream::run(args, keep_awake).await,
            Self::InFlight => in_flight::run(args).await,
            Self::Idle => idle::run(args).await,
            Self::Growth => growth::run(args, keep_awake).await,
        }
    }
}

/// Runs all measurements, and returns whether every limit is met.
///
/// # Errors
///
/// If a process does not start, or returns other responses than the vendor. The
/// table has the figures of the parts before it.
pub async fn run(args: Args) -> Result<bool, String> {
    std::fs::create_dir_all(&args.logs).map_err(|error| error.to_string())?;
    let parts = if args.only.is_empty() {
        Part::value_variants()
    } else {
        &args.only
    };
    println!("{}", machine::load_average());
    let keep_awake = KeepAwake::start()?;
    let mut table = Table::default();
    let mut ended = Ok(());
    for part in parts {
        println!("{part:?}");
        match part.run(&args, &keep_awake).await {
            Ok(figures) => figures.into_iter().for_each(|figures| table.add(figures)),
            Err(problem) => {
                ended = Err(problem);
                break;
            }
        }
    }
    println!("{}", machine::load_average());
    println!("\n{table}");
    ended.map(|()| table.all_met())
}
