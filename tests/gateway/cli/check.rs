//! `serve --check`, and warnings of variables that look misspelt.

use std::net::TcpListener;
use std::process::Command;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use serde_json::Value;

use crate::support::certificates::{Authority, TempDir};
use crate::support::process::{ServerProcess, run};

/// Runs `serve --check`; returns the summary and what the standard error stream has.
#[track_caller]
fn check(flags: &[&str], environment: &[(&str, &str)]) -> (String, String) {
    let output = run(&[&["serve", "--check"], flags].concat(), environment);
    assert_eq!(output.code, Some(0), "{output:#?}");
    (output.stdout, output.stderr)
}

/// The text behind a word of the summary.
#[track_caller]
fn line<'a>(summary: &'a str, word: &str) -> &'a str {
    let mut lines = summary.lines();
    let found = lines.find_map(|line| line.strip_prefix(word)?.strip_prefix("  "));
    found
        .unwrap_or_else(|| panic!("no line `{word}`: {summary}"))
        .trim()
}

#[test]
fn valid_settings_are_summed_up_without_a_port_or_a_connection() {
    // A port in use and an upstream that does not answer go unnoticed.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let flags = ["--listen", &taken, "--upstream-url", "http://127.0.0.1:1"];
    let (summary, errors) = check(
        &flags,
        &[
            ("PRESENCE_GATEWAY_MAX_IN_FLIGHT", "77"),
            ("PRESENCE_GATEWAY_METRICS_LISTEN", ":9464"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=s3cret"),
        ],
    );
    assert_eq!(errors, "");
    assert_eq!(line(&summary, "callers"), format!("{taken}, without TLS"));
    assert_eq!(line(&summary, "health"), "off (--health-listen)");
    assert_eq!(line(&summary, "metrics"), "[::]:9464, without TLS");
    assert_eq!(line(&summary, "upstream"), "http://127.0.0.1:1");
    assert_eq!(line(&summary, "protocol"), "HTTP/1.1");
    assert!(line(&summary, "calls").starts_with("77 at once, 256MiB"));
    assert_eq!(
        line(&summary, "shutdown"),
        "lame duck 5s, then at most 30s for calls"
    );
    let collector = "http/protobuf to http://collector:4318/v1/traces";
    assert_eq!(line(&summary, "traces"), collector);
    assert!(!summary.contains("s3cret"), "{summary}");
}

#[test]
fn the_variable_and_the_sandbox_are_checked_too() {
    let output = run(
        &["serve", "--sandbox"],
        &[("PRESENCE_GATEWAY_CHECK", "true")],
    );
    assert_eq!(output.code, Some(0), "{output:#?}");
    assert!(line(&output.stdout, "upstream").contains("sandbox"));
    let setting = [("PRESENCE_GATEWAY_SANDBOX_USERS", "few")];
    let rejected = run(&["serve", "--sandbox", "--check"], &setting);
    assert_eq!(rejected.config_errors().len(), 1, "{rejected:#?}");
}

#[test]
fn certificates_are_summed_up_with_their_names_and_their_end() {
    let (authority, folder) = (Authority::new(), TempDir::new());
    let issued = authority.local();
    let cert = folder.file("cert.pem", &issued.cert);
    let key = folder.file("key.pem", &issued.key);
    let ca = folder.file("ca.pem", &authority.pem);
    let flags = [
        ["--tls-cert", &cert, "--tls-key", &key],
        ["--tls-client-ca", &ca, "--upstream-ca", &ca],
        [
            "--upstream-client-cert",
            &cert,
            "--upstream-client-key",
            &key,
        ],
        [
            "--upstream-url",
            "https://api.example/prefix",
            "--upstream-proxy",
            "http://u:s3cret@p.example:3128",
        ],
    ];
    let (summary, errors) = check(&flags.concat(), &[]);
    assert_eq!(errors, "");
    assert!(line(&summary, "callers").ends_with(", TLS"), "{summary}");
    for word in ["certificate", "presented"] {
        let text = line(&summary, word);
        assert!(
            text.contains("localhost") && text.contains("; expires "),
            "{text}"
        );
    }
    assert_eq!(
        line(&summary, "clients"),
        format!("need a certificate of a CA in {ca}")
    );
    assert_eq!(line(&summary, "trusted"), "1 CAs of --upstream-ca");
    let protocol = "HTTP/2 if the upstream offers it, else HTTP/1.1";
    assert_eq!(line(&summary, "protocol"), protocol);
    assert_eq!(line(&summary, "upstream"), "https://api.example/prefix");
    assert_eq!(line(&summary, "proxy"), "p.example:3128");
    assert!(!summary.contains("s3cret"), "{summary}");
}

#[test]
fn each_region_is_listed_with_its_host() {
    let (summary, errors) = check(
        &[
            "--region=mypurecloud.de",
            "--region",
            "us_west_2,ap-south-1",
        ],
        // A flag takes the place of the variable, all of it.
        &[("PRESENCE_GATEWAY_REGION", "us-east-1,eu-west-1")],
    );
    let lines = summary.lines();
    let lines: Vec<&str> = lines.filter(|line| line.starts_with("upstream")).collect();
    let expected = [
        "upstream      https://api.mypurecloud.de (eu-central-1, the default)",
        "upstream      https://api.usw2.pure.cloud (us-west-2)",
        "upstream      https://api.aps1.pure.cloud (ap-south-1)",
    ];
    assert_eq!((&lines[..], errors.as_str()), (&expected[..], ""));
}

#[test]
fn an_expired_certificate_is_warned_of() {
    let folder = TempDir::new();
    let pair = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["gateway.example".to_owned()]).unwrap();
    params.not_after = date_time_ymd(2020, 1, 2);
    let cert = folder.file("cert.pem", &params.self_signed(&pair).unwrap().pem());
    let key = folder.file("key.pem", &pair.serialize_pem());
    let (_, errors) = check(&["--sandbox", "--tls-cert", &cert, "--tls-key", &key], &[]);
    assert_eq!(
        errors,
        "presence-gateway: warning: --tls-cert: the certificate expired on 2020-01-02T00:00:00Z\n"
    );
}

#[test]
fn a_certificate_that_clients_reject_is_warned_of_by_serve_too() {
    let folder = TempDir::new();
    let pair = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["gateway.example".to_owned()]).unwrap();
    let key = folder.file("key.pem", &pair.serialize_pem());
    for (name, start, end, expected) in [
        ("expired", 2019, 2020, "expired on 2020-01-02T00:00:00Z"),
        (
            "reversed",
            2020,
            2019,
            "is never valid, because its end is before its start",
        ),
    ] {
        params.not_before = date_time_ymd(start, 1, 2);
        params.not_after = date_time_ymd(end, 1, 2);
        let cert = params.self_signed(&pair).unwrap().pem();
        let cert = folder.file(&format!("{name}.pem"), &cert);
        let flags = ["--sandbox", "--tls-cert", &cert, "--tls-key", &key];
        let (_, errors) = check(&flags, &[]);
        let warning = format!("warning: --tls-cert: the certificate {expected}\n");
        assert!(errors.ends_with(&warning), "{errors}");
        let server = ServerProcess::start(&[&["serve"], &flags[..]].concat(), &[]);
        let warning = format!("clients reject the certificate of --tls-cert: it {expected}");
        server.wait_for_log(&warning);
    }
}

#[test]
fn a_file_without_an_end_is_rejected_and_a_pipe_is_read() {
    let (authority, folder) = (Authority::new(), TempDir::new());
    let issued = authority.local();
    let cert = folder.file("cert.pem", &issued.cert);
    let key = folder.file("key.pem", &issued.key);
    let pipe = folder.path().join("pipe").to_str().unwrap().to_owned();
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    for (file, expected) in [
        ("/dev/zero", "is neither a file nor a pipe"),
        (
            pipe.as_str(),
            "is a pipe, and was not written to its end within 5s",
        ),
    ] {
        let rejected = run(
            &[
                "serve",
                "--check",
                "--sandbox",
                "--tls-cert",
                file,
                "--tls-key",
                &key,
            ],
            &[],
        );
        let expected = format!("--tls-cert: `{file}` {expected}");
        assert_eq!(rejected.config_errors(), [expected], "{rejected:#?}");
    }
    let substituted = format!(
        "{} serve --check --sandbox --tls-cert <(cat {cert}) --tls-key <(sleep 0.1; cat {key})",
        env!("CARGO_BIN_EXE_presence-gateway")
    );
    let output = Command::new("bash")
        .args(["-c", &substituted])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:#?}");
}

#[test]
fn all_errors_of_settings_and_files_are_reported_together() {
    let (authority, folder) = (Authority::new(), TempDir::new());
    let cert = folder.file("cert.pem", &authority.local().cert);
    let other_key = folder.file("key.pem", &authority.local().key);
    let no_ca = folder.file("ca.pem", "no certificate");
    let rejected = run(
        &[
            "serve",
            "--check",
            "--region=mars",
            "--tls-cert",
            &cert,
            "--tls-key",
            &other_key,
            "--upstream-ca",
            &no_ca,
            "--nope",
        ],
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector"),
            ("TOKIO_WORKER_THREADS", "none"),
            ("PRESENCE_GATEWAY_MAX_INFLIGHT", "77"),
        ],
    );
    let errors = rejected.config_errors();
    for expected in [
        "unexpected argument '--nope'",
        "--region: `mars` is no region",
        "is not the key of the certificate",
        "holds no certificate in PEM",
        "OTEL_EXPORTER_OTLP_ENDPOINT: `collector`",
        "TOKIO_WORKER_THREADS: `none`",
        "warning: PRESENCE_GATEWAY_MAX_INFLIGHT is no setting",
    ] {
        assert!(
            errors.iter().any(|error| error.contains(expected)),
            "{expected}: {errors:#?}"
        );
    }
}

#[test]
fn a_variable_that_looks_misspelt_is_warned_of_without_its_value() {
    let misspelt = [
        ("PRESENCE_GATEWAY_MAX_INFLIGHT", "s3cret"),
        // Kubernetes adds these for a Service.
        ("PRESENCE_GATEWAY_LISTEN_PORT", "tcp://10.0.0.1:50051"),
        ("PRESENCE_GATEWAY_LISTEN_SERVICE_HOST", "10.0.0.1"),
    ];
    let (_, errors) = check(&["--sandbox"], &misspelt);
    assert_eq!(
        errors,
        "presence-gateway: warning: PRESENCE_GATEWAY_MAX_INFLIGHT is no setting, and is ignored; \
         a similar one is PRESENCE_GATEWAY_MAX_IN_FLIGHT\n"
    );
    for command in [&["serve", "--sandbox"][..], &["sandbox"]] {
        let server = ServerProcess::start(command, &misspelt);
        server.signal("TERM");
        let (_, log) = server.wait();
        let log = log
            .iter()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let warnings: Vec<Value> = log.filter(|line| line["level"] == "WARN").collect();
        let [warning] = &warnings[..] else {
            panic!("{warnings:#?}")
        };
        assert_eq!(warning["variable"], "PRESENCE_GATEWAY_MAX_INFLIGHT");
        assert_eq!(warning["similar"], "PRESENCE_GATEWAY_MAX_IN_FLIGHT");
        assert!(!warning.to_string().contains("s3cret"), "{warning}");
    }
}
