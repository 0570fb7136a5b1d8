//! The program as an operator starts it: a process with flags and variables.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::Value;

/// How long a line of the log is waited for that must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a run of the program came to.
#[derive(Debug)]
pub struct ProcessOutput {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// The program with no environment but this one.
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

/// Runs the program to its end, with something on its standard input.
pub fn run_with_input(
    arguments: &[&str],
    environment: &[(&str, &str)],
    input: &str,
) -> ProcessOutput {
    let mut child = piped(arguments, environment);
    // One that does not read its input may have closed it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    ProcessOutput {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

impl ProcessOutput {
    /// The problems that a wrong command line was refused with.
    #[track_caller]
    pub fn config_errors(&self) -> Vec<&str> {
        assert_eq!(
            self.code,
            Some(64),
            "it should have been refused: {self:#?}"
        );
        assert_eq!(self.stdout, "");
        let lines = self.stderr.lines();
        lines
            .filter_map(|line| line.strip_prefix("presence-gateway: "))
            .filter(|line| *line != "--help lists the flags")
            .collect()
    }
}

/// A server process with a port of its own.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    pub address: String,
    pub log: Log,
}

/// What a process wrote to its standard error stream.
#[derive(Debug, Clone)]
pub struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().clone()
    }
}

impl ServerProcess {
    /// Starts a server and waits until it serves, as its log says in JSON. It
    /// ends without a pause unless the environment says so.
    pub fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let arguments = [arguments, &["--listen", "127.0.0.1:0"]].concat();
        let no_pause = [("PRESENCE_GATEWAY_LAME_DUCK", "0s")];
        let mut child = program(&arguments, &[&no_pause, environment].concat())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let first = lines.next().expect("a line that says `serving`").unwrap();
        let address = serde_json::from_str::<Value>(&first)
            .ok()
            .and_then(|line| Some(line["address"].as_str()?.to_owned()))
            .unwrap_or_else(|| panic!("it does not say where it serves: {first}"));
        let log = Log(Arc::new(Mutex::new(vec![first])));
        let copy = log.clone();
        // Read to the end, so that the process never waits for its reader.
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                copy.0.lock().push(line);
            }
        });
        Self {
            child,
            address,
            log,
        }
    }

    /// What it prints for the one who tries it out.
    pub fn quickstart(&mut self) -> String {
        let mut lines = BufReader::new(self.child.stdout.take().unwrap()).lines();
        let mut greeting = String::new();
        while let Some(Ok(line)) = lines.next() {
            greeting += &line;
            greeting.push('\n');
            if line.contains("/sandbox") {
                break;
            }
        }
        greeting
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// Waits until the log has a line that begins so.
    pub fn wait_for_log(&self, message: &str) {
        let is_it = |line: &String| {
            let line: Value = serde_json::from_str(line).unwrap();
            line["message"]
                .as_str()
                .is_some_and(|said| said.starts_with(message))
        };
        let begun = Instant::now();
        while !self.log.lines().iter().any(is_it) {
            assert!(begun.elapsed() < PATIENCE, "{:#?}", self.log.lines());
            thread::yield_now();
        }
    }

    /// How much memory it has, in KiB.
    pub fn resident_kib(&self) -> usize {
        let ps = Command::new("ps")
            .args(["-o", "rss=", "-p", &self.child.id().to_string()])
            .output();
        let told = String::from_utf8(ps.unwrap().stdout).unwrap();
        told.trim().parse().unwrap()
    }

    /// The most memory that it ever had, in KiB.
    #[cfg(target_os = "linux")]
    pub fn peak_kib(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|peak| peak.split_whitespace().next());
        peak.expect("a peak").parse().unwrap()
    }

    /// Waits until it has ended.
    pub fn wait(mut self) -> (ExitStatus, Vec<String>) {
        let status = self.child.wait().unwrap();
        // The reader of the log ends with the process, and lets go of its copy.
        while Arc::strong_count(&self.log.0) > 1 {
            thread::yield_now();
        }
        (status, self.log.lines())
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a process a signal.
fn signal(child: &Child, name: &str) {
    let kill = Command::new("kill")
        .args(["-s", name, &child.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
}

/// A run of the program that is looked at before its end.
#[derive(Debug)]
pub struct RunningProcess {
    child: Child,
    stdout: Option<BufReader<ChildStdout>>,
}

impl RunningProcess {
    /// Starts the program; its standard input stays open.
    pub fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut child = piped(arguments, environment);
        let stdout = child.stdout.take().map(BufReader::new);
        Self { child, stdout }
    }

    /// Writes to its standard input.
    pub fn input(&mut self, text: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
    }

    /// Waits for the next line of its standard output.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.as_mut().unwrap().read_line(&mut line).unwrap();
        line
    }

    /// Waits until it has begun to write, and takes none of it.
    pub fn wait_for_output(&mut self) {
        assert_ne!(self.stdout.as_mut().unwrap().fill_buf().unwrap(), b"");
    }

    /// Closes the other end of its standard output.
    pub fn close_output(&mut self) {
        self.stdout = None;
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// Sends it a signal again and again until it has ended.
    pub fn signal_until_ended(&mut self, name: &str) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end for SIG{name}");
            self.signal(name);
        }
    }

    /// Reads what it still writes, and waits until it has ended.
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

/// A file of this test's own; removed with it.
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
