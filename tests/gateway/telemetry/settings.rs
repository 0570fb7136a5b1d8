//! Invalid values of OpenTelemetry's variables.

use std::fs;

use rcgen::{CertificateParams, KeyPair};

use crate::contract::documents::{TELEMETRY, rows, section};
use crate::support::process::run;

pub(super) const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317");

/// The problems that `serve` reports with these variables.
#[track_caller]
fn problems(variables: &[(&str, &str)]) -> Vec<String> {
    let refused = run(
        &["serve", "--sandbox", "--listen", "127.0.0.1:0"],
        variables,
    );
    refused
        .config_errors()
        .into_iter()
        .map(str::to_owned)
        .collect()
}

/// Malformed values, each with a part of the expected message.
const MALFORMED: &[(&str, &str, &str)] = &[
    ("OTEL_SDK_DISABLED", "yes", "`true` nor `false`"),
    (
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "collector:4317",
        "must begin with `http://`",
    ),
    (
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "4317",
        "is not a URL like `http://collector:4318`",
    ),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/?a", "a query"),
    (
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "tcp://c:4317",
        "must begin with `http://`",
    ),
    (
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "grcp",
        "`grpc` and `http/protobuf`",
    ),
    (
        "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
        "http/protobuff",
        "`grpc` and `http/protobuf`",
    ),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "(milliseconds)"),
    (
        "OTEL_EXPORTER_OTLP_COMPRESSION",
        "zstd",
        "`gzip` and `none`",
    ),
    ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/none", "cannot be read"),
    ("OTEL_TRACES_EXPORTER", "oltp", "`otlp` and `none`"),
    ("OTEL_TRACES_EXPORTER", "otlp,none", "must stand alone"),
    ("OTEL_METRICS_EXPORTER", "promethus", "`otlp` and `none`"),
    ("OTEL_TRACES_SAMPLER", "ratio", "`parentbased_traceidratio`"),
    ("OTEL_TRACES_SAMPLER_ARG", "1.5", "a ratio from 0 to 1"),
    ("OTEL_TRACES_SAMPLER_ARG", "NaN", "a ratio from 0 to 1"),
    ("OTEL_BSP_SCHEDULE_DELAY", "0", "(milliseconds)"),
    ("OTEL_BSP_EXPORT_TIMEOUT", "-1", "(milliseconds)"),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "a whole number"),
    (
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
        "4096",
        "OTEL_BSP_MAX_QUEUE_SIZE",
    ),
    ("OTEL_METRIC_EXPORT_INTERVAL", "1m", "(milliseconds)"),
    ("OTEL_METRIC_EXPORT_TIMEOUT", "x", "(milliseconds)"),
    (
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
        "monthly",
        "`cumulative`, `delta` and `lowmemory`",
    ),
    ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "-1", "a whole number"),
    ("OTEL_SPAN_EVENT_COUNT_LIMIT", "x", "a whole number"),
    ("OTEL_SPAN_LINK_COUNT_LIMIT", "1.5", "a whole number"),
    ("OTEL_PROPAGATORS", "tracecontex", "`tracecontext`"),
    (
        "OTEL_RESOURCE_ATTRIBUTES",
        "a=1,b",
        "because of its entry `b`",
    ),
    (
        "OTEL_RESOURCE_ATTRIBUTES",
        "=1",
        "because of its entry `=1`",
    ),
];

#[test]
fn a_malformed_value_is_reported_with_its_variable_and_the_remedy() {
    for (name, value, remedy) in MALFORMED {
        let reported = problems(&[(name, value)]);
        assert_eq!(reported.len(), 1, "{name}={value}: {reported:?}");
        assert!(
            reported[0].starts_with(&format!("{name}: `{value}`")),
            "{reported:?}"
        );
        assert!(reported[0].contains(remedy), "{reported:?}");
    }
}

#[test]
fn a_key_that_is_missing_and_has_no_certificate_is_reported_for_both() {
    let key = "OTEL_EXPORTER_OTLP_CLIENT_KEY";
    let reported = problems(&[(key, "/none")]);
    let [unreadable, alone] = &reported[..] else {
        panic!("{reported:?}");
    };
    let start = format!("{key}: `/none`");
    assert!(
        unreadable.starts_with(&format!("{start} cannot be read")),
        "{reported:?}"
    );
    let needs = format!("{start} needs OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE too");
    assert_eq!(*alone, needs);
}

#[test]
fn a_typo_in_a_list_is_reported_beside_known_names() {
    for (list, typo) in [
        ("tracecontex,baggage", "tracecontex"),
        ("b3,tracecontex", "tracecontex"),
        ("b3multi, b4 ,xray", "b4"),
    ] {
        let refused = problems(&[("OTEL_PROPAGATORS", list)]);
        let [problem] = &refused[..] else {
            panic!("{list}: {refused:?}")
        };
        let begin = format!("OTEL_PROPAGATORS: `{typo}` is none of `tracecontext`");
        assert!(problem.starts_with(&begin), "{problem}");
    }
}

#[test]
fn empty_headers_of_one_signal_are_rejected_beside_general_headers() {
    let reported = problems(&[
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=s3cret"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", ""),
    ]);
    let [problem] = &reported[..] else {
        panic!("{reported:?}")
    };
    assert!(
        problem.starts_with("OTEL_EXPORTER_OTLP_TRACES_HEADERS: it is set to nothing")
            && !problem.contains("s3cret"),
        "{problem}"
    );
}

#[test]
fn every_documented_variable_is_read() {
    // Variables without a malformed value; other tests set them.
    let mut read = vec![
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
        "OTEL_EXPORTER_OTLP_CLIENT_KEY",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "OTEL_SERVICE_NAME",
    ];
    read.extend(MALFORMED.iter().map(|(name, _, _)| name));
    let rows = rows(section(TELEMETRY, "Settings"));
    let cells = rows.iter().map(|row| row.split('|').nth(1).unwrap());
    let listed: Vec<&str> = cells
        .flat_map(|cell| cell.split('`').filter(|name| name.starts_with("OTEL_")))
        .collect();
    assert!(listed.len() > 20, "{listed:?}");
    for name in &listed {
        assert!(read.contains(name), "no test shows that {name} is read");
    }
    for name in read {
        let general = name.replace("_TRACES_ENDPOINT", "_ENDPOINT");
        let general = general.replace("_METRICS_PROTOCOL", "_PROTOCOL");
        assert!(listed.contains(&general.as_str()), "{name} is not listed");
    }
}

#[test]
fn all_problems_are_reported_together_and_once_each() {
    let reported = problems(&[
        ENDPOINT,
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "udp"),
        ("OTEL_TRACES_SAMPLER", "some"),
        ("PRESENCE_GATEWAY_METRICS_LISTEN", "9090"),
        ("PRESENCE_GATEWAY_MAX_DEADLINE", "0s"),
    ]);
    let names: Vec<&str> = reported
        .iter()
        .map(|line| line.split(':').next().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "--metrics-listen",
            "--max-deadline",
            "OTEL_EXPORTER_OTLP_PROTOCOL",
            "OTEL_TRACES_SAMPLER"
        ],
        "{reported:?}"
    );
}

#[test]
fn a_problem_with_a_header_or_a_url_shows_no_secret() {
    for (value, what) in [
        ("api-key=s3cret,nonsense-s3cret", "entry 2 has no `=`"),
        ("api key=s3cret", "entry 1 has a name"),
        ("api-key=s3cret%0a", "entry 1 has a value"),
        ("api-key=s3cret%ff", "entry 1 has a value"),
    ] {
        let reported = problems(&[ENDPOINT, ("OTEL_EXPORTER_OTLP_HEADERS", value)]);
        assert_eq!(reported.len(), 1, "{reported:?}");
        assert!(
            reported[0].starts_with("OTEL_EXPORTER_OTLP_HEADERS: "),
            "{reported:?}"
        );
        assert!(reported[0].contains(what), "{reported:?}");
        assert!(!reported[0].contains("s3cret"), "{reported:?}");
    }
    let reported = problems(&[(ENDPOINT.0, "http://user:s3cret@127.0.0.1:4317")]);
    assert!(
        reported[0].contains("OTEL_EXPORTER_OTLP_HEADERS"),
        "{reported:?}"
    );
    assert!(!reported[0].contains("s3cret"), "{reported:?}");
}

#[test]
fn a_grpc_endpoint_with_a_path_is_rejected() {
    let reported = problems(&[
        (ENDPOINT.0, "http://127.0.0.1:4317/v1/traces"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
    ]);
    assert_eq!(reported.len(), 1, "{reported:?}");
    assert!(
        reported[0].contains("a host and a port alone"),
        "{reported:?}"
    );
}

#[test]
fn invalid_or_mismatched_certificates_are_reported() {
    let directory = std::env::temp_dir().join(format!("otel-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let path = |name: &str| directory.join(name).to_str().unwrap().to_owned();
    let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let certificate = CertificateParams::new(vec!["collector".to_owned()]).unwrap();
    let certificate = certificate.self_signed(&key).unwrap();
    fs::write(path("cert.pem"), certificate.pem()).unwrap();
    fs::write(path("other.pem"), other.serialize_pem()).unwrap();
    fs::write(path("none.pem"), "nothing").unwrap();
    let reported = problems(&[
        (ENDPOINT.0, "https://127.0.0.1:4318"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", &path("none.pem")),
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &path("cert.pem")),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", &path("other.pem")),
    ]);
    fs::remove_dir_all(&directory).unwrap();
    assert_eq!(reported.len(), 2, "{reported:?}");
    assert!(
        reported[0].starts_with("OTEL_EXPORTER_OTLP_CERTIFICATE: "),
        "{reported:?}"
    );
    assert!(reported[0].contains("holds no certificate"), "{reported:?}");
    assert!(
        reported[1].contains("is not the key of the certificate"),
        "{reported:?}"
    );
}
