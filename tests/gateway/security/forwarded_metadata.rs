//! The vendor receives the caller's token, and no other metadata of the call.

use http::{HeaderMap, HeaderValue, header};
use presence_gateway::access_log::AccessLog;
use presence_gateway::context::{CallContext, StreamHandle};
use presence_gateway::credentials::Caller;
use presence_gateway::deadline::DeadlinePolicy;
use presence_gateway::memory::MemoryLimit;
use presence_gateway::rpc::Rpc;
use presence_gateway::token_key::TokenHasher;
use presence_gateway::upstream::client::{ClientOptions, RotatingClient};
use presence_gateway::upstream::endpoint::Endpoint;
use presence_gateway::upstream::rate_limit::RateLimiter;
use presence_gateway::upstream::{RequestContext, Reservations, Upstream};

use crate::support::raw_http::{frame, head, send};
use crate::support::{
    Gateway, Limits, ReceivedRequest, Vendor, encode, method, methods, minimal_request, path, reply,
};

#[tokio::test]
async fn a_token_arrives_byte_for_byte() {
    let vendor = Vendor::with_response(200, "{}").await;
    let gateway = Gateway::start(&vendor).await;
    let method = method("GetPresenceSettings");
    let long = format!("Bearer {}", "t".repeat(16 * 1024 - 7));
    for authorization in [
        "Bearer abc",
        "bearer abc",
        "BEARER abc",
        "bEaReR abc",
        "Bearer    abc",
        "Bearer a",
        "Bearer a.b-c_d~e+f/g==",
        r##"Bearer !"#$%&'()*+,-./:;<=>?@[\]^_`{|}~"##,
        "Bearer Bearer",
        "Bearer %20%0d%0a",
        &long,
    ] {
        let message = frame(&encode(&method, minimal_request(&method)));
        let mut call = head(&path(&method)).body(message.into()).unwrap();
        let value = HeaderValue::from_str(authorization).unwrap();
        call.headers_mut().insert("authorization", value);
        send(&gateway, call).await.result().unwrap();
        let sent = vendor.received().pop().unwrap();
        assert_eq!(
            sent.headers["authorization"].as_bytes(),
            authorization.as_bytes()
        );
    }
}

#[tokio::test]
async fn no_other_metadata_is_forwarded() {
    let vendor = Vendor::start(async |received: ReceivedRequest| {
        let is_list =
            received.path().ends_with("/bulk") || received.path().ends_with("/systempresences");
        reply(200, if is_list { "[]" } else { "{}" })
    })
    .await;
    let gateway = Gateway::start(&vendor).await;
    let traceparent = "00-1eab1eab1eab1eab1eab1eab1eab1eab-1eab1eab1eab1eab-01";
    for method in methods() {
        let message = frame(&encode(&method, minimal_request(&method)));
        let call = head(&path(&method))
            .header("user-agent", "leak/1.0")
            .header("cookie", "leak=1")
            .header("x-forwarded-for", "leak")
            .header("forwarded", "for=leak")
            .header("via", "1.1 leak")
            .header("referer", "http://leak")
            .header("origin", "http://leak")
            .header("accept", "leak/leak")
            .header("accept-language", "leak")
            .header("accept-encoding", "gzip, leak")
            .header("proxy-authorization", "Bearer leak")
            .header("x-api-key", "leak")
            .header("traceparent", traceparent)
            .header("tracestate", "leak=1eab")
            .header("baggage", "leak=1eab")
            .header("grpc-previous-rpc-attempts", "1")
            .header("grpc-timeout", "20S")
            .header("inin-correlation-id", "leak")
            .header("retry-after", "leak")
            .header("leak-bin", "bGVhaw==")
            .header("x-leak", "leak");
        let response = send(&gateway, call.body(message.into()).unwrap()).await;
        response
            .result()
            .unwrap_or_else(|status| panic!("{}: {status:?}", method.name()));
        let sent = vendor.received().pop().unwrap();
        let expected = [
            ("authorization", "Bearer token"),
            ("accept", "application/json"),
            ("accept-encoding", "identity"),
            (
                "user-agent",
                concat!("presence-gateway/", env!("CARGO_PKG_VERSION")),
            ),
            ("content-type", "application/json"),
            ("content-length", ""),
            ("host", ""),
        ];
        for (name, value) in &sent.headers {
            let known = expected.iter().find(|(known, _)| name == known);
            let (_, expected) = known.unwrap_or_else(|| panic!("{name} was sent to the vendor"));
            assert!(
                expected.is_empty() || value == expected,
                "{name}: {value:?}"
            );
        }
        let text = format!(
            "{} {}",
            sent.path_and_query,
            String::from_utf8_lossy(&sent.body)
        );
        assert!(!text.contains("leak"), "{text}");
    }
}

#[tokio::test]
async fn no_debug_output_shows_a_token() {
    let mut headers = HeaderMap::new();
    headers.insert(
        header::AUTHORIZATION,
        HeaderValue::from_static("Bearer s3cret"),
    );
    let caller = Caller::from_headers(&headers, &TokenHasher::default()).unwrap();
    let base = Endpoint::from_url("http://127.0.0.1:1", false).unwrap();
    let limits = Limits::default();
    let policy = DeadlinePolicy {
        default: limits.default_deadline,
        max: limits.max_deadline,
    };
    let clients = RotatingClient::new(&base, ClientOptions::default()).unwrap();
    let upstream = Upstream::new(base, clients, RateLimiter::new(300));
    let rpc = "/genesys.presence.v1.PresenceService/GetUserPresence";
    let context = CallContext {
        rpc: Rpc::find(rpc).unwrap(),
        stream: StreamHandle::detached(),
        request: RequestContext {
            caller: caller.clone(),
            deadline: policy.for_call(&headers),
            access_log: AccessLog::new("method"),
            memory: MemoryLimit::new(0).lease(None),
            is_client_retry: false,
            is_repeated_by_sender: false,
            reservations: Reservations::default(),
        },
    };
    let text = format!(
        "{caller:?} {upstream:?} {context:?} {:?} {context:#?}",
        caller.authorization(),
    );
    assert!(!text.contains("s3cret"), "{text}");

    headers.append(
        header::AUTHORIZATION,
        HeaderValue::from_static("Bearer s3cret"),
    );
    let refused = Caller::from_headers(&headers, &TokenHasher::default()).unwrap_err();
    let malformed = HeaderValue::from_static("s3cret");
    let malformed = Caller::from_headers(
        &HeaderMap::from_iter([(header::AUTHORIZATION, malformed)]),
        &TokenHasher::default(),
    );
    let text = format!("{refused:?} {malformed:?}");
    assert!(!text.contains("s3cret"), "{text}");
}
