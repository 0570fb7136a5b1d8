//! The log of the process at the level `trace`: one line for each call, and no
//! tokens, ids or bodies.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Gateway, ReceivedRequest, Vendor, reply};

/// Texts that no line may hold: parts of tokens, ids and bodies.
const SECRETS: [&str; 8] = [
    "s3cret",
    "wr0ng",
    "user-id-1",
    "user-id-2",
    "request-text",
    "response-text",
    "error-text",
    "presences/purecloud",
];

/// A running gateway process.
struct Program {
    child: Child,
    lines: Receiver<String>,
    read: Vec<String>,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    fn start(upstream: &str, format: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_presence-gateway"))
            .args(["serve", "--listen", "127.0.0.1:0", "--log-format", format])
            .args(["--upstream-url", upstream])
            .env("RUST_LOG", "trace")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let errors = child.stderr.take().unwrap();
        let (send, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        Self {
            child,
            lines,
            read: Vec::new(),
        }
    }

    /// Reads lines until one has the address of the listener.
    fn address(&mut self) -> SocketAddr {
        loop {
            let line = self.lines.recv_timeout(Duration::from_secs(20));
            let line = line.unwrap_or_else(|_| panic!("no line has the address: {:#?}", self.read));
            self.read.push(line.clone());
            let is_no_number = |c: char| !(c.is_ascii_digit() || c == '.' || c == ':');
            let mut words = line
                .split("address")
                .nth(1)
                .into_iter()
                .flat_map(|l| l.split(is_no_number));
            if let Some(address) = words.find_map(|word| word.trim_matches(':').parse().ok()) {
                return address;
            }
        }
    }

    /// Kills the process; returns its whole log.
    fn log(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let mut read = std::mem::take(&mut self.read);
        read.extend(self.lines.iter());
        read
    }
}

/// The calls to make, and the status and number of upstream calls that the log
/// line of each must have.
fn cases() -> Vec<(&'static str, Value, &'static str, (&'static str, u64))> {
    let ids: Vec<_> = (0..120).map(|n| format!("user-id-2{n}")).collect();
    let body = json!({"message": "request-text"});
    vec![
        (
            "GetUserPresencesPurecloud",
            json!({"userId": "user-id-1"}),
            "Bearer s3cret",
            ("OK", 1),
        ),
        (
            "PatchUserPresencesPurecloud",
            json!({"userId": "user-id-1", "body": body}),
            "Bearer s3cret",
            ("OK", 1),
        ),
        (
            "GetUsersPresencesPurecloudBulk",
            json!({"id": ids}),
            "Bearer s3cret",
            ("OK", 3),
        ),
        (
            "GetPresenceSource",
            json!({"sourceId": "user-id-1"}),
            "Bearer s3cret",
            ("INVALID_ARGUMENT", 1),
        ),
        (
            "GetSystempresences",
            json!({}),
            "Bearer s3cret",
            ("INTERNAL", 1),
        ),
        (
            "GetUserPresencesPurecloud",
            json!({"userId": "user-id-1"}),
            "wr0ng",
            ("UNAUTHENTICATED", 0),
        ),
        (
            "GetUserPresencesPurecloud",
            json!({"userId": ""}),
            "Bearer s3cret",
            ("INVALID_ARGUMENT", 0),
        ),
    ]
}

async fn vendor() -> Vendor {
    Vendor::start(async |received: ReceivedRequest| {
        let error = json!({
            "code": "some.code", "message": "error-text of user-id-1",
            "details": [{"fieldName": "user-id-1", "errorCode": "error-text"}],
        });
        match received.path() {
            path if path.ends_with("/bulk") => {
                let ids = received.ids();
                let list = ids
                    .iter()
                    .map(|id| json!({"userId": id, "message": "response-text"}));
                reply(200, list.collect::<Value>().to_string())
            }
            path if path.contains("/sources/") => reply(400, error.to_string()),
            path if path.contains("systempresences") => reply(200, "response-text"),
            _ => reply(200, json!({"message": "response-text"}).to_string()),
        }
    })
    .await
}

/// Makes the calls of `cases`; returns the log, which holds no secret.
async fn log_of_cases(format: &str) -> Vec<String> {
    let vendor = vendor().await;
    let mut program = Program::start(&format!("http://{}", vendor.address), format);
    let (address, program) = tokio::task::spawn_blocking(move || (program.address(), program))
        .await
        .unwrap();
    let gateway = Gateway::connect(address).await;
    for (rpc, request, authorization, (status, _)) in cases() {
        let metadata = [("authorization", authorization), ("x-custom", "s3cret")];
        let result = gateway.call_with_metadata(rpc, request, &metadata).await;
        assert_eq!(result.is_ok(), status == "OK", "{rpc}: {result:?}");
    }
    let unknown = tonic::Request::new(Vec::new());
    gateway
        .call_raw("/s3cret.Service/user-id-1", unknown)
        .await
        .unwrap_err();
    let log = program.log();
    for secret in SECRETS {
        let line = log.iter().find(|line| line.contains(secret));
        assert!(
            line.is_none(),
            "`{secret}` is in the log: {}",
            line.unwrap()
        );
    }
    log
}

/// The expected method, status and number of upstream calls of each line.
fn expected() -> Vec<(String, String, u64)> {
    let known = cases().into_iter().map(|(rpc, _, _, (status, calls))| {
        let method = format!("genesys.presence.v1.PresenceService/{rpc}");
        (method, status.to_owned(), calls)
    });
    // An unknown method name comes from the caller and is not logged.
    known
        .chain([("unknown".to_owned(), "UNIMPLEMENTED".to_owned(), 0)])
        .collect()
}

#[tokio::test]
async fn the_json_log_has_one_object_for_each_call_and_no_secret() {
    let log = log_of_cases("json").await;
    let lines = log.iter().map(|line| {
        let parsed: Value =
            serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
        parsed
    });
    let calls = lines.filter(|line| line["message"] == "call").map(|line| {
        assert!(
            line["duration_ms"].as_f64().is_some_and(|ms| ms > 0.0),
            "{line}"
        );
        let text = |key: &str| {
            line[key]
                .as_str()
                .unwrap_or_else(|| panic!("{line}"))
                .to_owned()
        };
        (
            text("method"),
            text("status"),
            line["upstream_calls"].as_u64().unwrap(),
        )
    });
    assert_eq!(calls.collect::<Vec<_>>(), expected());
}

#[tokio::test]
async fn the_text_log_has_one_line_for_each_call_and_no_secret() {
    let log = log_of_cases("text").await;
    // Strips colour codes.
    let plain = |line: &String| {
        let mut parts = line.split('\u{1b}');
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |all, part| {
            all + part.split_once('m').map_or("", |(_, text)| text)
        })
    };
    let calls: Vec<_> = log
        .iter()
        .map(plain)
        .filter(|line| line.contains("method="))
        .collect();
    let expected = expected();
    assert_eq!(calls.len(), expected.len(), "{calls:#?}");
    for (line, (method, status, upstream_calls)) in calls.iter().zip(expected) {
        let has = |part: &str| line.contains(part);
        assert!(
            has(&format!("method=\"{method}\"")) || has(&format!("method={method}")),
            "{line}"
        );
        assert!(
            has(&format!("status=\"{status}\"")) || has(&format!("status={status}")),
            "{line}"
        );
        assert!(has(&format!("upstream_calls={upstream_calls}")), "{line}");
        assert!(has("duration_ms="), "{line}");
    }
}
