//! `call` with a stream: reads ids from a file or the standard input, and prints a
//! line of JSON for each.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::support::process::{ProcessOutput, ServerProcess, TempFile, run, run_with_input};

const STREAM: &str = "StreamUsersPresencesPurecloudBulk";
const TOKEN: [(&str, &str); 1] = [("PRESENCE_GATEWAY_TOKEN", "any")];

/// The id of a user of the sandbox.
fn user(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

fn sandbox() -> ServerProcess {
    ServerProcess::start(
        &["serve", "--sandbox", "--token-requests-per-minute=0"],
        &[],
    )
}

fn call(serving: &ServerProcess, arguments: &[&str], input: &str) -> ProcessOutput {
    let call = [&["call"], arguments, &["--address", &serving.address]].concat();
    run_with_input(&call, &TOKEN, input)
}

fn lines(run: &ProcessOutput) -> Vec<Value> {
    let lines = run.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn each_id_of_a_file_gives_a_line_of_json_in_order() {
    let serving = sandbox();
    let mut text = String::new();
    for number in 1..=20 {
        let _ = writeln!(text, "{}\r\n\n  nobody-{number}  ", user(number));
    }
    let file = TempFile::new("ids", &text);
    let output = call(&serving, &[STREAM, "--ids", file.path()], "");
    assert_eq!(output.code, Some(0), "{output:#?}");
    assert_eq!(output.stderr, "20 done, 20 missing, 0 failed\n");
    let lines = lines(&output);
    assert_eq!(lines.len(), 40);
    let found = lines.iter().filter(|line| line["presence"].is_object());
    for (number, line) in (1..).zip(found) {
        assert_eq!(line["id"], user(number).as_str());
        assert_eq!(line["presence"]["userId"], user(number).as_str());
    }
    let missing = lines.iter().filter(|line| line["missing"] == true);
    for (number, line) in (1..).zip(missing) {
        assert_eq!(line["id"], format!("nobody-{number}"));
    }
}

#[test]
fn a_failed_id_is_printed_with_its_error_and_sets_the_exit_code() {
    let serving = sandbox();
    let input = format!("{}\na,b\n", user(1));
    let output = call(&serving, &[STREAM, "--ids", "-"], &input);
    assert_eq!(output.code, Some(1), "{output:#?}");
    assert_eq!(output.stderr, "1 done, 0 missing, 1 failed\n");
    let failed = &lines(&output)[1];
    assert_eq!(failed["id"], "a,b");
    assert_eq!(failed["error"]["code"], "INVALID_ARGUMENT");
    assert_eq!(failed["error"]["details"][0]["reason"], "INVALID_REQUEST");
}

#[test]
fn the_request_is_sent_first_and_can_have_ids() {
    let serving = sandbox();
    let request = json!({"sourceId": "PURECLOUD", "ids": [user(1)]}).to_string();
    let output = call(&serving, &["StreamUsersPresenceBulk", &request], "");
    assert_eq!(output.code, Some(0), "{output:#?}");
    assert_eq!(lines(&output)[0]["id"], user(1).as_str());
    let request = json!({"ids": [user(1)]}).to_string();
    let wrong = call(&serving, &["StreamUsersPresenceBulk", &request], "");
    assert_eq!(wrong.code, Some(1), "{wrong:#?}");
    assert!(
        wrong.stderr.starts_with("INVALID_ARGUMENT: source_id"),
        "{wrong:#?}"
    );
}

#[test]
fn wrong_uses_of_ids_are_rejected_before_the_call() {
    let unary = run(&["call", "GetUserPresence", "--ids", "-"], &[]);
    assert_eq!(unary.code, Some(64), "{unary:#?}");
    assert!(
        unary
            .stderr
            .contains("--ids: GetUserPresence takes no stream of ids"),
        "{unary:#?}"
    );
    let watch = run(&["call", "WatchUsersPresences", "--ids", "-"], &[]);
    assert_eq!(watch.code, Some(64), "{watch:#?}");
    assert!(
        watch
            .stderr
            .contains("--ids: WatchUsersPresences takes its ids in the request"),
        "{watch:#?}"
    );
    let missing = run(&["call", STREAM, "--ids", "/no/such/file"], &[]);
    assert_eq!(missing.code, Some(64), "{missing:#?}");
    assert!(
        missing.stderr.contains("--ids: `/no/such/file`"),
        "{missing:#?}"
    );
}

#[test]
fn a_stream_without_ids_is_rejected_before_the_call() {
    for request in ["{}", r#"{"ids": []}"#, r#"{"unordered": true}"#] {
        let output = run(&["call", STREAM, request], &[]);
        assert_eq!(output.code, Some(64), "{request}: {output:#?}");
        assert!(
            output
                .stderr
                .contains(&format!("--ids: {STREAM} needs ids")),
            "{request}: {output:#?}"
        );
    }
}

#[test]
fn an_invalid_line_ends_the_stream_after_the_earlier_ids() {
    let serving = sandbox();
    let long = "x".repeat(5000);
    let output = call(
        &serving,
        &[STREAM, "--ids", "-"],
        &format!("{}\n{long}\n", user(1)),
    );
    assert_eq!(output.code, Some(1), "{output:#?}");
    assert!(
        output.stderr.contains("--ids: a line has 4096 bytes"),
        "{output:#?}"
    );
    assert_eq!(lines(&output)[0]["id"], user(1).as_str());
}
