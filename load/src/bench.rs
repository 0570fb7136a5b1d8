//! The benchmark: the same calls to the vendor directly, through the gateway
//! and through Envoy, in turn, and what each takes. docs/performance.md tells
//! of it.

mod awake;
mod collector;
mod course;
mod direct;
mod envoy;
mod large;
mod machine;
mod micro;
mod sdk;
mod series;
mod size;
mod start;
mod way;

use std::path::PathBuf;
use std::time::Duration;

use crate::scenario::Setting;
use crate::scenario::table::Table;
use awake::Awake;
pub use awake::spin;

/// The flags of `bench`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The gateway's program
    #[arg(long, default_value = "target/release/presence-gateway")]
    gateway: PathBuf,

    /// Envoy's program
    #[arg(long)]
    envoy: PathBuf,

    /// A Python that has the vendor's official SDK
    #[arg(long)]
    python: PathBuf,

    /// How often each is measured, in turn with the others
    #[arg(long, default_value = "7")]
    rounds: usize,

    /// How long each is measured each time
    #[arg(long = "for", default_value = "4s", value_parser = humantime::parse_duration)]
    time: Duration,

    /// Where logs and Envoy's files are written
    #[arg(long, default_value = "target/bench")]
    logs: PathBuf,
}

/// Measures all there is, and gives whether it is what is wanted.
///
/// # Errors
///
/// If something does not start, or does not answer as the others do.
pub async fn run(args: Args) -> Result<bool, String> {
    std::fs::create_dir_all(&args.logs).map_err(|error| error.to_string())?;
    let setting = Setting {
        gateway: args.gateway.clone(),
        logs: args.logs.clone(),
        scale: 1.0,
    };
    println!("{}", machine::told());
    let awake = Awake::start()?;
    let mut table = Table::default();
    table.add(size::of(&setting)?);
    table.add(start::run(&setting).await?);
    for figures in course::run(&setting, &args, &awake).await? {
        table.add(figures);
    }
    table.add(large::run(&setting).await?);
    println!("{}", machine::told());
    println!("\n{table}");
    Ok(table.is_met())
}
