//! A gateway of a scenario, started as an operator would.

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
use super::{Settings, proc_stat};

/// The longest time for a gateway to start.
const START: Duration = Duration::from_secs(10);

/// A running gateway.
#[derive(Debug)]
pub(crate) struct Gateway {
    process: Process,
    log: PathBuf,
    /// The address it listens on.
    pub address: SocketAddr,
}

impl Gateway {
    /// Starts a gateway in front of `vendor`, which counts its requests by `name`.
    pub(crate) async fn start(
        settings: &Settings,
        name: &str,
        vendor: &Vendor,
        listen: SocketAddr,
        flags: &[&str],
    ) -> Result<Self, String> {
        let flags = [flags, &vendor.flags()].concat();
        Self::with(settings, name, &vendor.url(name), listen, &flags, &[]).await
    }

    /// Starts a gateway in front of this URL, with these variables.
    pub(crate) async fn with(
        settings: &Settings,
        name: &str,
        upstream: &str,
        listen: SocketAddr,
        flags: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<Self, String> {
        let log = settings.logs.join(format!("{name}.log"));
        let file = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        // Coalescing is off: each call should do its own work.
        let arguments = ["serve", "--log-format", "json", "--share-reads=false"];
        let mut arguments: Vec<String> = arguments.map(str::to_owned).into();
        arguments.extend(["--listen".to_owned(), listen.to_string()]);
        arguments.extend(["--upstream-url".to_owned(), upstream.to_owned()]);
        arguments.extend(flags.iter().map(|&flag| flag.to_owned()));
        let mut process = Process::start(&settings.gateway, &arguments, variables, file)?;
        let address = served(&mut process, name, &log).await?;
        Ok(Self {
            process,
            log,
            address,
        })
    }

    /// The id of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Its resident memory, in megabytes.
    pub(crate) fn resident(&self) -> Result<f64, String> {
        proc_stat::resident(self.process.pid())
    }

    /// Stops it by SIGTERM and waits for its exit.
    pub(crate) async fn end(mut self) -> Result<Exit, String> {
        let pid = self.process.pid();
        let (peak_resident, cpu_time) = (proc_stat::peak_resident(pid)?, proc_stat::cpu_time(pid)?);
        self.process.terminate()?;
        let status = self.process.ended().await?;
        let warnings = warnings(&self.log).map_err(|error| error.to_string())?;
        // The rest of the log is a line per call.
        let _ = fs::remove_file(&self.log);
        Ok(Exit {
            status,
            peak_resident,
            cpu_time,
            warnings,
        })
    }
}

/// How a gateway ended.
#[derive(Debug)]
pub(crate) struct Exit {
    status: ExitStatus,
    /// The peak of its resident memory, in megabytes.
    pub peak_resident: f64,
    /// Its processor time.
    cpu_time: Duration,
    /// The warnings and errors of its log.
    warnings: Vec<String>,
}

impl Exit {
    /// Whether it exited with code 0.
    pub(crate) fn is_success(&self) -> bool {
        self.status.success()
    }

    /// Reports its exit and its processor time per call.
    pub(crate) fn report(&self, calls: u64, figures: &mut Figures) {
        let each = self.cpu_time.as_secs_f64() * 1e6 / calls as f64;
        let figure = "processor time of the gateway";
        figures.report(figure, &format!("{each:.0} us for each call"));
        self.report_end(figures);
    }

    /// Reports its exit.
    pub(crate) fn report_end(&self, figures: &mut Figures) {
        let measured = &self.status;
        figures.expect(
            "end by SIGTERM",
            &"exit status: 0",
            measured,
            self.is_success(),
        );
        self.print_warnings();
    }

    /// Prints the warnings and errors of its log.
    pub(crate) fn print_warnings(&self) {
        for warning in &self.warnings {
            println!("  a gateway's log: {warning}");
        }
    }
}

/// The warnings and errors of a log, calls excepted.
fn warnings(log: &Path) -> io::Result<Vec<String>> {
    let bad = [r#""level":"WARN""#, r#""level":"ERROR""#];
    // The caller counts failed calls.
    let call = r#""message":"call""#;
    let is_bad =
        |line: &String| bad.iter().any(|level| line.contains(level)) && !line.contains(call);
    let lines = BufReader::new(File::open(log)?).lines();
    lines
        .filter(|line| line.as_ref().map_or(true, is_bad))
        .collect()
}

/// Waits until a program serves, and returns the address in its log.
pub(super) async fn served(
    process: &mut Process,
    name: &str,
    log: &Path,
) -> Result<SocketAddr, String> {
    let end = Instant::now() + START;
    loop {
        if let Some(address) = address(&fs::read_to_string(log).unwrap_or_default()) {
            return Ok(address);
        }
        let ended = process.child().try_wait().ok().flatten();
        if ended.is_some() || Instant::now() > end {
            return Err(format!("{name} does not serve; see {}", log.display()));
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// The address in the first line of a log.
fn address(log: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(log.lines().next()?).ok()?;
    line["address"].as_str()?.parse().ok()
}
