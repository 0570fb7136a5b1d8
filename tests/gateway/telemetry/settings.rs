//! The variables of OpenTelemetry, as an operator gets them wrong.

use std::fs;

use rcgen::{CertificateParams, KeyPair};

use crate::program::run;
use crate::readme::{rows, section};

const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317");

/// What `serve` says of these variables.
#[track_caller]
fn problems(variables: &[(&str, &str)]) -> Vec<String> {
    let refused = run(
        &["serve", "--sandbox", "--listen", "127.0.0.1:0"],
        variables,
    );
    refused.problems().into_iter().map(str::to_owned).collect()
}

/// Values that are malformed, each with a part of what would be right.
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
        "is not a URL such as `http://collector:4318`",
    ),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/?a", "a query"),
    (
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "tcp://c:4317",
        "must begin with `http://`",
    ),
    (
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "http/json",
        "`grpc` nor `http/protobuf`",
    ),
    (
        "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
        "GRPC",
        "`grpc` nor `http/protobuf`",
    ),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "(milliseconds)"),
    (
        "OTEL_EXPORTER_OTLP_COMPRESSION",
        "zstd",
        "`gzip` nor `none`",
    ),
    ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/none", "cannot be read"),
    (
        "OTEL_EXPORTER_OTLP_CLIENT_KEY",
        "k.pem",
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE too",
    ),
    ("OTEL_TRACES_EXPORTER", "jaeger", "`otlp` nor `none`"),
    ("OTEL_METRICS_EXPORTER", "prometheus", "--metrics-listen"),
    ("OTEL_TRACES_SAMPLER", "ratio", "`parentbased_traceidratio`"),
    ("OTEL_TRACES_SAMPLER_ARG", "1.5", "a share from 0 to 1"),
    ("OTEL_TRACES_SAMPLER_ARG", "NaN", "a share from 0 to 1"),
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
    ("OTEL_PROPAGATORS", "b3", "W3C Trace Context alone"),
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
fn a_value_that_is_malformed_is_told_with_its_variable_and_what_would_be_right() {
    for (name, value, remedy) in MALFORMED {
        let told = problems(&[(name, value)]);
        assert_eq!(told.len(), 1, "{name}={value}: {told:?}");
        assert!(
            told[0].starts_with(&format!("{name}: `{value}`")),
            "{told:?}"
        );
        assert!(told[0].contains(remedy), "{told:?}");
    }
}

#[test]
fn headers_of_one_signal_that_are_nothing_hide_no_others_silently() {
    let told = problems(&[
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=s3cret"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", ""),
    ]);
    let [told] = &told[..] else {
        panic!("{told:?}")
    };
    assert!(
        told.starts_with("OTEL_EXPORTER_OTLP_TRACES_HEADERS: it is set to nothing")
            && !told.contains("s3cret"),
        "{told}"
    );
}

#[test]
fn every_variable_of_the_readme_is_read() {
    // Those that have no malformed value of their own; other tests set them.
    let mut read = vec![
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "OTEL_SERVICE_NAME",
    ];
    read.extend(MALFORMED.iter().map(|(name, _, _)| name));
    let rows = rows(section("Telemetry"));
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
fn all_that_is_wrong_is_told_at_once_and_each_once() {
    let told = problems(&[
        ENDPOINT,
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "udp"),
        ("OTEL_TRACES_SAMPLER", "some"),
        ("PRESENCE_GATEWAY_METRICS_LISTEN", "9090"),
        ("PRESENCE_GATEWAY_MAX_DEADLINE", "0s"),
    ]);
    let begin: Vec<&str> = told
        .iter()
        .map(|line| line.split(':').next().unwrap())
        .collect();
    assert_eq!(
        begin,
        [
            "--max-deadline",
            "--metrics-listen",
            "OTEL_EXPORTER_OTLP_PROTOCOL",
            "OTEL_TRACES_SAMPLER"
        ],
        "{told:?}"
    );
}

#[test]
fn a_secret_of_a_header_or_a_url_is_not_told() {
    for (value, what) in [
        ("api-key=s3cret,nonsense-s3cret", "entry 2 has no `=`"),
        ("api key=s3cret", "entry 1 has a name"),
        ("api-key=s3cret%0a", "entry 1 has a value"),
        ("api-key=s3cret%ff", "entry 1 has a value"),
    ] {
        let told = problems(&[ENDPOINT, ("OTEL_EXPORTER_OTLP_HEADERS", value)]);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].starts_with("OTEL_EXPORTER_OTLP_HEADERS: "),
            "{told:?}"
        );
        assert!(told[0].contains(what), "{told:?}");
        assert!(!told[0].contains("s3cret"), "{told:?}");
    }
    let told = problems(&[(ENDPOINT.0, "http://user:s3cret@127.0.0.1:4317")]);
    assert!(told[0].contains("OTEL_EXPORTER_OTLP_HEADERS"), "{told:?}");
    assert!(!told[0].contains("s3cret"), "{told:?}");
}

#[test]
fn over_grpc_an_endpoint_has_no_path() {
    let told = problems(&[
        (ENDPOINT.0, "http://127.0.0.1:4317/v1/traces"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
    ]);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("a host and a port alone"), "{told:?}");
}

#[test]
fn certificates_that_are_none_or_do_not_match_are_told() {
    let directory = std::env::temp_dir().join(format!("otel-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let path = |name: &str| directory.join(name).to_str().unwrap().to_owned();
    let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let certificate = CertificateParams::new(vec!["collector".to_owned()]).unwrap();
    let certificate = certificate.self_signed(&key).unwrap();
    fs::write(path("cert.pem"), certificate.pem()).unwrap();
    fs::write(path("other.pem"), other.serialize_pem()).unwrap();
    fs::write(path("none.pem"), "nothing").unwrap();
    let told = problems(&[
        (ENDPOINT.0, "https://127.0.0.1:4318"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", &path("none.pem")),
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &path("cert.pem")),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", &path("other.pem")),
    ]);
    fs::remove_dir_all(&directory).unwrap();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[0].starts_with("OTEL_EXPORTER_OTLP_CERTIFICATE: "),
        "{told:?}"
    );
    assert!(told[0].contains("holds no certificate"), "{told:?}");
    assert!(
        told[1].contains("is not the key of the certificate"),
        "{told:?}"
    );
}
