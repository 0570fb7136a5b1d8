//! How the process exits after a signal.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::process::{RunningProcess, ServerProcess, run};

/// Much shorter than `LONG_PAUSE`.
const SOON: Duration = Duration::from_secs(30);

/// A lame-duck time that no test waits for.
const LONG_PAUSE: [(&str, &str); 1] = [("PRESENCE_GATEWAY_LAME_DUCK", "10m")];

#[test]
fn an_exit_after_one_signal_is_a_success() {
    for command in [&["serve", "--sandbox"][..], &["sandbox"]] {
        for signal in ["TERM", "INT"] {
            let server = ServerProcess::start(command, &[]);
            server.signal(signal);
            let (status, log) = server.wait();
            assert!(status.success(), "{command:?} {signal}: {status} {log:#?}");
        }
    }
}

#[test]
fn the_server_serves_for_the_whole_lame_duck_time() {
    let pause = Duration::from_millis(1500);
    let environment = [("PRESENCE_GATEWAY_LAME_DUCK", "1500ms")];
    let server = ServerProcess::start(&["serve", "--sandbox"], &environment);
    let signalled = Instant::now();
    server.signal("TERM");
    server.wait_for_log("ending");
    let call = ["call", "GetSystempresences", "--token", "any", "--address"];
    let output = run(&[&call[..], &[&server.address]].concat(), &[]);
    // On a slow machine the call can be too late, and proves nothing.
    let was_in_time = signalled.elapsed() < pause;
    assert!(output.code == Some(0) || !was_in_time, "{output:#?}");
    let (status, log) = server.wait();
    assert!(status.success(), "{status} {log:#?}");
    assert!(
        signalled.elapsed() >= pause,
        "the process exited after {:?}",
        signalled.elapsed()
    );
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    for (first, second, code) in [
        ("TERM", "TERM", 143),
        ("INT", "INT", 130),
        ("TERM", "INT", 130),
    ] {
        let server = ServerProcess::start(&["serve", "--sandbox"], &LONG_PAUSE);
        let signalled = Instant::now();
        server.signal(first);
        // Two pending signals of one kind merge into one.
        server.wait_for_log("ending");
        server.signal(second);
        let (status, log) = server.wait();
        assert!(signalled.elapsed() < SOON, "{log:#?}");
        assert_eq!(status.code(), Some(code), "{first} {second}: {log:#?}");
        assert_eq!(status.signal(), None);
    }
}

/// The lame duck and the drain timeout with which a process began to end.
fn timeouts(log: &[String]) -> (String, String) {
    let mut lines = log
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let ending = lines.find(|line| line["message"].as_str().unwrap().starts_with("ending"));
    let ending = ending.unwrap_or_else(|| panic!("no line `ending`: {log:#?}"));
    let text = |name: &str| ending[name].as_str().unwrap().to_owned();
    (text("lame_duck"), text("drain_timeout"))
}

#[test]
fn a_sandbox_on_a_terminal_ends_at_once_on_ctrl_c() {
    let lame_duck = [("PRESENCE_GATEWAY_LAME_DUCK", "7ms")];
    for (environment, signal, expected) in [
        (&[][..], "INT", ("0ns", "0ns")),
        (&lame_duck, "INT", ("7ms", "0ns")),
        (
            &[("PRESENCE_GATEWAY_DRAIN_TIMEOUT", "1m")],
            "INT",
            ("0ns", "60s"),
        ),
        (
            &[("PRESENCE_GATEWAY_DRAIN_TIMEOUT", "1m")],
            "TERM",
            ("5s", "60s"),
        ),
    ] {
        let server = ServerProcess::start_on_terminal(&["serve", "--sandbox"], environment);
        server.signal(signal);
        server.wait_for_log("ending");
        if signal == "TERM" {
            // Not to wait for the lame duck.
            server.signal(signal);
        }
        let (status, log) = server.wait();
        let code = if signal == "TERM" { 143 } else { 0 };
        assert_eq!(
            status.code(),
            Some(code),
            "{environment:?} {signal}: {log:#?}"
        );
        let (lame_duck, drain) = timeouts(&log);
        assert_eq!(
            (lame_duck.as_str(), drain.as_str()),
            expected,
            "{environment:?} {signal}"
        );
    }
}

#[test]
fn a_gateway_of_the_vendor_has_its_lame_duck_on_a_terminal_too() {
    let serve = ["serve", "--upstream-url", "http://127.0.0.1:1"];
    let server = ServerProcess::start_on_terminal(&serve, &[]);
    server.signal("INT");
    server.wait_for_log("ending");
    server.signal("INT");
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(130), "{log:#?}");
    assert_eq!(timeouts(&log).0, "5s");
}

#[test]
fn a_call_in_flight_does_not_delay_ctrl_c_of_a_sandbox_on_a_terminal() {
    let server = ServerProcess::start_on_terminal(&["serve", "--sandbox"], &[]);
    let first: Value = serde_json::from_str(&server.log.lines()[0]).unwrap();
    let sandbox = first["upstream"].as_str().unwrap();
    let sandbox = sandbox.trim_start_matches("http://").to_owned();
    let control = |head: &str, body: &str| {
        let mut stream = TcpStream::connect(&sandbox).unwrap();
        let length = body.len();
        let rest = format!("host: sandbox\r\nconnection: close\r\ncontent-length: {length}");
        write!(stream, "{head} HTTP/1.1\r\n{rest}\r\n\r\n{body}").unwrap();
        read_to_end(stream)
    };
    control("POST /sandbox/misbehave", "never");
    let call = [
        "call",
        "GetSystempresences",
        "--token",
        "any",
        "--deadline",
        "1h",
    ];
    let mut call =
        RunningProcess::start(&[&call[..], &["--address", &server.address]].concat(), &[]);
    while !control("GET /sandbox/requests", "").contains("/api/v2/systempresences") {}
    server.signal("INT");
    let (status, log) = server.wait();
    assert!(status.success(), "{status} {log:#?}");
    let ended = call.end();
    assert_eq!(ended.code, Some(1), "{ended:#?}");
}

/// Sends a request to a sandbox with a rule for how it misbehaves.
fn send_request(sandbox: &ServerProcess, path: &str, misbehave: &str) -> TcpStream {
    let mut stream = TcpStream::connect(&sandbox.address).unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: sandbox\r\nauthorization: Bearer any\r\n\
         x-sandbox-misbehave: {misbehave}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

/// Reads a stream to its end.
fn read_to_end(mut stream: TcpStream) -> String {
    let mut text = String::new();
    // The connection can be reset.
    let _ = stream.read_to_string(&mut text);
    text
}

#[test]
fn the_sandbox_sends_pending_responses_and_cuts_endless_ones() {
    let sandbox = ServerProcess::start(&["sandbox"], &[]);
    let path = "/api/v2/systempresences";
    let slow = send_request(&sandbox, path, "delay=100ms");
    let never = send_request(&sandbox, path, "never");
    let dripping = send_request(&sandbox, path, "drip=1s");
    let silent = TcpStream::connect(&sandbox.address).unwrap();
    while read_to_end(send_request(&sandbox, "/sandbox/requests", ""))
        .matches(path)
        .count()
        < 3
    {}
    let signalled = Instant::now();
    sandbox.signal("TERM");
    let slow = read_to_end(slow);
    assert!(
        slow.starts_with("HTTP/1.1 200") && slow.contains("ON_QUEUE"),
        "{slow:?}"
    );
    assert_eq!(read_to_end(never), "");
    let dripped = read_to_end(dripping);
    assert!(!dripped.contains("ON_QUEUE"), "{dripped:?}");
    assert_eq!(read_to_end(silent), "");
    let (status, log) = sandbox.wait();
    assert!(status.success(), "{status} {log:#?}");
    assert!(signalled.elapsed() < SOON, "{:?}", signalled.elapsed());
}

#[test]
fn the_shutdown_times_have_bounds() {
    let refused = run(
        &[
            "serve",
            "--sandbox",
            "--lame-duck=5",
            "--drain-timeout",
            "61m",
        ],
        &[],
    );
    assert_eq!(
        refused.config_errors(),
        [
            "--lame-duck: `5` is not a duration with a unit, for example `5s`, `250ms` or `1m`",
            "--drain-timeout: `61m` is longer than 1h",
        ]
    );
}
