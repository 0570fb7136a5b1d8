//! `call --json`: output for programs.

use serde_json::{Value, json};

use crate::support::process::{ProcessOutput, ServerProcess, run, run_with_input};

const TOKEN: [(&str, &str); 1] = [("PRESENCE_GATEWAY_TOKEN", "any")];

fn call(serving: &ServerProcess, words: &[&str], input: &str) -> ProcessOutput {
    let call = [&["call"], words, &["--json", "--address", &serving.address]].concat();
    run_with_input(&call, &TOKEN, input)
}

/// The only line of an error, which must be a `google.rpc.Status`.
fn status(output: &ProcessOutput) -> Value {
    assert_eq!(output.stderr.lines().count(), 1, "{output:#?}");
    let status: Value = serde_json::from_str(&output.stderr).unwrap();
    let pool = presence_gateway::proto::pool();
    let message = pool.get_message_by_name("google.rpc.Status").unwrap();
    let parsed = prost_reflect::DynamicMessage::deserialize(message, status.clone());
    assert!(parsed.is_ok(), "{parsed:?}: {status:#}");
    status
}

#[test]
fn a_response_is_one_line() {
    let serving = ServerProcess::start(&["serve", "--sandbox"], &[]);
    let output = call(&serving, &["GetSystempresences"], "");
    assert_eq!(
        (output.code, output.stderr.as_str()),
        (Some(0), ""),
        "{output:#?}"
    );
    assert_eq!(output.stdout.lines().count(), 1);
    let response: Value = serde_json::from_str(&output.stdout).unwrap();
    assert!(response["systemPresences"].is_array(), "{response}");
}

#[test]
fn an_error_is_a_status_with_its_details() {
    let serving = ServerProcess::start(&["serve", "--sandbox"], &[]);
    let rpc = "GetUserPresencesPurecloud";
    let missing = call(&serving, &[rpc, r#"{"userId": "nobody"}"#], "");
    assert_eq!(
        (missing.code, missing.stdout.as_str()),
        (Some(1), ""),
        "{missing:#?}"
    );
    let status = status(&missing);
    assert_eq!(status["code"], 5);
    assert_eq!(
        status["details"][0]["@type"],
        "type.googleapis.com/google.rpc.ErrorInfo"
    );
    assert_eq!(status["details"][0]["reason"], "NOT_FOUND");
    assert_eq!(
        status["details"][0]["metadata"],
        json!({"http_status": "404"})
    );
    assert_eq!(
        status["details"][1]["@type"],
        "type.googleapis.com/google.rpc.RequestInfo"
    );
}

#[test]
fn a_failed_connection_and_a_wrong_command_line_are_statuses_too() {
    let wrong = run(&["call", "GetUserPresence", r#"{"a": 1}"#, "--json"], &[]);
    assert_eq!(wrong.code, Some(64), "{wrong:#?}");
    let wrong = status(&wrong);
    assert_eq!(wrong["code"], 3);
    let message = wrong["message"].as_str().unwrap();
    assert!(
        message.contains("no field `a`") && message.contains("no token"),
        "{message}"
    );
    let nowhere = [
        "call",
        "GetSystempresences",
        "--json",
        "--address",
        "no-such-host.invalid",
    ];
    let unreachable = run(&nowhere, &TOKEN);
    assert_eq!(unreachable.code, Some(1), "{unreachable:#?}");
    let unreachable = status(&unreachable);
    assert_eq!(unreachable["code"], 14);
    let message = unreachable["message"].as_str().unwrap();
    assert!(message.contains("no-such-host.invalid:50051"), "{message}");
}

#[test]
fn a_stream_prints_only_lines_and_an_error() {
    let serving = ServerProcess::start(&["serve", "--sandbox"], &[]);
    let stream = ["StreamUsersPresencesPurecloudBulk", "--ids", "-"];
    let ids = "00000000-0000-4000-8000-000000000001\nnobody\n";
    let output = call(&serving, &stream, ids);
    assert_eq!(
        (output.code, output.stderr.as_str()),
        (Some(0), ""),
        "{output:#?}"
    );
    assert_eq!(output.stdout.lines().count(), 2);
    let failed = call(
        &serving,
        &["StreamUsersPresenceBulk", r#"{"ids": ["a"]}"#],
        "",
    );
    assert_eq!(
        (failed.code, failed.stdout.as_str()),
        (Some(1), ""),
        "{failed:#?}"
    );
    assert_eq!(status(&failed)["code"], 3);
}
