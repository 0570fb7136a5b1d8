//! Traces: the spans of a call, and to whom they are told.

use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use http::HeaderValue;
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::{Value, json};
use tokio::sync::Barrier;
use tokio::time::sleep;
use tonic::Code;

use crate::support::process::Serving;
use crate::support::telemetry::collector::{AT_ONCE, Collector};
use crate::support::telemetry::span_tree::{attributes, tree};
use crate::support::{Gateway, Received, Vendor, reply};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const BULK: &str = "GetUsersPresencesPurecloudBulk";

pub fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// A gateway before a vendor, which exports as these variables say.
pub async fn gateway(
    vendor: &Vendor,
    flags: &[&str],
    variables: &[(&str, String)],
) -> (Serving, Gateway) {
    let upstream = format!("http://{}", vendor.address);
    let flags = [&["serve", "--upstream-url", &upstream], flags].concat();
    let variables: Vec<(&str, &str)> = variables
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let serving = Serving::start(&flags, &variables);
    let gateway = Gateway::connect(serving.address.parse().unwrap()).await;
    (serving, gateway)
}

/// Ends the program in good order; gives its status and its log. The test
/// goes on meanwhile, as its collector does.
pub async fn ended(serving: Serving) -> (ExitStatus, Vec<String>) {
    serving.signal("TERM");
    let ended = tokio::task::spawn_blocking(|| serving.wait());
    ended.await.unwrap()
}

/// Calls as a part of a trace.
async fn call(gateway: &Gateway, rpc: &str, request: Value) -> Result<Value, tonic::Status> {
    let metadata = [
        ("authorization", "Bearer s3cret-token"),
        ("traceparent", TRACEPARENT),
    ];
    let answer = gateway.call_with(rpc, request, &metadata).await;
    answer.map(|answer| answer.json)
}

fn ids(received: &Received) -> Vec<String> {
    received.ids()
}

/// Answers with a presence for each id asked for.
fn presences(received: &Received) -> String {
    let presences = ids(received);
    let presences = presences.iter().map(|id| json!({"userId": id}));
    Value::Array(presences.collect()).to_string()
}

/// A vendor that is not well: of three batches, it refuses the first for a
/// second, and is not there for the second once.
async fn unwell() -> Vendor {
    let (first, second) = (AtomicUsize::new(0), AtomicUsize::new(0));
    // Nothing is refused before all have left.
    let (count, all) = (AtomicUsize::new(0), Arc::new(Barrier::new(3)));
    Vendor::start(move |received| {
        let all = (count.fetch_add(1, SeqCst) < 3).then(|| Arc::clone(&all));
        let is = |id: &str| ids(&received).contains(&id.to_owned());
        let is_throttled = is("s3cret-0") && first.fetch_add(1, SeqCst) == 0;
        let is_away = is("s3cret-50") && second.fetch_add(1, SeqCst) == 0;
        async move {
            if let Some(all) = all {
                all.wait().await;
            }
            if is_throttled {
                let mut answer = reply(429, r#"{"code":"too.many.requests","message":"m"}"#);
                answer
                    .headers_mut()
                    .insert("retry-after", HeaderValue::from_static("1"));
                answer
            } else if is_away {
                // Its turn to come again is after the refusal of the first.
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
async fn a_bulk_call_with_batches_that_are_sent_again_is_one_tree() {
    for protocol in ["grpc", "http/protobuf"] {
        let (vendor, collector) = (unwell().await, Collector::start().await);
        let mut variables = collector.variables(protocol);
        // One thread, as in a small pod: exporting depends on none of them.
        variables.push(("TOKIO_WORKER_THREADS", "1".to_owned()));
        variables.push(("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip".to_owned()));
        let (serving, gateway) = gateway(&vendor, &[], &variables).await;
        let asked: Vec<String> = (0..120).map(|n| format!("s3cret-{n}")).collect();
        let answer = call(&gateway, BULK, json!({"id": asked})).await.unwrap();
        assert_eq!(answer["presences"].as_array().unwrap().len(), 120);

        let received = collector.until(|received| received.spans.len() >= 9).await;
        let spans = received.spans;
        let actual = tree(&spans, &bytes(PARENT));
        assert_eq!(actual, TREE, "over {protocol}, it is\n{actual}");
        assert!(spans.iter().all(|span| span.trace_id == bytes(TRACE)));
        let url = format!(
            "http://{}/api/v2/users/presences/purecloud/bulk",
            vendor.address
        );
        let shown = format!("{spans:?}");
        assert!(shown.contains(&url), "{shown}");
        assert!(
            !shown.contains("s3cret"),
            "a token or an id is in a span: {shown}"
        );
        waited(&spans);

        // The log leads to it.
        let (_, log) = ended(serving).await;
        let line = log.iter().find(|line| line.contains("\"call\"")).unwrap();
        let line: Value = serde_json::from_str(line).unwrap();
        let server = spans.iter().find(|span| span.kind == 2).unwrap();
        assert_eq!(line["trace_id"], TRACE);
        assert_eq!(bytes(line["span_id"].as_str().unwrap()), server.span_id);
        // The vendor knows nothing of it.
        let told = vendor.received();
        assert!(
            told.iter()
                .all(|asked| !asked.headers.contains_key("traceparent"))
        );
    }
}

/// Checks that the waits are as long as the vendor made them.
fn waited(spans: &[Span]) {
    let duration = |name: &str, reason: Option<&str>| {
        let events = spans.iter().flat_map(|span| &span.events);
        let event = events
            .filter(|event| event.name == name)
            .find(|event| reason.is_none_or(|reason| format!("{event:?}").contains(reason)));
        let event = format!("{:?}", event.unwrap());
        let (_, duration) = event.split_once("DoubleValue(").unwrap();
        duration.split(')').next().unwrap().parse::<f64>().unwrap()
    };
    let asked = duration("presence_gateway.backoff", Some("\"429\""));
    assert!((asked - 1.0).abs() < 1e-9, "{asked}");
    let turn = duration("presence_gateway.quota.wait", None);
    // That of either batch: none starts before the park is over.
    assert!(turn > 0.05, "{turn}");
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
async fn a_bulk_write_of_which_a_batch_fails_is_one_tree_too() {
    let collector = Collector::start().await;
    let vendor = Vendor::start(async |received: Received| {
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
    let answer = call(&gateway, "PutUsersPresencesBulk", json!({"body": updates})).await;
    assert_eq!(answer.unwrap_err().code(), Code::Unknown);
    ended(serving).await;
    let spans = collector.received().spans;
    assert_eq!(tree(&spans, &bytes(PARENT)), WRITE);
}

#[tokio::test]
async fn a_batch_that_nobody_waits_for_any_more_says_so() {
    let collector = Collector::start().await;
    let vendor = Vendor::start(async |received: Received| {
        if received.ids().contains(&"s3cret-0".to_owned()) {
            return reply(404, r#"{"code":"not.found","message":"m"}"#);
        }
        std::future::pending().await
    })
    .await;
    let (serving, gateway) = gateway(&vendor, &[], &collector.variables("grpc")).await;
    let ids: Vec<_> = (0..100).map(|number| format!("s3cret-{number}")).collect();
    let answer = call(&gateway, BULK, json!({"id": ids})).await;
    assert_eq!(answer.unwrap_err().code(), Code::NotFound);
    ended(serving).await;
    let spans = collector.received().spans;
    let batches = spans.iter().filter(|span| span.name == "batch");
    let mut why: Vec<_> = batches
        .map(|batch| attributes(&batch.attributes)["error.type"].clone())
        .collect();
    why.sort();
    assert_eq!(why, ["404", "cancelled"]);
}

#[tokio::test]
async fn statuses_follow_the_conventions() {
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

    let received = collector.until(|received| received.spans.len() >= 5).await;
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
            // Refused by the gateway itself: there is no attempt.
            server,
            ". presence_gateway.reason=INVALID_REQUEST",
            // No error of the server's, and one of the client's.
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

#[tokio::test]
async fn the_vendor_is_told_of_the_trace_if_a_setting_says_so() {
    let collector = Collector::start().await;
    let vendor = Vendor::answering(200, "{}").await;
    let variables = collector.variables("http/protobuf");
    let (_serving, gateway) = gateway(&vendor, &["--propagate-trace"], &variables).await;
    let rpc = "GetUserPresencesPurecloud";
    call(&gateway, rpc, json!({"userId": "u"})).await.unwrap();
    let received = collector.until(|received| received.spans.len() >= 2).await;
    let attempt = received.spans.iter().find(|span| span.kind == 3).unwrap();
    let told = vendor.only().headers["traceparent"]
        .to_str()
        .unwrap()
        .to_owned();
    let parts: Vec<&str> = told.split('-').collect();
    assert_eq!([parts[0], parts[1], parts[3]], ["00", TRACE, "01"]);
    assert_eq!(bytes(parts[2]), attempt.span_id);
}

#[tokio::test]
async fn the_sampler_decides_and_the_log_names_the_trace_all_the_same() {
    for (sampler, argument, is_recorded) in [
        ("always_off", "", false),
        ("traceidratio", "0", false),
        ("traceidratio", "1", true),
        // The caller has decided.
        ("parentbased_traceidratio", "0", true),
        ("parentbased_always_off", "", true),
    ] {
        let collector = Collector::start().await;
        let vendor = Vendor::answering(200, "{}").await;
        let mut variables = collector.variables("grpc");
        variables.push(("OTEL_TRACES_SAMPLER", sampler.to_owned()));
        variables.push(("OTEL_TRACES_SAMPLER_ARG", argument.to_owned()));
        let (serving, gateway) = gateway(&vendor, &[], &variables).await;
        let rpc = "GetUserPresencesPurecloud";
        call(&gateway, rpc, json!({"userId": "u"})).await.unwrap();
        // What there is has been exported by then.
        let (_, log) = ended(serving).await;
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
async fn without_an_endpoint_or_switched_off_nothing_is_sent_and_the_trace_is_in_the_log() {
    let collector = Collector::start().await;
    let vendor = Vendor::answering(200, "{}").await;
    let mut disabled = collector.variables("grpc");
    disabled.push(("OTEL_SDK_DISABLED", "true".to_owned()));
    // Nobody reads it then.
    disabled.push(("OTEL_TRACES_SAMPLER", "nonsense".to_owned()));
    let mut none = collector.variables("grpc");
    none.push(("OTEL_TRACES_EXPORTER", "none".to_owned()));
    none.push(("OTEL_METRICS_EXPORTER", "none".to_owned()));
    let no_endpoint = AT_ONCE.map(|(name, value)| (name, value.to_owned()));
    for variables in [disabled, none, no_endpoint.to_vec()] {
        let (serving, gateway) = gateway(&vendor, &[], &variables).await;
        let rpc = "GetUserPresencesPurecloud";
        call(&gateway, rpc, json!({"userId": "u"})).await.unwrap();
        let (_, log) = ended(serving).await;
        let received = collector.received();
        assert!(received.spans.is_empty() && received.metrics.is_empty());
        assert!(log.iter().any(|line| line.contains(TRACE)), "{log:?}");
    }
    let told = vendor.received();
    assert!(
        told.iter()
            .all(|asked| !asked.headers.contains_key("traceparent"))
    );
}

/// What a vendor was sent of a trace.
fn propagated(received: &Received) -> [Option<&str>; 2] {
    let value = |name| received.headers.get(name).map(|it| it.to_str().unwrap());
    ["traceparent", "tracestate"].map(value)
}

#[tokio::test]
async fn without_an_exporter_the_vendor_is_sent_the_callers_trace_context_as_it_came() {
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
        let vendor = Vendor::answering(200, "{}").await;
        let (_serving, gateway) = gateway(&vendor, flags, &variables).await;
        let (rpc, request) = ("GetUserPresencesPurecloud", json!({"userId": "u"}));
        for traced in [
            &[][..],
            &[("traceparent", TRACEPARENT)],
            &[("traceparent", &random), ("tracestate", "a=1,b=2")],
            &[("traceparent", "00-nonsense-01"), ("tracestate", "a=1")],
            &[("tracestate", "a=1")],
        ] {
            let token = [("authorization", "Bearer s3cret-token")];
            let metadata = [&token, traced].concat();
            let called = gateway.call_with(rpc, request.clone(), &metadata).await;
            called.unwrap();
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
async fn where_callers_traces_are_not_joined_none_is_passed_on() {
    let vendor = Vendor::answering(200, "{}").await;
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

#[tokio::test]
async fn where_values_of_the_standard_are_not_supported_the_defaults_hold() {
    let collector = Collector::start().await;
    let vendor = Vendor::answering(200, "{}").await;
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
    ended(serving).await;
    let received = collector.received();
    assert_eq!(received.spans.len(), 2, "{received:?}");
    let is_joined = |span: &Span| span.trace_id == bytes(TRACE);
    assert!(received.spans.iter().all(is_joined), "{received:?}");
    assert!(!received.metrics.is_empty(), "{received:?}");
}

#[tokio::test]
async fn what_the_process_says_of_itself_and_its_headers_are_sent() {
    for protocol in ["grpc", "http/protobuf"] {
        let collector = Collector::start().await;
        let vendor = Vendor::answering(200, "{}").await;
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
        let received = collector.until(|received| received.spans.len() >= 2).await;
        assert_eq!(received.headers["x-key"], "s3cret value");
        let resource = &received.resources[0];
        for said in [
            "\"presence\"",
            "\"a b\"",
            "service.version",
            "service.instance.id",
        ] {
            assert!(resource.contains(said), "{said} is not in {resource}");
        }
        assert!(!resource.contains("other"), "{resource}");
        let (_, log) = ended(serving).await;
        assert!(!log.concat().contains("s3cret"), "{log:?}");
    }
}
