//! Keeps the cores awake: on a virtual machine each wake-up costs more than a
//! proxy's work for a call, and the cost varies.

use std::path::Path;
use std::process::Stdio;
use std::thread::available_parallelism;

use rustix::process::getppid;

use crate::scenario::process::Process;

/// The subcommand that keeps one core busy.
const SPIN: &str = "spin";

/// Spins on each idle core until dropped.
#[derive(Debug)]
pub(super) struct KeepAwake(Vec<Process>);

impl KeepAwake {
    pub(super) fn start() -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let program = program.display().to_string();
        let cores = available_parallelism().map_or(1, Into::into);
        // The idle scheduling class yields to every other process.
        let arguments = ["--idle", "0", &program, SPIN].map(str::to_owned);
        let spin = || Process::start(Path::new("chrt"), &arguments, &[], Stdio::inherit());
        let spinning: Result<_, _> = (0..cores).map(|_| spin()).collect();
        spinning
            .map(Self)
            .map_err(|error| format!("{error} (it is of util-linux)"))
    }

    /// The spinning processes.
    pub(super) fn pids(&self) -> impl Iterator<Item = u32> {
        self.0.iter().map(Process::pid)
    }
}

/// Spins until the parent process ends.
pub fn spin() {
    let wanted_by = getppid();
    while getppid() == wanted_by {
        for _ in 0..100_000 {
            std::hint::spin_loop();
        }
    }
}
