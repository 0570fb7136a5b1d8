//! The span tree of a call.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use http::HeaderValue;
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use serde_json::{Value, json};
use tokio::sync::Barrier;
use tokio::time::sleep;
use tonic::Code;

use super::{BULK, PARENT, TRACE, bytes, call, gateway, stop};
use crate::support::telemetry::collector::Collector;
use crate::support::telemetry::span_tree::{attributes, tree};
use crate::support::{ReceivedRequest, Vendor, reply};

/// Returns a presence for each requested id.
fn presences(received: &ReceivedRequest) -> String {
    let presences = received.ids();
    let presences = presences.iter().map(|id| json!({"userId": id}));
    Value::Array(presences.collect()).to_string()
}

/// A vendor that answers the first request of one batch with 429 and a
/// `Retry-After` of one second, and that of another with 503.
async fn throttling_vendor() -> Vendor {
    let (first, second) = (AtomicUsize::new(0), AtomicUsize::new(0));
    // Answers none of the three before all have arrived.
    let (count, all) = (AtomicUsize::new(0), Arc::new(Barrier::new(3)));
    Vendor::start(move |received| {
        let all = (count.fetch_add(1, SeqCst) < 3).then(|| Arc::clone(&all));
        let has = |id: &str| received.ids().contains(&id.to_owned());
        let is_throttled = has("s3cret-0") && first.fetch_add(1, SeqCst) == 0;
        let is_unavailable = has("s3cret-50") && second.fetch_add(1, SeqCst) == 0;
        async move {
            if let Some(all) = all {
                all.wait().await;
            }
            if is_throttled {
                let mut response = reply(429, r#"{"code":"too.many.requests","message":"m"}"#);
                response
                    .headers_mut()
                    .insert("retry-after", HeaderValue::from_static("1"));
                response
            } else if is_unavailable {
                // Its retry comes after the 429 has throttled the token.
                sleep(Duration::from_millis(300)).await;
                reply(503, r#"{"code":"service.unavailable","message":"m"}"#)
            } else {
                reply(200, presences(&received))
            }
        }
    })
    .await
}

const TREE: &str = "\
genesys.presence.v1.PresenceService/GetUsersPresencesPurecloudBulk [SERVER]
  . presence_gateway.bulk.batches=3
  . presence_gateway.bulk.ids=120
  . rpc.response.status_code=OK
  batch [INTERNAL]
    . presence_gateway.batch.ids=20
    . presence_gateway.batch.index=2
    GET /api/v2/users/presences/purecloud/bulk [CLIENT]
      . http.response.status_code=200
  batch [INTERNAL]
    . presence_gateway.batch.ids=50
    . presence_gateway.batch.index=0
    ! presence_gateway.backoff presence_gateway.wait.duration=* presence_gateway.wait.reason=429
    ! presence_gateway.quota.wait presence_gateway.wait.duration=*
    GET /api/v2/users/presences/purecloud/bulk [CLIENT]
      . http.request.resend_count=1
      . http.response.status_code=200
    GET /api/v2/users/presences/purecloud/bulk [CLIENT] ERROR(429)
      . error.type=429
      . http.response.status_code=429
  batch [INTERNAL]
    . presence_gateway.batch.ids=50
    . presence_gateway.batch.index=1
    ! presence_gateway.backoff presence_gateway.wait.duration=* presence_gateway.wait.reason=503
    ! presence_gateway.quota.wait presence_gateway.wait.duration=*
    GET /api/v2/users/presences/purecloud/bulk [CLIENT]
      . http.request.resend_count=1
      . http.response.status_code=200
    GET /api/v2/users/presences/purecloud/bulk [CLIENT] ERROR(503)
      . error.type=503
      . http.response.status_code=503
";

#[tokio::test]
async fn a_bulk_read_with_retried_batches_is_one_tree() {
    for protocol in ["grpc", "http/protobuf"] {
        let (vendor, collector) = (throttling_vendor().await, Collector::start().await);
        let mut variables = collector.variables(protocol);
        // One worker thread, as in a small pod: exporting needs none of them.
        variables.push(("TOKIO_WORKER_THREADS", "1".to_owned()));
        variables.push(("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip".to_owned()));
        let (serving, gateway) = gateway(&vendor, &[], &variables).await;
        let ids: Vec<String> = (0..120).map(|n| format!("s3cret-{n}")).collect();
        let response = call(&gateway, BULK, json!({"id": ids})).await.unwrap();
        assert_eq!(response["presences"].as_array().unwrap().len(), 120);

        let received = collector
            .wait_until(|received| received.spans.len() >= 9)
            .await;
        let spans = received.spans;
        let actual = tree(&spans, &bytes(PARENT));
        assert_eq!(actual, TREE, "over {protocol}, the tree is\n{actual}");
        assert!(spans.iter().all(|span| span.trace_id == bytes(TRACE)));
        let url = format!(
            "http://{}/api/v2/users/presences/purecloud/bulk",
            vendor.address
        );
        let text = format!("{spans:?}");
        assert!(text.contains(&url), "{text}");
        assert!(
            !text.contains("s3cret"),
            "a token or an id is in a span: {text}"
        );
        check_backoff(&spans);

        // The log line of the call has the trace and the span.
        let (_, log) = stop(serving).await;
        let line = log.iter().find(|line| line.contains("\"call\"")).unwrap();
        let line: Value = serde_json::from_str(line).unwrap();
        let server = spans.iter().find(|span| span.kind == 2).unwrap();
        assert_eq!(line["trace_id"], TRACE);
        assert_eq!(bytes(line["span_id"].as_str().unwrap()), server.span_id);
        // The trace context is not sent to the vendor.
        let received = vendor.received();
        assert!(
            received
                .iter()
                .all(|request| !request.headers.contains_key("traceparent"))
        );
    }
}

/// Checks that the backoff has the duration of the vendor's `Retry-After`.
fn check_backoff(spans: &[Span]) {
    let mut events = spans.iter().flat_map(|span| &span.events);
    let is_throttled = |event: &&Event| format!("{event:?}").contains("\"429\"");
    let backoff = seconds(events.find(is_throttled).unwrap());
    assert!((backoff - 1.0).abs() < 1e-9, "{backoff}");
}

/// Returns the duration of a wait.
fn seconds(event: &Event) -> f64 {
    let mut attributes = event.attributes.iter();
    let duration = attributes.find(|it| it.key == "presence_gateway.wait.duration");
    match duration.and_then(|it| it.value.as_ref()?.value.as_ref()) {
        Some(&any_value::Value::DoubleValue(seconds)) => seconds,
        other => panic!("{event:?} has the duration {other:?}"),
    }
}

const WRITE: &str = "\
genesys.presence.v1.PresenceService/PutUsersPresencesBulk [SERVER] ERROR(UNKNOWN)
  . error.type=UNKNOWN
  . presence_gateway.bulk.batches=3
  . presence_gateway.bulk.ids=120
  . presence_gateway.reason=OUTCOME_UNKNOWN
  . rpc.response.status_code=UNKNOWN
  batch [INTERNAL]
    . presence_gateway.batch.ids=50
    . presence_gateway.batch.index=0
    PUT /api/v2/users/presences/bulk [CLIENT]
      . http.response.status_code=200
  batch [INTERNAL] ERROR(502)
    . error.type=502
    . presence_gateway.batch.ids=50
    . presence_gateway.batch.index=1
    PUT /api/v2/users/presences/bulk [CLIENT] ERROR(502)
      . error.type=502
      . http.response.status_code=502
";

#[tokio::test]
async fn a_bulk_write_with_a_failed_batch_is_one_tree() {
    let collector = Collector::start().await;
    let vendor = Vendor::start(async |received: ReceivedRequest| {
        let updates = received.json();
        match updates[0]["id"].as_str() {
            Some("s3cret-50") => reply(502, ""),
            _ => reply(200, "[]"),
        }
    })
    .await;
    let flags = ["--bulk-concurrency", "1"];
    let (serving, gateway) = gateway(&vendor, &flags, &collector.variables("grpc")).await;
    let updates = (0..120).map(|number| json!({"id": format!("s3cret-{number}")}));
    let updates: Vec<_> = updates.collect();
    let result = call(&gateway, "PutUsersPresencesBulk", json!({"body": updates})).await;
    assert_eq!(result.unwrap_err().code(), Code::Unknown);
    stop(serving).await;
    let spans = collector.received().spans;
    assert_eq!(tree(&spans, &bytes(PARENT)), WRITE);
}

#[tokio::test]
async fn a_batch_without_a_waiting_caller_is_cancelled() {
    let collector = Collector::start().await;
    let vendor = Vendor::start(async |received: ReceivedRequest| {
        if received.ids().contains(&"s3cret-0".to_owned()) {
            return reply(404, r#"{"code":"not.found","message":"m"}"#);
        }
        std::future::pending().await
    })
    .await;
    let (serving, gateway) = gateway(&vendor, &[], &collector.variables("grpc")).await;
    let ids: Vec<_> = (0..100).map(|number| format!("s3cret-{number}")).collect();
    let result = call(&gateway, BULK, json!({"id": ids})).await;
    assert_eq!(result.unwrap_err().code(), Code::NotFound);
    stop(serving).await;
    let spans = collector.received().spans;
    let batches = spans.iter().filter(|span| span.name == "batch");
    let mut errors: Vec<_> = batches
        .map(|batch| attributes(&batch.attributes)["error.type"].clone())
        .collect();
    errors.sort();
    assert_eq!(errors, ["404", "cancelled"]);
}

#[tokio::test]
async fn span_statuses_follow_the_semantic_conventions() {
    let collector = Collector::start().await;
    let vendor = Vendor::start(|received| async move {
        match received.path() {
            path if path.ends_with("/missing/presences/purecloud") => {
                reply(404, r#"{"code":"not.found","message":"m"}"#)
            }
            _ => reply(500, r#"{"code":"internal.server.error","message":"m"}"#),
        }
    })
    .await;
    let (_serving, gateway) = gateway(&vendor, &[], &collector.variables("grpc")).await;
    let rpc = "GetUserPresencesPurecloud";
    let missing = call(&gateway, rpc, json!({"userId": "missing"})).await;
    assert_eq!(missing.unwrap_err().code(), Code::NotFound);
    let broken = call(&gateway, rpc, json!({"userId": "broken"})).await;
    assert_eq!(broken.unwrap_err().code(), Code::Internal);
    let invalid = call(&gateway, rpc, json!({"userId": ""})).await;
    assert_eq!(invalid.unwrap_err().code(), Code::InvalidArgument);

    let received = collector
        .wait_until(|received| received.spans.len() >= 5)
        .await;
    let tree = tree(&received.spans, &bytes(PARENT));
    let lines: Vec<&str> = tree
        .lines()
        .filter(|line| line.contains('[') || line.contains("error.type") || line.contains("reason"))
        .map(str::trim)
        .collect();
    let server = "genesys.presence.v1.PresenceService/GetUserPresencesPurecloud [SERVER]";
    let client = "GET /api/v2/users/{userId}/presences/purecloud [CLIENT]";
    assert_eq!(
        lines,
        [
            // The gateway rejects it: there is no attempt.
            server,
            ". presence_gateway.reason=INVALID_REQUEST",
            // An error of the client span only.
            server,
            ". presence_gateway.reason=NOT_FOUND",
            &format!("{client} ERROR(404)"),
            ". error.type=404",
            &format!("{server} ERROR(INTERNAL)"),
            ". error.type=INTERNAL",
            ". presence_gateway.reason=INTERNAL_SERVER_ERROR",
            &format!("{client} ERROR(500)"),
            ". error.type=500",
        ]
    );
}
