//! The benchmark: the same calls directly to the vendor, through the gateway and
//! through Envoy, in turn. docs/performance.md describes it.

mod binary_size;
mod collector;
mod direct;
mod envoy;
mod keep_awake;
mod large_bulk;
mod machine;
mod micro;
mod rounds;
mod route;
mod sdk;
mod series;
mod startup;

use std::path::PathBuf;
use std::time::Duration;

use crate::scenario::Settings;
use crate::scenario::table::Table;
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

    /// The directory of logs and of Envoy's files
    #[arg(long, default_value = "target/bench")]
    logs: PathBuf,
}

/// Runs all measurements, and returns whether every limit is met.
///
/// # Errors
///
/// If a process does not start, or returns other responses than the vendor.
pub async fn run(args: Args) -> Result<bool, String> {
    std::fs::create_dir_all(&args.logs).map_err(|error| error.to_string())?;
    let settings = Settings {
        gateway: args.gateway.clone(),
        logs: args.logs.clone(),
        scale: 1.0,
    };
    println!("{}", machine::load_average());
    let keep_awake = KeepAwake::start()?;
    let mut table = Table::default();
    table.add(binary_size::run(&settings)?);
    table.add(startup::run(&settings).await?);
    for figures in rounds::run(&settings, &args, &keep_awake).await? {
        table.add(figures);
    }
    table.add(large_bulk::run(&settings).await?);
    println!("{}", machine::load_average());
    println!("\n{table}");
    Ok(table.all_met())
}
