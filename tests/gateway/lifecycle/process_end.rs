//! How the process ends when it is told to.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use crate::support::process::{ServerProcess, run};

/// Well under the pause of the test that it is compared with.
const SOON: Duration = Duration::from_secs(30);

const LONG_PAUSE: [(&str, &str); 1] = [("PRESENCE_GATEWAY_LAME_DUCK", "10m")];

#[test]
fn the_end_that_was_asked_for_is_a_success() {
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
fn it_pauses_as_long_as_it_is_told_and_serves_meanwhile() {
    let pause = Duration::from_millis(1500);
    let environment = [("PRESENCE_GATEWAY_LAME_DUCK", "1500ms")];
    let server = ServerProcess::start(&["serve", "--sandbox"], &environment);
    let told = Instant::now();
    server.signal("TERM");
    server.wait_for_log("ending");
    let call = ["call", "GetSystempresences", "--token", "any", "--address"];
    let called = run(&[&call[..], &[&server.address]].concat(), &[]);
    // On a machine so slow that the pause is over, this shows nothing.
    let was_in_time = told.elapsed() < pause;
    assert!(called.code == Some(0) || !was_in_time, "{called:#?}");
    let (status, log) = server.wait();
    assert!(status.success(), "{status} {log:#?}");
    assert!(
        told.elapsed() >= pause,
        "it ended after {:?}",
        told.elapsed()
    );
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for (first, second, code) in [
        ("TERM", "TERM", 143),
        ("INT", "INT", 130),
        ("TERM", "INT", 130),
    ] {
        let server = ServerProcess::start(&["serve", "--sandbox"], &LONG_PAUSE);
        let told = Instant::now();
        server.signal(first);
        // Two of the same kind are one unless the first was taken.
        server.wait_for_log("ending");
        server.signal(second);
        let (status, log) = server.wait();
        assert!(told.elapsed() < SOON, "{log:#?}");
        assert_eq!(status.code(), Some(code), "{first} {second}: {log:#?}");
        assert_eq!(status.signal(), None);
    }
}

/// Sends a request to a sandbox that makes the answer wrong in this way.
fn asked(sandbox: &ServerProcess, path: &str, misbehave: &str) -> TcpStream {
    let mut stream = TcpStream::connect(&sandbox.address).unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: sandbox\r\nauthorization: Bearer any\r\n\
         x-sandbox-misbehave: {misbehave}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

/// What is left to be read.
fn rest(mut stream: TcpStream) -> String {
    let mut rest = String::new();
    // It may be cut.
    let _ = stream.read_to_string(&mut rest);
    rest
}

#[test]
fn the_sandbox_gives_the_answers_under_way_and_cuts_those_without_an_end() {
    let sandbox = ServerProcess::start(&["sandbox"], &[]);
    let path = "/api/v2/systempresences";
    let slow = asked(&sandbox, path, "delay=100ms");
    let never = asked(&sandbox, path, "never");
    let dripping = asked(&sandbox, path, "drip=1s");
    let silent = TcpStream::connect(&sandbox.address).unwrap();
    while rest(asked(&sandbox, "/sandbox/requests", ""))
        .matches(path)
        .count()
        < 3
    {}
    let told = Instant::now();
    sandbox.signal("TERM");
    let slow = rest(slow);
    assert!(
        slow.starts_with("HTTP/1.1 200") && slow.contains("ON_QUEUE"),
        "{slow:?}"
    );
    assert_eq!(rest(never), "");
    let dripped = rest(dripping);
    assert!(!dripped.contains("ON_QUEUE"), "{dripped:?}");
    assert_eq!(rest(silent), "");
    let (status, log) = sandbox.wait();
    assert!(status.success(), "{status} {log:#?}");
    assert!(told.elapsed() < SOON, "{:?}", told.elapsed());
}

#[test]
fn the_pauses_have_bounds() {
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
