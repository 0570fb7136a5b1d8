//! The command line: what is accepted, what is refused, and how it ends.

use std::net::TcpListener;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::process::{Serving, flags_of_serve, run, run_with_input};

const USER: &str = "00000000-0000-4000-8000-000000000001";

#[test]
fn everything_wrong_is_told_at_once_before_a_port_is_bound() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let refused = run(
        &[
            "serve",
            "--listen",
            &taken,
            "--upstream-url",
            "ftp://example.com",
            "--default-deadline",
            "5",
            "--max-deadline=0s",
            "--max-bulk-ids",
            "0",
            "--bulk-concurrency=many",
            "--log-format",
            "xml",
        ],
        &[("PRESENCE_GATEWAY_MAX_IN_FLIGHT", "-1")],
    );
    assert_eq!(
        refused.problems(),
        [
            "--upstream-url: `ftp://example.com` must begin with `https://` or `http://`",
            "--default-deadline: `5` is not a duration with a unit, for example `5s`, `250ms` or `1m`",
            "--max-deadline: `0s` is not between 1ms and 24h",
            "--max-bulk-ids: `0` is not a whole number from 1 to 100000",
            "--bulk-concurrency: `many` is not a whole number from 1 to 64",
            "--max-in-flight: `-1` is not a whole number from 1 to 1000000",
            "--log-format: `xml` is neither `text` nor `json`",
        ]
    );
}

#[test]
fn the_memory_for_messages_has_a_unit_and_bounds() {
    let problem = |size: &str| {
        let flag = format!("--message-memory={size}");
        let refused = run(&["serve", "--sandbox", &flag], &[]);
        refused.problems().join("\n")
    };
    for size in ["256", "256MB", "-1MiB", "1.5GiB", "MiB", "99999999999GiB"] {
        let wrong = format!("--message-memory: `{size}` is not a whole number with a unit");
        assert!(problem(size).starts_with(&wrong), "{}", problem(size));
    }
    for size in ["0MiB", "63MiB", "2048GiB"] {
        let wrong = format!("--message-memory: `{size}` is not between 64MiB and 1024GiB");
        assert_eq!(problem(size), wrong);
    }
}

#[test]
fn what_is_wrong_besides_the_flags_is_told_with_them() {
    let refused = run(
        &[
            "serve",
            "--listen",
            "nope",
            "--sandbox",
            "--max-in-flight",
            "-1",
        ],
        &[("RUST_LOG", "a=b=c"), ("TOKIO_WORKER_THREADS", "0")],
    );
    let problems = refused.problems();
    let expected = [
        "--listen: `nope` is not an IP address",
        "--max-in-flight: `-1` is not a whole number",
        "RUST_LOG: ",
        "TOKIO_WORKER_THREADS: `0` is not a whole number from 1 to 1024",
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for (problem, expected) in problems.iter().zip(expected) {
        assert!(problem.starts_with(expected), "{problems:#?}");
    }
}

#[test]
fn a_flag_that_there_is_not_is_refused_with_one_that_is_like_it() {
    for (given, tip) in [
        (["serve", "--sandbx"], "'--sandbox'"),
        (["serve", "--listne=127.0.0.1:0"], "'--listen'"),
        (["sandbox", "--user=3"], "'--users'"),
    ] {
        let refused = run(&given, &[]);
        assert_eq!(refused.code, Some(64), "{refused:#?}");
        let flag = given[1].split('=').next().unwrap();
        let expected = format!("unexpected argument '{flag}' found");
        for expected in [expected.as_str(), tip] {
            assert!(refused.stderr.contains(expected), "{refused:#?}");
        }
    }
}

#[test]
fn a_switch_whose_value_follows_a_space_is_refused_with_the_right_spelling() {
    let refused = run(&["serve", "--sandbox", "--share-reads", "false"], &[]);
    assert_eq!(refused.code, Some(64), "{refused:#?}");
    assert!(
        refused.stderr.contains("'--share-reads=false'"),
        "{refused:#?}"
    );
}

#[test]
fn a_variable_that_is_set_to_nothing_is_not_set() {
    let nothing = [
        ("PRESENCE_GATEWAY_REGION", ""),
        ("PRESENCE_GATEWAY_UPSTREAM_URL", ""),
        ("PRESENCE_GATEWAY_MAX_BULK_IDS", ""),
        ("PRESENCE_GATEWAY_LOG_FORMAT", ""),
        ("PRESENCE_GATEWAY_SANDBOX_USERS", ""),
    ];
    Serving::start(&["serve", "--sandbox"], &nothing);
}

#[test]
fn a_password_in_the_upstreams_url_is_refused_and_not_shown() {
    let url = "https://user:s3cret@example.com/";
    let refused = run(&["serve", "--upstream-url", url], &[]);
    assert_eq!(
        refused.problems(),
        ["--upstream-url: `…` must not hold a user or a password"]
    );
}

#[test]
fn one_upstream_must_be_chosen_and_only_one() {
    let none = run(&["serve"], &[]);
    assert_eq!(
        none.problems(),
        ["no upstream: give one of --region, --upstream-url, --sandbox"]
    );
    let two = run(
        &["serve", "--sandbox"],
        &[("PRESENCE_GATEWAY_REGION", "us-east-1")],
    );
    assert_eq!(
        two.problems(),
        [
            "more than one upstream: give one of --region, --sandbox (each may also come from the \
             environment)"
        ]
    );
}

#[test]
fn an_unknown_region_is_refused_with_the_known_ones() {
    let refused = run(&["serve", "--region", "mars"], &[]);
    let [problem] = refused.problems()[..] else {
        panic!("{refused:#?}")
    };
    assert!(problem.starts_with("--region: `mars` is no region"));
    for region in ["us-east-1", "eu-central-1", "ap-northeast-3"] {
        assert!(problem.contains(region), "{problem}");
    }
}

#[test]
fn plain_http_is_for_this_machine_unless_it_is_allowed() {
    let url = "http://10.1.2.3:8080/prefix";
    let refused = run(&["serve", "--upstream-url", url], &[]);
    assert!(
        refused.problems()[0].ends_with("use https, or give --allow-insecure-upstream"),
        "{refused:#?}"
    );
    let allowed: [&[&str]; 3] = [
        &["serve", "--upstream-url", url, "--allow-insecure-upstream"],
        &["serve", "--upstream-url", "http://127.0.0.1:8080"],
        &["serve", "--upstream-url", "https://10.1.2.3"],
    ];
    for arguments in allowed {
        Serving::start(arguments, &[]);
    }
}

#[test]
fn a_mistyped_or_unbuilt_flag_is_refused_and_never_ignored() {
    let unbuilt = ["--cache=true", "--listne=127.0.0.1:0"];
    let built = flags_of_serve();
    for flag in unbuilt {
        let name = flag.trim_start_matches("--").split('=').next().unwrap();
        assert!(
            built.iter().all(|flag| flag.name != name),
            "--{name} is built now: take it out of this test"
        );
        let refused = run(&["serve", "--sandbox", flag], &[]);
        assert_eq!(refused.code, Some(64), "{flag}: {refused:#?}");
        assert!(
            refused.stderr.contains(&format!("--{name}")),
            "the message does not name it: {refused:#?}"
        );
    }
}

#[test]
fn every_flag_of_serve_is_a_variable_too() {
    for flag in flags_of_serve() {
        let (flag, variable) = (flag.name, flag.variable);
        let name = flag.to_uppercase().replace('-', "_");
        assert_eq!(variable, format!("PRESENCE_GATEWAY_{name}"), "--{flag}");
        // A value that no setting accepts shows that the variable is read.
        let refused = run(&["serve"], &[(&variable, "\u{1f6ab}")]);
        let expected = format!("--{flag}: `\u{1f6ab}`");
        assert!(
            refused.problems().iter().any(|p| p.starts_with(&expected)),
            "{variable} is not read: {refused:#?}"
        );
    }
}

#[test]
fn the_sandbox_inside_the_gateway_is_set_by_variables() {
    let refused = run(
        &["serve", "--sandbox"],
        &[("PRESENCE_GATEWAY_SANDBOX_USERS", "few")],
    );
    assert_eq!(
        refused.problems(),
        ["the sandbox's --users: `few` is not a whole number from 0 to 10000"]
    );
}

#[test]
fn a_variable_that_nobody_knows_does_not_stop_the_start() {
    // What Kubernetes injects for a Service called `presence-gateway`.
    let injected = [
        ("PRESENCE_GATEWAY_PORT", "tcp://10.0.0.1:50051"),
        ("PRESENCE_GATEWAY_PORT_50051_TCP", "tcp://10.0.0.1:50051"),
        ("PRESENCE_GATEWAY_SERVICE_HOST", "10.0.0.1"),
        ("PRESENCE_GATEWAY_SERVICE_PORT", "50051"),
        ("PRESENCE_GATEWAY_SERVICE_PORT_GRPC", "50051"),
        ("PRESENCE_GATEWAY_SANDBOX_SERVICE_HOST", "10.0.0.1"),
    ];
    Serving::start(&["serve", "--sandbox"], &injected);
}

#[test]
fn what_the_start_prints_to_be_pasted_works() {
    let mut gateway = Serving::start(&["serve", "--sandbox"], &[]);
    let greeting = gateway.greeting();
    let from = greeting.find("call GetUser").expect(&greeting);
    let command = format!(
        "{} {}",
        env!("CARGO_BIN_EXE_presence-gateway"),
        greeting[from..].split("\n\n").next().unwrap()
    );
    let pasted = Command::new("sh").args(["-c", &command]).output().unwrap();
    let stderr = String::from_utf8_lossy(&pasted.stderr);
    assert!(pasted.status.success(), "{command}\n{stderr}");
    let presence: Value = serde_json::from_slice(&pasted.stdout).unwrap();
    assert_eq!(
        presence["presenceDefinition"]["systemPresence"], "Available",
        "{presence}"
    );
}

#[test]
fn a_call_prints_its_answer_as_json() {
    let gateway = Serving::start(&["serve", "--sandbox"], &[]);
    let request = json!({"id": [USER, "nobody"]}).to_string();
    let call = ["call", "GetUsersPresencesPurecloudBulk", "-", "--address"];
    let called = run_with_input(
        &[&call[..], &[&gateway.address]].concat(),
        &[("PRESENCE_GATEWAY_TOKEN", "any")],
        &request,
    );
    assert_eq!(
        (called.code, called.stderr.as_str()),
        (Some(0), ""),
        "{called:#?}"
    );
    let answer: Value = serde_json::from_str(&called.stdout).unwrap();
    assert_eq!(answer["presences"][0]["userId"], USER);
    assert_eq!(answer["missingIds"], json!(["nobody"]));
}

#[test]
fn a_call_that_fails_prints_the_status_with_its_details() {
    let gateway = Serving::start(&["serve", "--sandbox"], &[]);
    let address = gateway.address.as_str();
    let flags = ["--address", address, "--token", "secret-of-the-caller"];
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
        "\"domain\":\"genesys.cloud\"",
        "google.rpc.RequestInfo",
    ] {
        assert!(missing.stderr.contains(expected), "{missing:#?}");
    }
    let wrong = get("..");
    assert_eq!(wrong.code, Some(1), "{wrong:#?}");
    assert!(wrong.stderr.contains("\"field\":\"user_id\""), "{wrong:#?}");
    for run in [missing, wrong] {
        assert!(!run.stderr.contains("secret-of-the-caller"), "{run:#?}");
    }
}

#[test]
fn a_call_that_cannot_be_made_is_told_apart_from_one_that_failed() {
    let unknown = run(&["call", "GetPresence"], &[]);
    assert_eq!(unknown.code, Some(64));
    assert!(
        unknown.stderr.contains("there is no RPC `GetPresence`")
            && unknown.stderr.contains("GetUserPresence\n"),
        "{unknown:#?}"
    );
    let field = run(&["call", "GetUserPresence", r#"{"usrId": "a"}"#], &[]);
    assert_eq!(field.code, Some(64));
    assert!(
        field.stderr.contains("unrecognized field name 'usrId'"),
        "{field:#?}"
    );
    let json = run(&["call", "GetUserPresence", "{"], &[]);
    assert_eq!(json.code, Some(64));
    // Nothing listens here: the port was free a moment ago.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let nobody = nobody.unwrap().to_string();
    let refused = run(&["call", "GetSystempresences", "--address", &nobody], &[]);
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    assert!(refused.stderr.starts_with("UNAVAILABLE: "), "{refused:#?}");
}

#[test]
fn a_port_that_is_taken_is_a_failure_that_names_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let serve = |flag| {
        [
            "serve",
            "--sandbox",
            "--listen",
            "127.0.0.1:0",
            flag,
            &taken,
        ]
    };
    for (flag, command) in [
        ("--listen", &["serve", "--sandbox", "--listen", &taken][..]),
        ("--listen", &["sandbox", "--listen", &taken]),
        ("--health-listen", &serve("--health-listen")),
        ("--metrics-listen", &serve("--metrics-listen")),
    ] {
        let failed = run(command, &[]);
        assert_eq!(failed.code, Some(64), "{failed:#?}");
        assert!(
            failed
                .stderr
                .contains(&format!("{flag}: cannot listen on {taken}")),
            "{failed:#?}"
        );
        assert!(failed.stderr.contains("another port"), "{failed:#?}");
    }
}

#[test]
fn two_ports_that_are_the_same_are_told_before_one_is_bound() {
    let port = "127.0.0.1:50999";
    let command = ["serve", "--sandbox", "--listen", port];
    let command = [
        &command[..],
        &["--health-listen", port, "--metrics-listen", port],
    ]
    .concat();
    let failed = run(&command, &[]);
    assert_eq!(failed.code, Some(64), "{failed:#?}");
    for told in [
        "--health-listen: `127.0.0.1:50999` is also the port of --listen",
        "--metrics-listen: `127.0.0.1:50999` is also the port of --listen",
        "--metrics-listen: `127.0.0.1:50999` is also the port of --health-listen",
    ] {
        assert!(failed.stderr.contains(told), "{failed:#?}");
    }
}

#[test]
fn the_sandbox_alone_is_an_upstream() {
    let sandbox = Serving::start(&["sandbox"], &[]);
    let url = format!("http://{}", sandbox.address);
    let gateway = Serving::start(&["serve", "--upstream-url", &url], &[]);
    let call = ["call", "GetSystempresences", "--token", "any", "--address"];
    let called = run(&[&call[..], &[&gateway.address]].concat(), &[]);
    assert_eq!(called.code, Some(0), "{called:#?}");
    assert!(called.stdout.contains("ON_QUEUE"), "{called:#?}");
}

#[test]
fn the_version_names_the_commit() {
    let version = run(&["--version"], &[]).stdout;
    let (version, commit) = version.trim().split_once(" (commit ").expect(&version);
    assert_eq!(
        version,
        concat!("presence-gateway ", env!("CARGO_PKG_VERSION"))
    );
    assert!(commit.len() > 1 && commit.ends_with(')'), "{commit}");
}

#[test]
fn a_call_is_one_line_of_the_log() {
    let gateway = Serving::start(&["serve", "--sandbox"], &[("RUST_LOG", "trace")]);
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
                "secret-of-the-caller",
            ],
            &[],
        );
    }
    gateway.signal("TERM");
    // The whole log is there once the process has ended.
    let (_, lines) = gateway.wait();
    let log: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect();
    let told: Vec<Value> = log
        .iter()
        .filter(|line| line["message"] == "call")
        .map(|line| {
            assert!(line["duration_ms"].as_f64().unwrap() > 0.0);
            json!([line["method"], line["status"], line["upstream_calls"]])
        })
        .collect();
    let service = "genesys.presence.v1.PresenceService";
    assert_eq!(
        told,
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
        for secret in [
            "secret-of-the-caller",
            USER,
            "nobody-at-all",
            "presenceDefinition",
        ] {
            assert!(!line.contains(secret), "{secret} is in the log: {line}");
        }
    }
}

#[test]
fn the_log_is_readable_text_where_that_is_asked_for() {
    let sandbox = Serving::start(&["sandbox"], &[]);
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
    let told = format!("upstream={url}");
    assert!(line.contains(" INFO serving address=127.0.0.1:"), "{line}");
    assert!(line.contains(&told), "{line}");
    assert!(
        !line.contains('\u{1b}'),
        "colours, where no terminal is: {line}"
    );
}
