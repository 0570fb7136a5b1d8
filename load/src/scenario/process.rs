//! Child processes, killed at the end of a scenario.

use std::path::Path;
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

/// A process; killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    pid: u32,
}

impl Process {
    /// Starts a program with these variables and a piped standard output.
    pub(crate) fn start(
        program: &Path,
        arguments: &[String],
        variables: &[(&str, &str)],
        log: impl Into<Stdio>,
    ) -> Result<Self, String> {
        let name = program.display().to_string();
        let child = Command::new(program)
            .args(arguments)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{name}: {error}"))?;
        let pid = child.id().ok_or_else(|| format!("{name} has ended"))?;
        Ok(Self { name, child, pid })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// The child process.
    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) -> Result<(), String> {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or("no process id")?;
        kill_process(pid, Signal::TERM).map_err(|error| format!("{}: {error}", self.name))
    }

    /// Waits for its exit.
    pub(crate) async fn ended(&mut self) -> Result<ExitStatus, String> {
        let ended = self.child.wait().await;
        ended.map_err(|error| format!("{}: {error}", self.name))
    }
}
