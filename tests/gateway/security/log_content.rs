//! The log of the program itself, at its most talkative: a line for each call,
//! and nothing of what was said.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Gateway, ReceivedRequest, Vendor, reply};

/// What no line may hold. The token and its parts, ids, and bodies either way.
const SECRETS: [&str; 8] = [
    "s3cret",
    "wr0ng",
    "user-id-1",
    "user-id-2",
    "asked-text",
    "answered-text",
    "refused-text",
    "presences/purecloud",
];

/// The program, serving.
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

    /// Reads the address from the line that tells it.
    fn address(&mut self) -> SocketAddr {
        loop {
            let line = self.lines.recv_timeout(Duration::from_secs(20));
            let line = line.unwrap_or_else(|_| panic!("it does not serve: {:#?}", self.read));
            self.read.push(line.clone());
            let numbers = |c: char| !(c.is_ascii_digit() || c == '.' || c == ':');
            let mut words = line
                .split("address")
                .nth(1)
                .into_iter()
                .flat_map(|l| l.split(numbers));
            if let Some(address) = words.find_map(|word| word.trim_matches(':').parse().ok()) {
                return address;
            }
        }
    }

    /// Ends the program; all that it wrote.
    fn log(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let mut read = std::mem::take(&mut self.read);
        read.extend(self.lines.iter());
        read
    }
}

/// The calls that are made, and the line that each must leave: method, status
/// and calls to the vendor.
fn table() -> Vec<(&'static str, Value, &'static str, (&'static str, u64))> {
    let ids: Vec<_> = (0..120).map(|n| format!("user-id-2{n}")).collect();
    let body = json!({"message": "asked-text"});
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
        let refusal = json!({
            "code": "some.code", "message": "refused-text of user-id-1",
            "details": [{"fieldName": "user-id-1", "errorCode": "refused-text"}],
        });
        match received.path() {
            path if path.ends_with("/bulk") => {
                let ids = received.ids();
                let list = ids
                    .iter()
                    .map(|id| json!({"userId": id, "message": "answered-text"}));
                reply(200, list.collect::<Value>().to_string())
            }
            path if path.contains("/sources/") => reply(400, refusal.to_string()),
            path if path.contains("systempresences") => reply(200, "answered-text"),
            _ => reply(200, json!({"message": "answered-text"}).to_string()),
        }
    })
    .await
}

/// Makes the calls of the table; what the program wrote.
async fn log(format: &str) -> Vec<String> {
    let vendor = vendor().await;
    let mut program = Program::start(&format!("http://{}", vendor.address), format);
    let (address, program) = tokio::task::spawn_blocking(move || (program.address(), program))
        .await
        .unwrap();
    let gateway = Gateway::connect(address).await;
    for (rpc, request, authorization, (status, _)) in table() {
        let metadata = [("authorization", authorization), ("x-custom", "s3cret")];
        let answer = gateway.call_with_metadata(rpc, request, &metadata).await;
        assert_eq!(answer.is_ok(), status == "OK", "{rpc}: {answer:?}");
    }
    let unknown = tonic::Request::new(Vec::new());
    gateway
        .call_raw("/s3cret.Service/user-id-1", unknown)
        .await
        .unwrap_err();
    let log = program.log();
    for secret in SECRETS {
        let shown = log.iter().find(|line| line.contains(secret));
        assert!(
            shown.is_none(),
            "`{secret}` is in the log: {}",
            shown.unwrap()
        );
    }
    log
}

/// The method, status and calls to the vendor of each line that there must be.
fn expected() -> Vec<(String, String, u64)> {
    let known = table().into_iter().map(|(rpc, _, _, (status, calls))| {
        let method = format!("genesys.presence.v1.PresenceService/{rpc}");
        (method, status.to_owned(), calls)
    });
    // A name of the caller's choice stays out of the log.
    known
        .chain([("unknown".to_owned(), "UNIMPLEMENTED".to_owned(), 0)])
        .collect()
}

#[tokio::test]
async fn json_has_one_object_for_each_call_and_none_of_what_was_said() {
    let log = log("json").await;
    let lines = log.iter().map(|line| {
        let parsed: Value =
            serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
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
async fn text_has_one_line_for_each_call_and_none_of_what_was_said() {
    let log = log("text").await;
    // Without the colours, if there are any.
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
