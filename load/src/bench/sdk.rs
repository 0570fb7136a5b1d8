//! The vendor's official Python SDK in a loop: the alternative to a gateway.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::process::Command;

/// The program in Python, beside this crate.
const PROGRAM: &str = include_str!("../../sdk.py");

/// Its own measurements.
#[derive(Debug, Deserialize)]
pub(super) struct Sdk {
    pub unary: Loop,
    pub bulk: Loop,
    pub resident_mb: f64,
}

/// Calls one after the other.
#[derive(Debug, Deserialize)]
pub(super) struct Loop {
    pub cpu_us: f64,
    pub per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

/// Runs it against the vendor at `url`.
pub(super) async fn run(python: &Path, url: &str, time: Duration) -> Result<Sdk, String> {
    let seconds = time.as_secs_f64().to_string();
    let mut program = Command::new(python);
    program.args(["-c", PROGRAM, url, &seconds]);
    let run = program.stderr(Stdio::inherit()).kill_on_drop(true).output();
    let output = run
        .await
        .map_err(|error| format!("{}: {error}", python.display()))?;
    serde_json::from_slice(&output.stdout).map_err(|error| format!("the SDK's loop: {error}"))
}
