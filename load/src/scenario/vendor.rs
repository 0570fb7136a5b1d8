//! The simulated vendor of a scenario, in its own process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use clap::ValueEnum;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::ChildStdout;

use super::ANYWHERE;
use super::process::Process;
use crate::upstream::{Protocol, REPORT, Report};

/// How gateways reach the vendor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    /// HTTP/1.1 without TLS
    Plain,
    /// TLS, which offers HTTP/2 and HTTP/1.1
    Tls,
}

impl Transport {
    /// The name of a figure or a scenario over it.
    pub(crate) fn name(self, of: &str) -> String {
        match self {
            Self::Plain => of.to_owned(),
            Self::Tls => format!("{of}, TLS"),
        }
    }
}

/// A running simulated vendor.
#[derive(Debug)]
pub(crate) struct Vendor {
    process: Process,
    /// The address it listens on without TLS, where this process reads its report.
    pub address: SocketAddr,
    /// Where gateways reach it by TLS.
    pub tls: Option<Tls>,
}

/// A vendor's TLS.
#[derive(Debug)]
pub(crate) struct Tls {
    pub address: SocketAddr,
    /// The file with its CA.
    pub ca: String,
}

impl Vendor {
    /// Starts one without TLS, with this latency and these faults.
    pub(crate) async fn start(latency: Duration, faults: &str) -> Result<Self, String> {
        Self::with(latency, faults, None, &[]).await
    }

    /// Starts one with this latency and transport; a CA's file goes to `files`.
    pub(crate) async fn over(
        transport: Transport,
        latency: Duration,
        files: &Path,
    ) -> Result<Self, String> {
        Self::with(latency, "", ca(transport, files), &[]).await
    }

    /// The same with a single thread, so that its capacity does not depend on the client.
    pub(crate) async fn on_one_thread(
        transport: Transport,
        latency: Duration,
        files: &Path,
    ) -> Result<Self, String> {
        let variables = [("TOKIO_WORKER_THREADS", "1")];
        Self::with(latency, "", ca(transport, files), &variables).await
    }

    async fn with(
        latency: Duration,
        faults: &str,
        ca: Option<PathBuf>,
        variables: &[(&str, &str)],
    ) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let latency = humantime::format_duration(latency).to_string();
        let arguments = ["upstream", "--latency", &latency, "--faults", faults];
        let mut arguments: Vec<String> = arguments.map(str::to_owned).into();
        let ca = ca.map(|ca| ca.display().to_string());
        if let Some(ca) = &ca {
            let listen = ANYWHERE.to_string();
            arguments.extend(["--tls-listen", &listen, "--tls-ca", ca].map(str::to_owned));
        }
        let mut process = Process::start(&program, &arguments, variables, Stdio::inherit())?;
        let output = process.child().stdout.take().ok_or("no output")?;
        let mut lines = BufReader::new(output).lines();
        let address = printed(&mut lines).await?;
        let tls = match ca {
            Some(ca) => Some(Tls {
                address: printed(&mut lines).await?,
                ca,
            }),
            None => None,
        };
        Ok(Self {
            process,
            address,
            tls,
        })
    }

    /// The id of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The URL for a sender of this name.
    pub(crate) fn url(&self, sender: &str) -> String {
        match &self.tls {
            Some(tls) => format!("https://{}/{sender}", tls.address),
            None => format!("http://{}/{sender}", self.address),
        }
    }

    /// The flags by which a gateway trusts it.
    pub(crate) fn flags(&self) -> Vec<&str> {
        let flags = self.tls.iter().map(|tls| ["--upstream-ca", &tls.ca]);
        flags.flatten().collect()
    }

    /// Its counts, without the connections of this report and, with TLS, without any plain
    /// ones: these are direct calls.
    pub(crate) async fn report(&self) -> Result<Report, String> {
        let wrong = |error: &dyn std::fmt::Display| format!("the upstream's report: {error}");
        let stream = TcpStream::connect(self.address).await;
        let stream = TokioIo::new(stream.map_err(|error| wrong(&error))?);
        let shaken = http1::handshake(stream).await;
        let (mut sender, connection) = shaken.map_err(|error| wrong(&error))?;
        tokio::spawn(async { drop(connection.await) });
        let request = Request::get(REPORT).header("host", "upstream");
        let request = request.body(Empty::<Bytes>::new());
        let request = request.map_err(|error| wrong(&error))?;
        let answer = sender.send_request(request).await;
        let answer = answer.map_err(|error| wrong(&error))?;
        let body = answer.into_body().collect().await;
        let body = body.map_err(|error| wrong(&error))?.to_bytes();
        let report: Result<Report, _> = serde_json::from_slice(&body);
        let mut report = report.map_err(|error| wrong(&error))?;
        let is_plain = |protocol| protocol == Protocol::Plain;
        let connections = &mut report.connections;
        connections.retain(|of| is_plain(of.protocol) == self.tls.is_none());
        for plain in connections.iter_mut().filter(|of| is_plain(of.protocol)) {
            // This report's own.
            plain.accepted -= 1;
        }
        Ok(report)
    }
}

/// The file for the CA of this transport.
fn ca(transport: Transport, files: &Path) -> Option<PathBuf> {
    (transport == Transport::Tls).then(|| files.join("upstream-ca.pem"))
}

/// An address that an upstream prints.
async fn printed(lines: &mut Lines<BufReader<ChildStdout>>) -> Result<SocketAddr, String> {
    let line = lines.next_line().await.map_err(|error| error.to_string())?;
    let line = line.unwrap_or_default();
    let address = line.parse();
    address.map_err(|_| format!("the upstream printed `{line}`, not its address"))
}
