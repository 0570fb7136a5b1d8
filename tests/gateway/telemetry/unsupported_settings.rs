//! Standard values of OpenTelemetry's variables that the gateway does not support:
//! it logs and ignores them.

use serde_json::Value;

use super::settings::ENDPOINT;
use crate::support::process::ServerProcess;

/// Returns the variables and values that the log of a gateway reports as ignored.
fn ignored(variables: &[(&str, &str)]) -> Vec<[String; 2]> {
    let serving = ServerProcess::start(&["serve", "--sandbox"], variables);
    serving.signal("TERM");
    let (status, log) = serving.wait();
    assert_eq!(status.code(), Some(0), "{variables:?}: {log:#?}");
    let lines = log
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let warnings = lines.filter(|line| line["level"] == "WARN" && line.get("value").is_some());
    warnings
        .map(|line| {
            let message = line["message"].as_str().unwrap();
            assert!(message.contains("is ignored; "), "{line}");
            ["setting", "value"].map(|field| line[field].as_str().unwrap().to_owned())
        })
        .collect()
}

/// Standard values, as a cluster sets them for programs in any language.
const STANDARD: &[(&str, &str)] = &[
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
    ("OTEL_LOGS_EXPORTER", "console"),
    ("OTEL_METRICS_EXPORTER", "prometheus"),
    ("OTEL_PROPAGATORS", "b3"),
    ("OTEL_TRACES_EXPORTER", "zipkin"),
    ("OTEL_TRACES_SAMPLER", "parentbased_jaeger_remote"),
    (
        "OTEL_TRACES_SAMPLER_ARG",
        "endpoint=http://jaeger:14250,pollingIntervalMs=5000,initialSamplingRate=0.25",
    ),
];

#[test]
fn unsupported_standard_values_are_logged_once_and_ignored() {
    let expected = [
        ["OTEL_TRACES_EXPORTER", "zipkin"],
        ["OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"],
        ["OTEL_TRACES_SAMPLER", "parentbased_jaeger_remote"],
        ["OTEL_METRICS_EXPORTER", "prometheus"],
        ["OTEL_PROPAGATORS", "b3"],
    ];
    // With an endpoint and without one.
    assert_eq!(ignored(STANDARD), expected);
    assert_eq!(ignored(&[STANDARD, &[ENDPOINT]].concat()), expected);
}

#[test]
fn unsupported_values_in_lists_and_signal_specific_variables_are_logged() {
    let variables = [
        (
            "OTEL_PROPAGATORS",
            "tracecontext,b3,b3multi, jaeger,xray,ottrace,B3,b3,baggage,",
        ),
        ("OTEL_TRACES_EXPORTER", "otlp,console,jaeger,logging"),
        ("OTEL_METRICS_EXPORTER", "none,otlp/stdout"),
        ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "GRPC"),
        ("OTEL_TRACES_SAMPLER", "xray"),
        (
            "OTEL_TRACES_SAMPLER_ARG",
            "endpoint=http://x:2000,polling_interval=10",
        ),
    ];
    let expected = [
        ["OTEL_TRACES_EXPORTER", "console"],
        ["OTEL_TRACES_EXPORTER", "jaeger"],
        ["OTEL_TRACES_EXPORTER", "logging"],
        ["OTEL_TRACES_SAMPLER", "xray"],
        ["OTEL_METRICS_EXPORTER", "otlp/stdout"],
        ["OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/json"],
        ["OTEL_PROPAGATORS", "b3"],
        ["OTEL_PROPAGATORS", "b3multi"],
        ["OTEL_PROPAGATORS", "jaeger"],
        ["OTEL_PROPAGATORS", "xray"],
        ["OTEL_PROPAGATORS", "ottrace"],
    ];
    assert_eq!(ignored(&variables), expected);
}

#[test]
fn a_disabled_sdk_reads_no_other_variable() {
    let typo = [("OTEL_BSP_SCHEDULE_DELAY", "soon")];
    let disabled = [("OTEL_SDK_DISABLED", "True")];
    let variables = [STANDARD, &typo, &disabled].concat();
    assert_eq!(ignored(&variables), [[""; 2]; 0]);
}

#[test]
fn names_are_read_in_any_case() {
    let variables = [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "gRPC"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "GZIP"),
        ("OTEL_PROPAGATORS", "TraceContext"),
        ("OTEL_TRACES_EXPORTER", "OTLP"),
        ("OTEL_TRACES_SAMPLER", "Always_On"),
    ];
    assert_eq!(ignored(&variables), [[""; 2]; 0]);
}
