//! The log of the process.

use std::process::Command;

use serde_json::{Value, json};

use super::USER;
use crate::support::process::{ServerProcess, run};

#[test]
fn each_call_is_one_log_line() {
    let gateway = ServerProcess::start(&["serve", "--sandbox"], &[("RUST_LOG", "trace")]);
    let address = gateway.address.clone();
    let ids: Vec<String> = (1..=51)
        .map(|n| format!("00000000-0000-4000-8000-{n:012}"))
        .collect();
    let bulk = json!({ "id": ids }).to_string();
    let calls = [
        (
            "GetUserPresencesPurecloud",
            json!({"userId": USER}).to_string(),
        ),
        (
            "GetUserPresencesPurecloud",
            json!({"userId": "nobody-at-all"}).to_string(),
        ),
        ("GetUsersPresencesPurecloudBulk", bulk),
    ];
    for (rpc, request) in &calls {
        run(
            &[
                "call",
                rpc,
                request,
                "--address",
                &address,
                "--token",
                "secret-token",
            ],
            &[],
        );
    }
    gateway.signal("TERM");
    // The log is complete once the process has exited.
    let (_, lines) = gateway.wait();
    let log: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect();
    let calls_logged: Vec<Value> = log
        .iter()
        .filter(|line| line["message"] == "call")
        .map(|line| {
            assert!(line["duration_ms"].as_f64().unwrap() > 0.0);
            json!([line["method"], line["status"], line["upstream_calls"]])
        })
        .collect();
    let service = "genesys.presence.v1.PresenceService";
    assert_eq!(
        calls_logged,
        [
            json!([format!("{service}/GetUserPresencesPurecloud"), "OK", 1]),
            json!([
                format!("{service}/GetUserPresencesPurecloud"),
                "NOT_FOUND",
                1
            ]),
            json!([format!("{service}/GetUsersPresencesPurecloudBulk"), "OK", 2]),
        ]
    );
    for line in &lines {
        for secret in ["secret-token", USER, "nobody-at-all", "presenceDefinition"] {
            assert!(!line.contains(secret), "{secret} is in the log: {line}");
        }
    }
}

#[test]
fn the_log_format_text_is_readable() {
    let sandbox = ServerProcess::start(&["sandbox"], &[]);
    let url = format!("http://{}", sandbox.address);
    let mut gateway = Command::new(env!("CARGO_BIN_EXE_presence-gateway"))
        .args(["serve", "--listen", "127.0.0.1:0", "--log-format", "text"])
        .args(["--upstream-url", &url])
        .env_clear()
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut log = std::io::BufReader::new(gateway.stderr.take().unwrap());
    std::io::BufRead::read_line(&mut log, &mut line).unwrap();
    gateway.kill().unwrap();
    gateway.wait().unwrap();
    let upstream = format!("upstream={url}");
    assert!(line.contains(" INFO serving address=127.0.0.1:"), "{line}");
    assert!(line.contains(&upstream), "{line}");
    assert!(
        !line.contains('\u{1b}'),
        "the log has colours without a terminal: {line}"
    );
}
