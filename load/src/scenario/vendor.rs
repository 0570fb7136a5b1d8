//! The simulated vendor of a scenario, in its own process.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;

use super::process::Process;
use crate::upstream::{REPORT, Report};

/// A running simulated vendor.
#[derive(Debug)]
pub(crate) struct Vendor {
    process: Process,
    /// The address it listens on.
    pub address: SocketAddr,
}

impl Vendor {
    /// Starts one with this latency and these faults.
    pub(crate) async fn start(latency: Duration, faults: &str) -> Result<Self, String> {
        Self::with(latency, faults, &[]).await
    }

    /// Starts one with a single thread, so that its capacity does not depend on
    /// the client.
    pub(crate) async fn on_one_thread(latency: Duration) -> Result<Self, String> {
        Self::with(latency, "", &[("TOKIO_WORKER_THREADS", "1")]).await
    }

    async fn with(
        latency: Duration,
        faults: &str,
        variables: &[(&str, &str)],
    ) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let latency = humantime::format_duration(latency).to_string();
        let arguments = ["upstream", "--latency", &latency, "--faults", faults];
        let arguments = arguments.map(str::to_owned);
        let mut process = Process::start(&program, &arguments, variables, Stdio::inherit())?;
        let output = process.child().stdout.take().ok_or("no output")?;
        let line = BufReader::new(output).lines().next_line().await;
        let line = line.map_err(|error| error.to_string())?.unwrap_or_default();
        let address = line.parse();
        let address =
            address.map_err(|_| format!("the upstream printed `{line}`, not its address"))?;
        Ok(Self { process, address })
    }

    /// The id of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The URL for a sender of this name.
    pub(crate) fn url(&self, sender: &str) -> String {
        format!("http://{}/{sender}", self.address)
    }

    /// Its counts.
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
        serde_json::from_slice(&body).map_err(|error| wrong(&error))
    }
}
