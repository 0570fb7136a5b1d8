//! `call --list` and `call RPC --describe`, without a gateway and without a token.

use std::path::Path;
use std::process::Command;

use presence_gateway::cli::call::examples::ID;
use prost_reflect::MethodDescriptor;

use crate::support::all_methods;
use crate::support::process::{ServerProcess, run};

#[test]
fn all_rpcs_are_listed_by_service_with_a_line_each() {
    let list = run(&["call", "--list"], &[]);
    assert_eq!(
        (list.code, list.stderr.as_str()),
        (Some(0), ""),
        "{list:#?}"
    );
    let mut services = list.stdout.split("genesys.presence.v1.").skip(1);
    for (service, mark) in [
        ("PresenceService", ""),
        ("PresenceStreamService", "[stream] "),
        ("PresenceWatchService", "[stream] "),
        ("LegacyPresenceService", "[deprecated] "),
    ] {
        let text = services.next().unwrap();
        assert!(text.starts_with(service), "{text}");
        let rpcs = all_methods().into_iter();
        for rpc in rpcs.filter(|rpc| rpc.parent_service().name() == service) {
            let line = text
                .lines()
                .find_map(|line| line.trim_start().strip_prefix(rpc.name()));
            let line = line
                .unwrap_or_else(|| panic!("no {}:\n{text}", rpc.name()))
                .trim_start();
            let summary = line.strip_prefix(mark).unwrap_or_else(|| panic!("{line}"));
            assert!(
                summary.starts_with(char::is_uppercase) && summary.ends_with('.'),
                "{line}"
            );
        }
    }
    assert_eq!(services.next(), None);
}

#[test]
fn programs_get_the_list_as_json() {
    let list = run(&["call", "--list", "--json"], &[]);
    assert_eq!(list.code, Some(0), "{list:#?}");
    assert_eq!(list.stdout.lines().count(), 1);
    let rpcs: Vec<serde_json::Value> = serde_json::from_str(&list.stdout).unwrap();
    let names: Vec<_> = rpcs
        .iter()
        .map(|rpc| rpc["name"].as_str().unwrap())
        .collect();
    let methods = all_methods();
    let expected: Vec<_> = methods.iter().map(MethodDescriptor::name).collect();
    assert_eq!(names, expected);
    let patch = rpcs
        .iter()
        .find(|rpc| rpc["name"] == "PatchUserPresence")
        .unwrap();
    assert_eq!(patch["service"], "genesys.presence.v1.PresenceService");
    assert_eq!(patch["summary"], "Changes a user's presence at one source.");
    let permissions = patch["permissions"].as_str().unwrap();
    assert!(
        permissions.contains("presence:userPresence:edit"),
        "{patch}"
    );
}

#[test]
fn an_rpc_is_described_with_its_messages_and_permissions() {
    let describe = |rpc: &str| {
        let described = run(&["call", rpc, "--describe"], &[]);
        assert_eq!(
            (described.code, described.stderr.as_str()),
            (Some(0), ""),
            "{described:#?}"
        );
        described.stdout
    };
    let text = describe("patchuserpresence");
    for expected in [
        "PatchUserPresence, an RPC of PresenceService\n",
        "Changes a user's presence at one source.\n",
        "PATCH /api/v2/users/{userId}/presences/{sourceId}\n",
        "`presence:userPresence:edit`, when the user is not the caller",
        "Streams:          no\n",
        "\nRequest: PatchUserPresenceRequest\n  userId: text, required\n      The id of the user",
        "  body: UserPresence, required\n",
        "\nUserPresence\n  id: text\n      An id of this presence.",
        "\nPresenceDefinition\n",
        "\nResponse: UserPresence, as above\n",
        "    \"presenceDefinition\": {\n",
        "  presence-gateway call PatchUserPresence '{\"userId\": ",
    ] {
        assert!(text.contains(expected), "no {expected:?} in\n{text}");
    }
    let stream = describe("StreamUsersPresenceBulk");
    assert!(stream.contains("Streams:          both ways"), "{stream}");
    assert!(describe("GetOrganizationPresence").contains("LegacyPresenceService, deprecated\n"));
    let widest = all_methods()
        .iter()
        .map(|rpc| describe(rpc.name()))
        .collect::<String>();
    let prose = widest
        .lines()
        .filter(|line| !line.contains("presence-gateway call "));
    let prose = prose
        .filter(|line| line.chars().count() > 88)
        .collect::<Vec<_>>();
    assert!(prose.is_empty(), "lines are too long: {prose:#?}");
}

#[test]
fn each_example_works_as_pasted() {
    let sandbox = ServerProcess::start(&["serve", "--sandbox"], &[]);
    let program = Path::new(env!("CARGO_BIN_EXE_presence-gateway"));
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", program.parent().unwrap().display());
    for rpc in all_methods() {
        let text = run(&["call", rpc.name(), "--describe"], &[]).stdout;
        let example = text.lines().last().unwrap().trim();
        assert!(example.starts_with("presence-gateway call "), "{text}");
        // The others need an id that a POST returns; contract::api runs them.
        if example.contains(ID) {
            assert!(text.contains("replace <id> by an id"), "{text}");
            continue;
        }
        let is_watch = rpc.is_server_streaming() && !rpc.is_client_streaming();
        // A watch lasts as long as somebody reads its lines.
        let command = if is_watch {
            format!("{example} | head -n 1")
        } else {
            example.to_owned()
        };
        let output = Command::new("sh")
            .args(["-c", &command])
            .env("PATH", &path)
            .env("PRESENCE_GATEWAY_ADDRESS", &sandbox.address)
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{example}\n{stderr}");
        assert!(output.stdout.starts_with(b"{"), "{example}");
    }
}

#[test]
fn an_rpc_is_called_by_any_spelling_of_its_name() {
    let sandbox = ServerProcess::start(&["serve", "--sandbox"], &[]);
    for rpc in [
        "getsystempresences",
        "GET_SYSTEMPRESENCES",
        "presenceservice/GetSystemPresences",
        "genesys.presence.v1.PresenceService.GetSystempresences",
    ] {
        let call = ["call", rpc, "--token", "any", "--address", &sandbox.address];
        let output = run(&call, &[]);
        assert_eq!(output.code, Some(0), "{rpc}: {output:#?}");
    }
}

#[test]
fn a_token_is_accepted_with_what_stands_around_it() {
    let sandbox = ServerProcess::start(&["serve", "--sandbox"], &[]);
    for token in [
        "any\n",
        "Bearer any",
        "bearer any\r\n",
        "Authorization: Bearer any",
    ] {
        let address = ("PRESENCE_GATEWAY_ADDRESS", sandbox.address.as_str());
        let token = ("PRESENCE_GATEWAY_TOKEN", token);
        let output = run(&["call", "GetSystempresences"], &[address, token]);
        assert_eq!(output.code, Some(0), "{token:?}: {output:#?}");
    }
}
