//! Flags and variables: which are accepted, and how errors are reported.

use std::ffi::OsStr;
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use crate::contract::documents::{CONFIGURATION, section};
use crate::support::process::{ServerProcess, run};
use crate::support::serve_flags::flags_of_serve;

#[test]
fn all_problems_are_reported_together_before_a_port_is_bound() {
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
        refused.config_errors(),
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
fn an_address_that_cannot_be_listened_on_is_rejected_with_what_would_be_right() {
    for (address, expected) in [
        (
            "50051",
            "is a port alone: write `127.0.0.1:50051` for this machine alone, or `:50051` for all \
             addresses",
        ),
        ("127.0.0.1", "has no port: write `127.0.0.1:PORT`"),
        ("localhost", "has no port: write `localhost:PORT`"),
        ("::1", "has no port: write `[::1]:PORT`"),
        ("[::]", "has no port: write `[::]:PORT`"),
        (
            "gateway.example:50051",
            "is not an IP address with a port, for example",
        ),
        (
            "http://127.0.0.1:50051",
            "is not an IP address with a port, for example",
        ),
        (
            "127.0.0.1:65536",
            "is not an IP address with a port, for example",
        ),
        (
            "localhost:",
            "is not an IP address with a port, for example",
        ),
    ] {
        for flag in ["--listen", "--health-listen", "--metrics-listen"] {
            let given = format!("{flag}={address}");
            let rejected = run(&["serve", "--sandbox", &given], &[]);
            let [error] = rejected.config_errors()[..] else {
                panic!("{rejected:#?}")
            };
            let expected = format!("{flag}: `{address}` {expected}");
            assert!(error.starts_with(&expected), "{error}");
        }
        let rejected = run(&["sandbox", "--listen", address], &[]);
        let expected = format!("--listen: `{address}` {expected}");
        assert!(
            rejected.config_errors()[0].starts_with(&expected),
            "{rejected:#?}"
        );
    }
}

#[test]
fn the_short_help_fits_a_screen_and_the_long_one_has_all_flags_under_headings() {
    for command in ["serve", "sandbox", "call"] {
        let short = run(&[command, "-h"], &[]).stdout;
        assert!(short.lines().count() <= 50, "{short}");
        assert!(!short.contains("[env:"), "{short}");
    }
    let short = run(&["serve", "-h"], &[]).stdout;
    assert!(
        short.contains("--region") && !short.contains("--lame-duck"),
        "{short}"
    );
    let long = run(&["serve", "--help"], &[]).stdout;
    let settings = section(CONFIGURATION, "Settings");
    let headings = settings
        .lines()
        .filter_map(|line| line.strip_prefix("### "));
    let headings: Vec<&str> = headings
        .filter(|it| {
            ![
                "Check the settings",
                "Other variables",
                "Misspelt variables",
            ]
            .contains(it)
        })
        .collect();
    assert!(headings.len() > 5, "{headings:?}");
    let shown = long.lines().filter(|line| !line.starts_with(' '));
    let shown = shown.filter_map(|line| line.strip_suffix(':'));
    let shown: Vec<&str> = shown
        .filter(|it| !["Options", "Other variables"].contains(it))
        .collect();
    assert_eq!(shown, headings);
}

#[test]
fn the_memory_limit_has_a_unit_and_bounds() {
    let problem = |size: &str| {
        let flag = format!("--message-memory={size}");
        let refused = run(&["serve", "--sandbox", &flag], &[]);
        refused.config_errors().join("\n")
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
fn problems_of_other_variables_are_reported_with_those_of_flags() {
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
    let problems = refused.config_errors();
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
fn arguments_that_no_flag_takes_are_reported_with_the_other_errors() {
    let given = [
        "serve",
        "--bogus",
        "1",
        "--max-bulk-ids",
        "x",
        "extra",
        "--sandbox",
        "-V",
        "--nope=2",
    ];
    let expected = [
        "unexpected argument '--bogus' found",
        "unexpected argument 'extra' found",
        "unexpected argument '-V' found",
        "unexpected argument '--nope' found",
        "--max-bulk-ids: `x` is not a whole number",
    ];
    let rejected = run(&given, &[]);
    assert_eq!(rejected.code, Some(64), "{rejected:#?}");
    let errors = rejected.config_errors();
    assert_eq!(errors.len(), expected.len(), "{errors:#?}");
    for (error, expected) in errors.iter().zip(expected) {
        assert!(error.starts_with(expected), "{errors:#?}");
    }
    for given in [
        ["sandbox", "--users", "x", "--nope"],
        ["serve", "serve", "--max-bulk-ids=x", "--sandbox"],
    ] {
        let rejected = run(&given, &[]);
        let errors = rejected.config_errors();
        assert_eq!(errors.len(), 2, "{errors:#?}");
    }
}

#[test]
fn what_the_parser_rejects_hides_no_other_error() {
    let rejected = run(
        &[
            "serve",
            "--log-format",
            "text",
            "--max-in-flight=5",
            "--max-in-flight",
            "6",
            "--default-deadline",
            "-5s",
            "--max-bulk-ids",
            "x",
            "--sandbox",
            "--sandbox=true",
            "--bogus",
            "--listen",
        ],
        &[],
    );
    let errors = rejected.config_errors();
    for expected in [
        "--max-in-flight: given more than once",
        "--sandbox: given more than once",
        "--default-deadline: `-5s` is not a duration with a unit",
        "--max-bulk-ids: `x` is not a whole number",
        "unexpected argument '--bogus' found",
        "--listen: has no value",
    ] {
        let count = errors.iter().filter(|it| it.starts_with(expected)).count();
        assert_eq!(count, 1, "{expected}: {errors:#?}");
    }
    assert_eq!(errors.len(), 6, "{errors:#?}");
}

#[test]
fn a_value_that_is_not_utf_8_is_reported_with_its_setting() {
    let program = || {
        let mut program = Command::new(env!("CARGO_BIN_EXE_presence-gateway"));
        program.env_clear();
        program
    };
    let wrong = OsStr::from_bytes(b"x\xe9");
    for (command, variable) in [
        (&["serve", "--sandbox"][..], "PRESENCE_GATEWAY_MAX_BULK_IDS"),
        (&["serve", "--sandbox"], "PRESENCE_GATEWAY_SANDBOX_USERS"),
        (&["sandbox"], "PRESENCE_GATEWAY_SANDBOX_USERS"),
        (&["call", "GetSystempresences"], "PRESENCE_GATEWAY_TOKEN"),
    ] {
        let output = program()
            .args(command)
            .env(variable, wrong)
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{stderr}");
        let expected = format!("{variable}: the value is not UTF-8");
        assert!(stderr.contains(&expected), "{stderr}");
    }
    for command in [
        &["serve", "--sandbox", "--log-format"][..],
        &["call", "--deadline"],
    ] {
        let output = program().args(command).arg(wrong).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{stderr}");
        let expected = format!("{}: the value is not UTF-8", command.last().unwrap());
        assert!(stderr.contains(&expected), "{stderr}");
    }
}

#[test]
fn an_unknown_flag_is_rejected_with_a_similar_one() {
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
fn a_flag_of_another_program_or_command_is_rejected_with_what_there_is_instead() {
    for (given, expected) in [
        (&["serve", "--token=any"][..], "each call brings its token"),
        (&["serve", "--port=50051"], "the flag is --listen"),
        (&["serve", "--verbose"], "`RUST_LOG=debug`"),
        (
            &["serve", "--sandbox", "--users=3"],
            "has the variable PRESENCE_GATEWAY_SANDBOX_USERS for it",
        ),
        (
            &["serve", "--sandbox", "--user=3"],
            "has the variable PRESENCE_GATEWAY_SANDBOX_USERS for it",
        ),
        (&["--sandbox"], "`presence-gateway serve --sandbox`"),
        (&["--list"], "`presence-gateway call --list`"),
        (
            &["getUserPresence"],
            "`presence-gateway call GetUserPresence`",
        ),
        (&["list"], "`presence-gateway call --list`"),
        (
            &["describe", "getuserpresence"],
            "`presence-gateway call GetUserPresence --describe`",
        ),
        (&["--listen", ":1"], "`presence-gateway serve --listen`"),
    ] {
        let rejected = run(given, &[]);
        assert_eq!(rejected.code, Some(64), "{rejected:#?}");
        assert!(rejected.stderr.contains(expected), "{rejected:#?}");
    }
    // A flag that has little in common with the wrong one is not proposed.
    for given in [["serve", "--colour"], ["sandbox", "--colour"]] {
        let rejected = run(&given, &[]);
        assert!(!rejected.stderr.contains("similar"), "{rejected:#?}");
    }
}

#[test]
fn an_upstream_url_without_a_scheme_is_rejected_with_the_right_one_and_the_region() {
    for (url, expected) in [
        (
            "api.mypurecloud.com",
            "has no scheme: write `https://api.mypurecloud.com`, or `--region us-east-1`",
        ),
        (
            "vendor.example:8443",
            "has no scheme: write `https://vendor.example:8443`",
        ),
    ] {
        let rejected = run(&["serve", "--upstream-url", url], &[]);
        let expected = format!("--upstream-url: `{url}` {expected}");
        let errors = rejected.config_errors();
        assert!(errors[0].starts_with(&expected), "{errors:?}");
    }
}

#[test]
fn a_switch_with_a_separate_value_is_rejected_with_the_correct_spelling() {
    let refused = run(&["serve", "--sandbox", "--share-reads", "false"], &[]);
    assert_eq!(refused.code, Some(64), "{refused:#?}");
    assert!(
        refused.stderr.contains("'--share-reads=false'"),
        "{refused:#?}"
    );
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let nothing = [
        ("PRESENCE_GATEWAY_REGION", ""),
        ("PRESENCE_GATEWAY_UPSTREAM_URL", ""),
        ("PRESENCE_GATEWAY_MAX_BULK_IDS", ""),
        ("PRESENCE_GATEWAY_LOG_FORMAT", ""),
        ("PRESENCE_GATEWAY_SANDBOX_USERS", ""),
    ];
    ServerProcess::start(&["serve", "--sandbox"], &nothing);
}

#[test]
fn a_password_in_the_upstream_url_is_rejected_and_not_shown() {
    let url = "https://user:s3cret@example.com/";
    let refused = run(&["serve", "--upstream-url", url], &[]);
    assert_eq!(
        refused.config_errors(),
        ["--upstream-url: `…` must not hold a user or a password"]
    );
}

#[test]
fn exactly_one_upstream_must_be_chosen() {
    let none = run(&["serve"], &[]);
    assert_eq!(
        none.config_errors(),
        ["no upstream: give one of --region, --upstream-url, --sandbox"]
    );
    let two = run(
        &["serve", "--sandbox"],
        &[("PRESENCE_GATEWAY_REGION", "us-east-1")],
    );
    assert_eq!(
        two.config_errors(),
        [
            "more than one upstream: give one of --region, --sandbox (each may also come from the \
             environment)"
        ]
    );
}

#[test]
fn an_unknown_region_is_rejected_with_the_known_ones() {
    let refused = run(&["serve", "--region", "mars"], &[]);
    let [problem] = refused.config_errors()[..] else {
        panic!("{refused:#?}")
    };
    assert!(problem.starts_with("--region: `mars` is no region; the regions are "));
    for region in ["us-east-1", "eu-central-1", "ap-northeast-3"] {
        assert!(problem.contains(region), "{problem}");
    }
}

#[test]
fn all_errors_of_a_list_of_regions_are_reported_at_once() {
    let list = "eu-central1, us-east-1,,mypurecloud.com";
    let expected = [
        "--region: `eu-central1` is no region; did you mean `eu-central-1`? the regions are ",
        "--region: a name is missing in `eu-central1, us-east-1,,mypurecloud.com`",
        "--region: `mypurecloud.com` is us-east-1, which is given twice",
        "--max-bulk-ids: `x`",
    ];
    let variable = [("PRESENCE_GATEWAY_REGION", list)];
    let rejected = [
        run(&["serve", "--region", list, "--max-bulk-ids=x"], &[]),
        run(&["serve", "--max-bulk-ids=x"], &variable),
    ];
    for rejected in &rejected {
        let errors = rejected.config_errors();
        assert_eq!(errors.len(), expected.len(), "{errors:#?}");
        for (error, expected) in errors.iter().zip(expected) {
            assert!(error.starts_with(expected), "{errors:#?}");
        }
    }
    let flags = run(&["serve", "--region=us-east-1", "--region=US_EAST_1"], &[]);
    let twice = "--region: `US_EAST_1` is us-east-1, which is given twice";
    assert_eq!(flags.config_errors(), [twice]);
}

#[test]
fn plain_http_to_another_machine_needs_a_flag() {
    let url = "http://10.1.2.3:8080/prefix";
    let refused = run(&["serve", "--upstream-url", url], &[]);
    assert!(
        refused.config_errors()[0].ends_with("use https, or give --allow-insecure-upstream"),
        "{refused:#?}"
    );
    let allowed: [&[&str]; 3] = [
        &["serve", "--upstream-url", url, "--allow-insecure-upstream"],
        &["serve", "--upstream-url", "http://127.0.0.1:8080"],
        &["serve", "--upstream-url", "https://10.1.2.3"],
    ];
    for arguments in allowed {
        ServerProcess::start(arguments, &[]);
    }
}

#[test]
fn a_mistyped_or_missing_flag_is_rejected() {
    let missing = ["--cache=true", "--listne=127.0.0.1:0"];
    let existing = flags_of_serve();
    for flag in missing {
        let name = flag.trim_start_matches("--").split('=').next().unwrap();
        assert!(
            existing.iter().all(|flag| flag.name != name),
            "--{name} exists now: remove it from this test"
        );
        let refused = run(&["serve", "--sandbox", flag], &[]);
        assert_eq!(refused.code, Some(64), "{flag}: {refused:#?}");
        assert!(
            refused.stderr.contains(&format!("--{name}")),
            "the message does not name the flag: {refused:#?}"
        );
    }
}

#[test]
fn every_flag_of_serve_has_a_variable() {
    for flag in flags_of_serve() {
        let (flag, variable) = (flag.name, flag.variable);
        let name = flag.to_uppercase().replace('-', "_");
        assert_eq!(variable, format!("PRESENCE_GATEWAY_{name}"), "--{flag}");
        // No setting accepts this value, so an error shows that it is read.
        let refused = run(&["serve"], &[(&variable, "\u{1f6ab}")]);
        // A file's name that may be a secret is not shown.
        let expected = ["\u{1f6ab}`", "…"].map(|value| format!("--{flag}: `{value}"));
        let is_expected = |error: &str| expected.iter().any(|it| error.starts_with(it));
        assert!(
            refused.config_errors().iter().any(|it| is_expected(it)),
            "{variable} is not read: {refused:#?}"
        );
    }
}

#[test]
fn an_error_of_a_sandbox_setting_names_the_flag_or_the_variable_that_has_it() {
    let few = [("PRESENCE_GATEWAY_SANDBOX_USERS", "few")];
    let by_variable = "PRESENCE_GATEWAY_SANDBOX_USERS: `few`";
    for (command, variables, name) in [
        (&["serve", "--sandbox"][..], &few[..], by_variable),
        (&["sandbox"], &few, by_variable),
        (&["sandbox", "--users", "some"], &few, "--users: `some`"),
    ] {
        let expected = format!("{name} is not a whole number from 0 to 10000");
        assert_eq!(run(command, variables).config_errors(), [expected]);
    }
    for command in [&["serve", "--sandbox"][..], &["sandbox"]] {
        let refused = run(command, &[("PRESENCE_GATEWAY_SANDBOX_LISTEN", "nowhere")]);
        let errors = refused.config_errors();
        let expected = "PRESENCE_GATEWAY_SANDBOX_LISTEN: `nowhere` is not an IP address";
        assert!(errors[0].starts_with(expected), "{errors:?}");
    }
}

#[test]
fn a_flag_of_the_sandbox_given_to_serve_is_rejected_with_its_variable() {
    for given in [
        &["--users", "5"][..],
        &["--users=5"],
        &["--bulk-write", "partial"],
    ] {
        let refused = run(&[&["serve", "--sandbox"], given].concat(), &[]);
        let flag = given[0].split('=').next().unwrap();
        let variable = flag[2..].replace('-', "_").to_uppercase();
        assert_eq!(
            refused.config_errors(),
            [format!(
                "unexpected argument '{flag}' found; `serve --sandbox` has the variable \
                 PRESENCE_GATEWAY_SANDBOX_{variable} for it"
            )]
        );
    }
}

#[test]
fn an_unknown_variable_is_ignored() {
    // Kubernetes sets these for a Service named `presence-gateway`.
    let injected = [
        ("PRESENCE_GATEWAY_PORT", "tcp://10.0.0.1:50051"),
        ("PRESENCE_GATEWAY_PORT_50051_TCP", "tcp://10.0.0.1:50051"),
        ("PRESENCE_GATEWAY_SERVICE_HOST", "10.0.0.1"),
        ("PRESENCE_GATEWAY_SERVICE_PORT", "50051"),
        ("PRESENCE_GATEWAY_SERVICE_PORT_GRPC", "50051"),
        ("PRESENCE_GATEWAY_SANDBOX_SERVICE_HOST", "10.0.0.1"),
    ];
    ServerProcess::start(&["serve", "--sandbox"], &injected);
}
