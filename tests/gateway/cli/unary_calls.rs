//! `call` with a unary RPC.

use serde_json::{Value, json};

use super::USER;
use crate::support::ClosedPort;
use crate::support::process::{ServerProcess, run, run_with_input};

#[test]
fn a_call_prints_its_response_as_json() {
    let gateway = ServerProcess::start(&["serve", "--sandbox"], &[]);
    let request = json!({"id": [USER, "nobody"]}).to_string();
    let call = ["call", "GetUsersPresencesPurecloudBulk", "-", "--address"];
    let output = run_with_input(
        &[&call[..], &[&gateway.address]].concat(),
        &[("PRESENCE_GATEWAY_TOKEN", "any")],
        &request,
    );
    assert_eq!(
        (output.code, output.stderr.as_str()),
        (Some(0), ""),
        "{output:#?}"
    );
    let response: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(response["presences"][0]["userId"], USER);
    assert_eq!(response["missingIds"], json!(["nobody"]));
}

#[test]
fn a_failed_call_prints_its_status_with_the_details() {
    let gateway = ServerProcess::start(&["serve", "--sandbox"], &[]);
    let address = gateway.address.as_str();
    let flags = ["--address", address, "--token", "secret-token"];
    let get = |user: &str| {
        let request = json!({"userId": user}).to_string();
        run(
            &[&["call", "GetUserPresencesPurecloud", &request], &flags[..]].concat(),
            &[],
        )
    };
    let missing = get("nobody");
    assert_eq!(missing.code, Some(1), "{missing:#?}");
    for expected in [
        "NOT_FOUND: ",
        "google.rpc.ErrorInfo",
        "domain: genesys.cloud",
        "google.rpc.RequestInfo",
    ] {
        assert!(missing.stderr.contains(expected), "{missing:#?}");
    }
    let wrong = get("..");
    assert_eq!(wrong.code, Some(1), "{wrong:#?}");
    assert!(
        wrong.stderr.contains("\n    user_id (in JSON `userId`): "),
        "{wrong:#?}"
    );
    for run in [missing, wrong] {
        assert!(!run.stderr.contains("secret-token"), "{run:#?}");
    }
}

#[test]
fn an_invalid_call_and_a_failed_call_have_different_exit_codes() {
    let unknown = run(&["call", "GetPresence"], &[]);
    assert_eq!(unknown.code, Some(64));
    assert!(
        unknown.stderr.contains("there is no RPC `GetPresence`")
            && unknown.stderr.contains("GetPresenceSource\n"),
        "{unknown:#?}"
    );
    let field = run(&["call", "GetUserPresence", r#"{"usrId": "a"}"#], &[]);
    assert_eq!(field.code, Some(64));
    assert!(
        field.stderr.contains("there is no field `usrId`"),
        "{field:#?}"
    );
    let json = run(&["call", "GetUserPresence", "{"], &[]);
    assert_eq!(json.code, Some(64));
    let closed = ClosedPort::new();
    let address = closed.address.to_string();
    let call = ["call", "GetSystempresences", "--token", "any", "--address"];
    let refused = run(&[&call[..], &[&address]].concat(), &[]);
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    assert!(refused.stderr.starts_with("UNAVAILABLE: "), "{refused:#?}");
}
