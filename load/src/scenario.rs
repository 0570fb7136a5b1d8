//! The scenarios, with their limits and figures.

pub(crate) mod gateway;
mod greedy;
pub(crate) mod in_flight;
mod memory;
mod overload;
pub(crate) mod proc_stat;
pub(crate) mod process;
mod soak;
pub(crate) mod table;
pub(crate) mod vendor;
mod watch;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

use table::Table;
use vendor::Transport;

/// The flags of `scenario`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The scenarios to run; all by default
    names: Vec<Name>,

    /// The gateway's program
    #[arg(long, default_value = "target/release/presence-gateway")]
    gateway: PathBuf,

    /// The fraction of the full time to run
    #[arg(long, default_value = "1.0", value_parser = scale)]
    scale: f64,

    /// The directory of the gateways' logs
    #[arg(long, default_value = "target/scenario")]
    logs: PathBuf,
}

/// Any port of this machine.
pub(crate) const ANYWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    /// 10,000 calls in flight
    InFlight,
    /// 10,000 calls in flight, all of them at the upstream
    Held,
    /// 10,000 calls in flight, with TLS to the upstream
    InFlightTls,
    /// 10,000 calls in flight, all of them at the upstream, with TLS
    HeldTls,
    /// Twice the capacity
    Overload,
    /// One greedy token in a crowd of modest ones
    Greedy,
    /// Half the capacity with faults and restarts
    Soak,
    /// 500 watches of 10,000 users who change
    Watch,
    /// All sockets of these watches cut at once
    WatchCut,
    /// One of these watches not read for a minute
    WatchStopped,
    /// The requests that 1,000 watched users cost
    WatchRequests,
}

/// The settings of a run.
#[derive(Debug)]
pub(crate) struct Settings {
    pub gateway: PathBuf,
    pub logs: PathBuf,
    pub scale: f64,
}

impl Settings {
    /// The scaled time.
    fn time(&self, whole: Duration) -> Duration {
        whole.mul_f64(self.scale)
    }
}

/// Runs scenarios one after the other, and returns whether every limit is met.
///
/// # Errors
///
/// If a scenario cannot run.
pub async fn run(args: Args) -> Result<bool, String> {
    let names = if args.names.is_empty() {
        Name::value_variants()
    } else {
        &args.names
    };
    let settings = Settings {
        gateway: args.gateway,
        logs: args.logs,
        scale: args.scale,
    };
    std::fs::create_dir_all(&settings.logs).map_err(|error| error.to_string())?;
    let mut table = Table::default();
    for name in names {
        table.add(match name {
            Name::InFlight => in_flight::run(&settings, in_flight::OF_A_SECOND).await?,
            Name::Held => in_flight::run(&settings, in_flight::HELD).await?,
            Name::InFlightTls => {
                let case = in_flight::OF_A_SECOND.over(Transport::Tls);
                in_flight::run(&settings, case).await?
            }
            Name::HeldTls => {
                let case = in_flight::HELD.over(Transport::Tls);
                in_flight::run(&settings, case).await?
            }
            Name::Overload => overload::run(&settings).await?,
            Name::Greedy => greedy::run(&settings).await?,
            Name::Soak => soak::run(&settings).await?,
            Name::Watch => watch::steady::run(&settings).await?,
            Name::WatchCut => watch::cut::run(&settings).await?,
            Name::WatchStopped => watch::stopped::run(&settings).await?,
            Name::WatchRequests => watch::requests::run(&settings).await?,
        });
    }
    println!("{table}");
    Ok(table.all_met())
}

fn scale(raw: &str) -> Result<f64, String> {
    let scale = raw
        .parse()
        .ok()
        .filter(|scale| (0.01..=10.0).contains(scale));
    scale.ok_or_else(|| "is not between 0.01 and 10".to_owned())
}
