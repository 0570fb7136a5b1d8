//! Which traces are exported, and with which resource and headers.

use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::json;

use super::{TRACE, bytes, call, gateway, stop};
use crate::support::Vendor;
use crate::support::telemetry::collector::{Collector, EXPORT_AT_ONCE};

#[tokio::test]
async fn the_sampler_decides_on_the_export_and_the_log_has_the_trace_in_any_case() {
    for (sampler, argument, is_recorded) in [
        ("always_off", "", false),
        ("traceidratio", "0", false),
        ("traceidratio", "1", true),
        // The caller's decision applies.
        ("parentbased_traceidratio", "0", true),
        ("parentbased_always_off", "", true),
    ] {
        let collector = Collector::start().await;
        let vendor = Vendor::with_response(200, "{}").await;
        let mut variables = collector.variables("grpc");
        variables.push(("OTEL_TRACES_SAMPLER", sampler.to_owned()));
        variables.push(("OTEL_TRACES_SAMPLER_ARG", argument.to_owned()));
        let (serving, gateway) = gateway(&vendor, &[], &variables).await;
        let rpc = "GetUserPresencesPurecloud";
        call(&gateway, rpc, json!({"userId": "u"})).await.unwrap();
        // The process exports all spans before it exits.
        let (_, log) = stop(serving).await;
        let spans = collector.received().spans.len();
        assert_eq!(
            spans,
            if is_recorded { 2 } else { 0 },
            "{sampler} {argument}"
        );
        assert!(log.iter().any(|line| line.contains(TRACE)), "{log:?}");
    }
}

#[tokio::test]
async fn without_an_endpoint_or_with_the_sdk_disabled_nothing_is_exported() {
    let collector = Collector::start().await;
    let vendor = Vendor::with_response(200, "{}").await;
    let mut disabled = collector.variables("grpc");
    disabled.push(("OTEL_SDK_DISABLED", "true".to_owned()));
    // Not read while the SDK is disabled.
    disabled.push(("OTEL_TRACES_SAMPLER", "nonsense".to_owned()));
    let mut none = collector.variables("grpc");
    none.push(("OTEL_TRACES_EXPORTER", "none".to_owned()));
    none.push(("OTEL_METRICS_EXPORTER", "none".to_owned()));
    let no_endpoint = EXPORT_AT_ONCE.map(|(name, value)| (name, value.to_owned()));
    for variables in [disabled, none, no_endpoint.to_vec()] {
        let (serving, gateway) = gateway(&vendor, &[], &variables).await;
        let rpc = "GetUserPresencesPurecloud";
        call(&gateway, rpc, json!({"userId": "u"})).await.unwrap();
        let (_, log) = stop(serving).await;
        let received = collector.received();
        assert!(received.spans.is_empty() && received.metrics.is_empty());
        assert!(log.iter().any(|line| line.contains(TRACE)), "{log:?}");
    }
    let received = vendor.received();
    assert!(
        received
            .iter()
            .all(|request| !request.headers.contains_key("traceparent"))
    );
}

#[tokio::test]
async fn unsupported_standard_values_fall_back_to_the_defaults() {
    let collector = Collector::start().await;
    let vendor = Vendor::with_response(200, "{}").await;
    let mut variables = collector.variables("http/json");
    for (name, value) in [
        ("OTEL_TRACES_EXPORTER", "console"),
        ("OTEL_METRICS_EXPORTER", "prometheus,otlp"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
        (
            "OTEL_TRACES_SAMPLER_ARG",
            "endpoint=http://j:1,initialSamplingRate=0",
        ),
        ("OTEL_PROPAGATORS", "b3,xray"),
    ] {
        variables.push((name, value.to_owned()));
    }
    let (serving, gateway) = gateway(&vendor, &[], &variables).await;
    let rpc = "GetUserPresencesPurecloud";
    call(&gateway, rpc, json!({"userId": "u"})).await.unwrap();
    stop(serving).await;
    let received = collector.received();
    assert_eq!(received.spans.len(), 2, "{received:?}");
    let is_joined = |span: &Span| span.trace_id == bytes(TRACE);
    assert!(received.spans.iter().all(is_joined), "{received:?}");
    assert!(!received.metrics.is_empty(), "{received:?}");
}

#[tokio::test]
async fn the_resource_and_the_headers_are_exported() {
    for protocol in ["grpc", "http/protobuf"] {
        let collector = Collector::start().await;
        let vendor = Vendor::with_response(200, "{}").await;
        let mut variables = collector.variables(protocol);
        for (name, value) in [
            ("OTEL_SERVICE_NAME", "presence"),
            ("OTEL_RESOURCE_ATTRIBUTES", "team=a%20b,service.name=other"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=s3cret%20value"),
        ] {
            variables.push((name, value.to_owned()));
        }
        let (serving, gateway) = gateway(&vendor, &[], &variables).await;
        let rpc = "GetUserPresencesPurecloud";
        call(&gateway, rpc, json!({"userId": "u"})).await.unwrap();
        let received = collector
            .wait_until(|received| received.spans.len() >= 2)
            .await;
        assert_eq!(received.headers["x-key"], "s3cret value");
        let resource = &received.resources[0];
        for part in [
            "\"presence\"",
            "\"a b\"",
            "service.version",
            "service.instance.id",
        ] {
            assert!(resource.contains(part), "{part} is not in {resource}");
        }
        assert!(!resource.contains("other"), "{resource}");
        let (_, log) = stop(serving).await;
        assert!(!log.concat().contains("s3cret"), "{log:?}");
    }
}
