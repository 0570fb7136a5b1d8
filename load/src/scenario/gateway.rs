//! A gateway of a scenario, as an operator starts it.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::process::Process;
use super::table::Figures;
use super::vendor::Vendor;
use super::{Setting, memory};

/// How long a gateway may take to start.
const START: Duration = Duration::from_secs(10);

/// A gateway that serves.
#[derive(Debug)]
pub(crate) struct Gateway {
    process: Process,
    log: PathBuf,
    /// Where it serves.
    pub address: SocketAddr,
}

impl Gateway {
    /// Starts a gateway in front of `vendor`, which knows it by its name.
    pub(crate) async fn start(
        setting: &Setting,
        name: &str,
        vendor: &Vendor,
        listen: SocketAddr,
        flags: &[&str],
    ) -> Result<Self, String> {
        Self::with(setting, name, vendor, listen, flags, &[]).await
    }

    /// The same, with these variables.
    pub(crate) async fn with(
        setting: &Setting,
        name: &str,
        vendor: &Vendor,
        listen: SocketAddr,
        flags: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<Self, String> {
        let log = setting.logs.join(format!("{name}.log"));
        let file = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        // Every call is to do its work, also where others ask the same.
        let arguments = ["serve", "--log-format", "json", "--share-reads=false"];
        let mut arguments: Vec<String> = arguments.map(str::to_owned).into();
        arguments.extend(["--listen".to_owned(), listen.to_string()]);
        arguments.extend(["--upstream-url".to_owned(), vendor.url(name)]);
        arguments.extend(flags.iter().map(|&flag| flag.to_owned()));
        let mut process = Process::start(&setting.gateway, &arguments, variables, file)?;
        let end = Instant::now() + START;
        loop {
            if let Some(address) = address(&fs::read_to_string(&log).unwrap_or_default()) {
                return Ok(Self {
                    process,
                    log,
                    address,
                });
            }
            let ended = process.child().try_wait().ok().flatten();
            if ended.is_some() || Instant::now() > end {
                return Err(format!("{name} does not serve; see {}", log.display()));
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// The id of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Its resident memory, in megabytes.
    pub(crate) fn resident(&self) -> Result<f64, String> {
        memory::resident(self.process.pid())
    }

    /// Asks it to end, and waits until it has.
    pub(crate) async fn end(mut self) -> Result<Ended, String> {
        let pid = self.process.pid();
        let (most_resident, busy) = (memory::most_resident(pid)?, memory::busy(pid)?);
        self.process.terminate()?;
        let status = self.process.ended().await?;
        let complaints = complaints(&self.log).map_err(|error| error.to_string())?;
        // What is left of it is a line for each call.
        let _ = fs::remove_file(&self.log);
        Ok(Ended {
            status,
            most_resident,
            busy,
            complaints,
        })
    }
}

/// How a gateway ended.
#[derive(Debug)]
pub(crate) struct Ended {
    status: ExitStatus,
    /// The most memory that it ever had, in megabytes.
    pub most_resident: f64,
    /// How long it kept a processor busy.
    busy: Duration,
    /// What its log complains of.
    complaints: Vec<String>,
}

impl Ended {
    /// Whether it ended as it should at SIGTERM.
    pub(crate) fn is_clean(&self) -> bool {
        self.status.success()
    }

    /// Tells how it ended, after so many calls.
    pub(crate) fn tell(&self, calls: u64, figures: &mut Figures) {
        let each = self.busy.as_secs_f64() * 1e6 / calls as f64;
        let figure = "processor time of the gateway";
        figures.tell(figure, &format!("{each:.0} us for each call"));
        let measured = &self.status;
        figures.want(
            "end by SIGTERM",
            &"exit status: 0",
            measured,
            self.is_clean(),
        );
        self.complain();
    }

    /// Prints what its log complains of.
    pub(crate) fn complain(&self) {
        for complaint in &self.complaints {
            println!("  a gateway's log: {complaint}");
        }
    }
}

/// The lines of a log that an operator is to look at.
fn complaints(log: &Path) -> io::Result<Vec<String>> {
    let bad = [r#""level":"WARN""#, r#""level":"ERROR""#];
    // A call that failed is counted by who made it.
    let call = r#""message":"call""#;
    let is_bad =
        |line: &String| bad.iter().any(|level| line.contains(level)) && !line.contains(call);
    let lines = BufReader::new(File::open(log)?).lines();
    lines
        .filter(|line| line.as_ref().map_or(true, is_bad))
        .collect()
}

/// Where a gateway serves, as its log says.
fn address(log: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(log.lines().next()?).ok()?;
    line["address"].as_str()?.parse().ok()
}
