//! The values of the metrics, on the page and pushed to a collector.

use serde_json::{Value, json};

use super::gateway;
use super::metrics_page::{FLAGS, metrics_address, request as get, samples};
use crate::support::telemetry::collector::Collector;
use crate::support::{Gateway, ReceivedRequest, Vendor, reply};

/// A vendor that answers the first request with 503, and reads of the user
/// `nobody` with 404.
async fn vendor() -> Vendor {
    let requests = std::sync::atomic::AtomicUsize::new(0);
    Vendor::start(move |received: ReceivedRequest| {
        let is_first = requests.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
        async move {
            if is_first {
                return reply(503, r#"{"code":"service.unavailable","message":"m"}"#);
            }
            if received.path().contains("/nobody/") {
                return reply(404, r#"{"code":"not.found","message":"m"}"#);
            }
            if received.path().ends_with("/bulk") {
                let ids = received.ids();
                let presences = ids.iter().map(|id| json!({"userId": id}));
                return reply(200, Value::Array(presences.collect()).to_string());
            }
            reply(200, "{}")
        }
    })
    .await
}

/// Makes a call that succeeds, one that fails, a bulk call and an unknown one.
async fn make_calls(gateway: &Gateway) {
    let rpc = "GetUserPresencesPurecloud";
    gateway
        .call(rpc, json!({"userId": "s3cret-u"}))
        .await
        .unwrap();
    gateway
        .call(rpc, json!({"userId": "nobody"}))
        .await
        .unwrap_err();
    let ids: Vec<String> = (0..120).map(|n| format!("s3cret-{n}")).collect();
    let bulk = "GetUsersPresencesPurecloudBulk";
    gateway.call(bulk, json!({"id": ids})).await.unwrap();
    let unknown = tonic::Request::new(Vec::new());
    gateway
        .call_raw("/s3cret.Service/Method", unknown)
        .await
        .unwrap_err();
}

#[tokio::test]
async fn the_page_counts_calls_and_requests_by_bounded_labels() {
    let vendor = vendor().await;
    let flags = [
        &FLAGS[..],
        &["--max-in-flight", "77", "--token-requests-per-minute", "10"],
    ]
    .concat();
    let (serving, gateway) = gateway(&vendor, &flags, &[]).await;
    make_calls(&gateway).await;
    let (head, page) = get(metrics_address(&serving), "GET /metrics").await;
    assert!(head.contains("200 ok"), "{head}");
    assert!(
        head.contains("content-type: text/plain; version=0.0.4"),
        "{head}"
    );
    let samples = samples(&page);
    let service = "genesys.presence.v1.PresenceService";
    let bulk = format!("{{rpc_method=\"{service}/GetUsersPresencesPurecloudBulk\"}}");
    let port = vendor.address.port();
    let call = |rest: &str| format!("rpc_server_call_duration_seconds_count{{{rest}}}");
    let request = |rest: &str| {
        format!(
            "http_client_request_duration_seconds_count{{{rest},server_address=\"127.0.0.1\",server_port=\"{port}\",url_template=\"/api/v2/users/{{userId}}/presences/purecloud\"}}"
        )
    };
    let expected = [
        (
            call(&format!(
                "rpc_method=\"{service}/GetUserPresencesPurecloud\",rpc_response_status_code=\"OK\",rpc_system_name=\"grpc\""
            )),
            1.0,
        ),
        (
            call(&format!(
                "rpc_method=\"{service}/GetUserPresencesPurecloud\",rpc_response_status_code=\"NOT_FOUND\",rpc_system_name=\"grpc\""
            )),
            1.0,
        ),
        (
            call(
                "error_type=\"UNIMPLEMENTED\",rpc_method=\"_OTHER\",rpc_response_status_code=\"UNIMPLEMENTED\",rpc_system_name=\"grpc\"",
            ),
            1.0,
        ),
        (
            request(
                "error_type=\"503\",http_request_method=\"GET\",http_response_status_code=\"503\"",
            ),
            1.0,
        ),
        (
            request("http_request_method=\"GET\",http_response_status_code=\"200\""),
            1.0,
        ),
        (
            request(
                "error_type=\"404\",http_request_method=\"GET\",http_response_status_code=\"404\"",
            ),
            1.0,
        ),
        ("presence_gateway_calls_in_flight".to_owned(), 0.0),
        ("presence_gateway_calls_limit".to_owned(), 77.0),
        (
            "presence_gateway_calls_shed_total{reason=\"OVERLOADED\"}".to_owned(),
            0.0,
        ),
        (
            "presence_gateway_upstream_retries_total{reason=\"503\"}".to_owned(),
            1.0,
        ),
        // Six requests of ten: 0.4 remain after the last one.
        (
            "presence_gateway_quota_remaining_ratio_count".to_owned(),
            6.0,
        ),
        (
            "presence_gateway_quota_remaining_ratio_bucket{le=\"0.4\"}".to_owned(),
            1.0,
        ),
        (format!("presence_gateway_bulk_batches_sum{bulk}"), 3.0),
        (format!("presence_gateway_bulk_ids_sum{bulk}"), 120.0),
    ];
    for (name, value) in expected {
        assert_eq!(
            samples.get(&name),
            Some(&value),
            "{name} is not {value} in\n{page}"
        );
    }
    assert!(
        page.contains("presence_gateway_build_info{revision="),
        "{page}"
    );
    assert!(
        !page.contains("s3cret"),
        "an id or a token is on the page:\n{page}"
    );
}

/// The counters that alerts read, and their results.
const COUNTERS: [(&str, &[&str]); 2] = [
    (
        "presence_gateway_calls_ended_total",
        &["ok", "client_error", "server_error"],
    ),
    (
        "presence_gateway_upstream_requests_total",
        &[
            "ok",
            "429",
            "4xx",
            "5xx",
            "no_answer",
            "not_accepted",
            "abandoned",
        ],
    ),
];

#[tokio::test]
async fn counters_of_alerts_start_at_zero_so_that_a_rate_sees_the_first_event() {
    // The user id selects the status.
    let vendor = Vendor::start(async |received: ReceivedRequest| {
        let status = received.path().split('/').nth(4).unwrap().parse();
        match status.unwrap() {
            200 => reply(200, "{}"),
            404 => reply(404, r#"{"code":"not.found","message":"m"}"#),
            status => reply(status, ""),
        }
    })
    .await;
    let (serving, gateway) = gateway(&vendor, &FLAGS, &[]).await;
    let counts = async || {
        let samples = samples(&get(metrics_address(&serving), "GET /metrics").await.1);
        let count = |name: &str, result: &&str| {
            let name = format!("{name}{{result=\"{result}\"}}");
            let value = samples.get(&name).copied();
            value.unwrap_or_else(|| panic!("{name} is not in {samples:#?}"))
        };
        COUNTERS.map(|(name, results)| -> Vec<_> {
            results.iter().map(|result| count(name, result)).collect()
        })
    };
    assert_eq!(counts().await, [vec![0.0; 3], vec![0.0; 7]]);
    for user in ["200", "404", "302"] {
        let rpc = "GetUserPresencesPurecloud";
        let _ = gateway.call(rpc, json!({"userId": user})).await;
    }
    // Sent once: a PATCH with an unknown outcome is not retried.
    let patch = json!({"userId": "500", "sourceId": "PURECLOUD", "body": {}});
    let failed = gateway.call("PatchUserPresence", patch).await;
    failed.unwrap_err();
    let unknown = tonic::Request::new(Vec::new());
    gateway.call_raw("/no.Such/Rpc", unknown).await.unwrap_err();
    assert_eq!(
        counts().await,
        [vec![1.0, 1.0, 2.0], vec![1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0]]
    );
}

#[tokio::test]
async fn the_same_metrics_are_pushed_over_both_transports() {
    for protocol in ["grpc", "http/protobuf"] {
        let (vendor, collector) = (vendor().await, Collector::start().await);
        let (_serving, gateway) = gateway(&vendor, &FLAGS, &collector.variables(protocol)).await;
        make_calls(&gateway).await;
        let names = [
            "rpc.server.call.duration",
            "http.client.request.duration",
            "presence_gateway.calls.in_flight",
            "presence_gateway.calls.limit",
            "presence_gateway.calls.ended",
            "presence_gateway.upstream.requests",
            "presence_gateway.start_time",
            "presence_gateway.calls.shed",
            "presence_gateway.upstream.retries",
            "presence_gateway.quota.remaining",
            "presence_gateway.bulk.batches",
            "presence_gateway.bulk.ids",
            "presence_gateway.build.info",
        ];
        let received = collector
            .wait_until(|received| {
                let has_metric =
                    |name: &&str| received.metrics.iter().any(|metric| metric.name == **name);
                names.iter().all(has_metric)
            })
            .await;
        let text = format!("{:?}", received.metrics);
        assert!(
            !text.contains("s3cret"),
            "an id or a token is in a metric: {text}"
        );
    }
}
