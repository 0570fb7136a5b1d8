//! Keeps the cores from sleeping: a virtual machine pays for each wake-up, more
//! than any proxy takes for a call, and another price each time.

use std::path::Path;
use std::process::Stdio;
use std::thread::available_parallelism;

use rustix::process::getppid;

use crate::scenario::process::Process;

/// The subcommand that does it for one core.
const SPIN: &str = "spin";

/// Works for nobody, until this is dropped, on each core that nobody wants.
#[derive(Debug)]
pub(super) struct Awake(Vec<Process>);

impl Awake {
    pub(super) fn start() -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let program = program.display().to_string();
        let cores = available_parallelism().map_or(1, Into::into);
        // Of the class that has a core as long as no other process asks for it.
        let arguments = ["--idle", "0", &program, SPIN].map(str::to_owned);
        let spin = || Process::start(Path::new("chrt"), &arguments, &[], Stdio::inherit());
        let spinning: Result<_, _> = (0..cores).map(|_| spin()).collect();
        spinning
            .map(Self)
            .map_err(|error| format!("{error} (it is of util-linux)"))
    }

    /// The processes, which use what others left.
    pub(super) fn pids(&self) -> impl Iterator<Item = u32> {
        self.0.iter().map(Process::pid)
    }
}

/// Works for nobody, as long as whoever wants that is there.
pub fn spin() {
    let wanted_by = getppid();
    while getppid() == wanted_by {
        for _ in 0..100_000 {
            std::hint::spin_loop();
        }
    }
}
