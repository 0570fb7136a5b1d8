//! The trace context that upstream requests carry.

use serde_json::json;

use super::{TRACE, TRACEPARENT, bytes, call, gateway};
use crate::support::telemetry::collector::Collector;
use crate::support::{ReceivedRequest, Vendor};

#[tokio::test]
async fn the_trace_context_is_sent_to_the_vendor_if_a_flag_enables_it() {
    let collector = Collector::start().await;
    let vendor = Vendor::with_response(200, "{}").await;
    let variables = collector.variables("http/protobuf");
    let (_serving, gateway) = gateway(&vendor, &["--propagate-trace"], &variables).await;
    let rpc = "GetUserPresencesPurecloud";
    call(&gateway, rpc, json!({"userId": "u"})).await.unwrap();
    let received = collector
        .wait_until(|received| received.spans.len() >= 2)
        .await;
    let attempt = received.spans.iter().find(|span| span.kind == 3).unwrap();
    let traceparent = vendor.single_request().headers["traceparent"]
        .to_str()
        .unwrap()
        .to_owned();
    let parts: Vec<&str> = traceparent.split('-').collect();
    assert_eq!([parts[0], parts[1], parts[3]], ["00", TRACE, "01"]);
    assert_eq!(bytes(parts[2]), attempt.span_id);
}

/// The trace context of a request to the vendor.
fn propagated(received: &ReceivedRequest) -> [Option<&str>; 2] {
    let value = |name| received.headers.get(name).map(|it| it.to_str().unwrap());
    ["traceparent", "tracestate"].map(value)
}

#[tokio::test]
async fn without_an_exporter_the_callers_trace_context_is_forwarded_unchanged() {
    let collector = Collector::start().await;
    let mut disabled = collector.variables("grpc");
    disabled.push(("OTEL_SDK_DISABLED", "true".to_owned()));
    let mut no_traces = collector.variables("grpc");
    no_traces.push(("OTEL_TRACES_EXPORTER", "none".to_owned()));
    let page = ["--propagate-trace", "--metrics-listen=127.0.0.1:0"];
    let random = TRACEPARENT.replace("-01", "-03");
    for (flags, variables) in [
        (&page[..1], vec![]),
        (&page[..], vec![]),
        (&page[..1], disabled),
        (&page[..1], no_traces),
    ] {
        let vendor = Vendor::with_response(200, "{}").await;
        let (_serving, gateway) = gateway(&vendor, flags, &variables).await;
        let (rpc, request) = ("GetUserPresencesPurecloud", json!({"userId": "u"}));
        for context in [
            &[][..],
            &[("traceparent", TRACEPARENT)],
            &[("traceparent", &random), ("tracestate", "a=1,b=2")],
            &[("traceparent", "00-nonsense-01"), ("tracestate", "a=1")],
            &[("tracestate", "a=1")],
        ] {
            let token = [("authorization", "Bearer s3cret-token")];
            let metadata = [&token, context].concat();
            let response = gateway
                .call_with_metadata(rpc, request.clone(), &metadata)
                .await;
            response.unwrap();
        }
        let received = vendor.received();
        let received: Vec<_> = received.iter().map(propagated).collect();
        let expected = [
            [None, None],
            [Some(TRACEPARENT), None],
            [Some(random.as_str()), Some("a=1,b=2")],
            [None, None],
            [None, None],
        ];
        assert_eq!(received, expected, "{flags:?} {variables:?}");
    }
}

#[tokio::test]
async fn without_the_tracecontext_propagator_no_trace_context_is_forwarded() {
    let vendor = Vendor::with_response(200, "{}").await;
    for propagators in ["none", "baggage", "none,b3"] {
        let variables = [("OTEL_PROPAGATORS", propagators.to_owned())];
        let (_serving, gateway) = gateway(&vendor, &["--propagate-trace"], &variables).await;
        let rpc = "GetUserPresencesPurecloud";
        call(&gateway, rpc, json!({"userId": "u"})).await.unwrap();
    }
    for received in vendor.received() {
        assert_eq!(propagated(&received), [None, None]);
    }
}
