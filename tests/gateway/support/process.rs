//! The program as an operator starts it: a process with flags and environment
//! variables.

mod log;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;

pub use log::Log;

/// Timeout for a log line or an exit that must come.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Exit code and output of the program.
#[derive(Debug)]
pub struct ProcessOutput {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// A command of the program, with only these environment variables.
fn program(arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_presence-gateway"));
    command
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied());
    command
}

/// Starts the program with pipes to all three of its streams.
fn piped(arguments: &[&str], environment: &[(&str, &str)]) -> Child {
    program(arguments, environment)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Runs the program to its end.
pub fn run(arguments: &[&str], environment: &[(&str, &str)]) -> ProcessOutput {
    run_with_input(arguments, environment, "")
}

/// Runs the program to its end, with this standard input.
pub fn run_with_input(
    arguments: &[&str],
    environment: &[(&str, &str)],
    input: &str,
) -> ProcessOutput {
    let mut child = piped(arguments, environment);
    // A process that does not read its input may have closed it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    ProcessOutput {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

impl ProcessOutput {
    /// The configuration errors that the program printed; panics if it did not
    /// exit with 64.
    #[track_caller]
    pub fn config_errors(&self) -> Vec<&str> {
        assert_eq!(self.code, Some(64), "exit code 64 expected: {self:#?}");
        assert_eq!(self.stdout, "");
        let lines = self.stderr.lines();
        lines
            .filter_map(|line| line.strip_prefix("presence-gateway: "))
            .filter(|line| *line != "--help lists the flags")
            .collect()
    }
}

/// A server process on a free port, killed on drop.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    pub address: String,
    pub log: Log,
    /// The other side of the terminal that is its standard input, if it is one.
    _terminal: Option<OwnedFd>,
}

impl ServerProcess {
    /// Starts a server and waits until it logs its address in JSON. Its lame duck
    /// phase is zero, and its sandbox is on a free port, unless the environment sets
    /// them.
    pub fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let defaults = [
            ("PRESENCE_GATEWAY_LAME_DUCK", "0s"),
            ("PRESENCE_GATEWAY_SANDBOX_LISTEN", "127.0.0.1:0"),
        ];
        let environment = [&defaults, environment].concat();
        Self::start_reading(arguments, &environment, Stdio::null(), None)
    }

    /// Starts a server in the same way, on a terminal, and with the default lame duck.
    pub fn start_on_terminal(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        let path = ptsname(&terminal, Vec::new()).unwrap();
        // Else it may become the terminal of the tests, which end when it goes.
        let no_control = OpenptFlags::NOCTTY.bits().cast_signed();
        let stdin = fs::OpenOptions::new()
            .read(true)
            .custom_flags(no_control)
            .open(path.to_str().unwrap());
        Self::start_reading(
            arguments,
            environment,
            stdin.unwrap().into(),
            Some(terminal),
        )
    }

    fn start_reading(
        arguments: &[&str],
        environment: &[(&str, &str)],
        stdin: Stdio,
        terminal: Option<OwnedFd>,
    ) -> Self {
        let arguments = [arguments, &["--listen", "127.0.0.1:0"]].concat();
        let mut child = program(&arguments, environment)
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let first = lines.next().expect("the log line `serving`").unwrap();
        let address = serde_json::from_str::<Value>(&first)
            .ok()
            .and_then(|line| Some(line["address"].as_str()?.to_owned()))
            .unwrap_or_else(|| panic!("no address in the first log line: {first}"));
        let log = Log::default();
        log.push(first);
        let copy = log.clone();
        // Reads to the end, so that the process never blocks on a full pipe.
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                copy.push(line);
            }
            copy.end();
        });
        Self {
            child,
            address,
            log,
            _terminal: terminal,
        }
    }

    /// Reads the quickstart from standard output.
    pub fn quickstart(&mut self) -> String {
        let mut lines = BufReader::new(self.child.stdout.take().unwrap()).lines();
        let mut text = String::new();
        while let Some(Ok(line)) = lines.next() {
            text += &line;
            text.push('\n');
            // The last line. The path of the program may have the word, too.
            if line.contains("curl") {
                break;
            }
        }
        text
    }

    /// Sends a signal to the process.
    pub fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// Waits until the log has a line whose message starts with this.
    pub fn wait_for_log(&self, message: &str) {
        let matches = |line: &String| {
            let line: Value = serde_json::from_str(line).unwrap();
            line["message"]
                .as_str()
                .is_some_and(|text| text.starts_with(message))
        };
        let what = format!("a line `{message}`");
        self.log
            .wait_until(&what, |lines| lines.iter().any(matches));
    }

    /// The resident memory, in KiB.
    pub fn resident_kib(&self) -> usize {
        let ps = Command::new("ps")
            .args(["-o", "rss=", "-p", &self.child.id().to_string()])
            .output();
        let size = String::from_utf8(ps.unwrap().stdout).unwrap();
        size.trim().parse().unwrap()
    }

    /// The peak of the resident memory, in KiB.
    #[cfg(target_os = "linux")]
    pub fn peak_kib(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|peak| peak.split_whitespace().next());
        peak.expect("VmHWM in the status").parse().unwrap()
    }

    /// Waits for the exit; returns the status and the log.
    pub fn wait(mut self) -> (ExitStatus, Vec<String>) {
        let status = self.child.wait().unwrap();
        self.log.wait_for_end();
        (status, self.log.lines())
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process.
fn signal(child: &Child, name: &str) {
    let kill = Command::new("kill")
        .args(["-s", name, &child.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
}

/// A process of the program with piped input and output, killed on drop.
#[derive(Debug)]
pub struct RunningProcess {
    child: Child,
    stdout: Option<BufReader<ChildStdout>>,
}

impl RunningProcess {
    /// Starts the program, with open standard input.
    pub fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut child = piped(arguments, environment);
        let stdout = child.stdout.take().map(BufReader::new);
        Self { child, stdout }
    }

    /// Writes to standard input.
    pub fn input(&mut self, text: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
    }

    /// Waits for the next line of standard output.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.as_mut().unwrap().read_line(&mut line).unwrap();
        line
    }

    /// Waits for the first output, without consuming it.
    pub fn wait_for_output(&mut self) {
        assert_ne!(self.stdout.as_mut().unwrap().fill_buf().unwrap(), b"");
    }

    /// Closes the reading end of standard output.
    pub fn close_output(&mut self) {
        self.stdout = None;
    }

    /// Sends a signal to the process.
    pub fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// Repeats a signal until the process exits.
    pub fn signal_until_ended(&mut self, name: &str) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < TIMEOUT, "no exit after SIG{name}");
            self.signal(name);
        }
    }

    /// Reads the remaining output and waits for the exit.
    pub fn end(&mut self) -> ProcessOutput {
        let mut run = ProcessOutput {
            code: None,
            stdout: String::new(),
            stderr: String::new(),
        };
        if let Some(stdout) = &mut self.stdout {
            stdout.read_to_string(&mut run.stdout).unwrap();
        }
        let stderr = self.child.stderr.as_mut().unwrap();
        stderr.read_to_string(&mut run.stderr).unwrap();
        run.code = self.child.wait().unwrap().code();
        run
    }
}

impl Drop for RunningProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A temporary file, removed on drop.
#[derive(Debug)]
pub struct TempFile(PathBuf);

impl TempFile {
    pub fn new(name: &str, text: &str) -> Self {
        let file = format!("presence-gateway-{}-{name}", std::process::id());
        let file = std::env::temp_dir().join(file);
        fs::write(&file, text).unwrap();
        Self(file)
    }

    pub fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
