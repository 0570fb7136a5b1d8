//! The asynchronous runtime of the commands.

use std::convert::Infallible;
use std::process::ExitCode;
use std::time::Duration;
use std::{env, thread};

use tokio::runtime::Builder;
use tokio::time::sleep;

use super::exit::StartupError;
use crate::args::parse_number;

/// The number of threads that serve: `TOKIO_WORKER_THREADS`, or one for each core
/// that the process may use.
pub(super) fn threads() -> Result<usize, String> {
    match env::var_os("TOKIO_WORKER_THREADS") {
        None => Ok(thread::available_parallelism().map_or(1, usize::from)),
        Some(raw) => {
            let raw = raw.to_string_lossy();
            let read = parse_number(1..=1024_usize)(&raw);
            read.map_err(|wrong| format!("TOKIO_WORKER_THREADS: `{raw}` {wrong}"))
        }
    }
}

/// Runs a command to its end, on this many threads.
pub(super) fn run(
    threads: usize,
    command: impl Future<Output = Result<ExitCode, StartupError>>,
) -> Result<ExitCode, StartupError> {
    let mut builder = match threads {
        // Cheaper for one thread: nothing is handed over between threads.
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    let runtime = builder.enable_all().worker_threads(threads).build();
    let runtime =
        runtime.map_err(|error| format!("cannot start the asynchronous runtime: {error}"))?;
    let code = runtime.block_on(async {
        tokio::select! {
            code = command => code,
            never = keep_timers_cheap() => match never {},
        }
    });
    // Does not wait for work that cannot be cancelled, such as a DNS lookup.
    runtime.shutdown_background();
    code
}

/// Keeps a timer due within a second.
///
/// A new timer that is due before all others wakes tokio's I/O driver by a
/// system call, even if the driver is not parked. If nothing else is due soon,
/// the deadline of each call is such a timer: three of nine system calls.
/// Unnecessary once <https://github.com/tokio-rs/tokio/issues/5207> is fixed.
async fn keep_timers_cheap() -> Infallible {
    loop {
        sleep(Duration::from_secs(1)).await;
    }
}
