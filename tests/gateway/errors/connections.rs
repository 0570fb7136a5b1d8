//! Failed and lost connections. A request that was never sent, or a lost read, can
//! be retried; the outcome of a lost write is unknown.

use futures_util::future::join_all;
use http::Method;
use serde_json::json;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::{METHODS, call_method, call_once};
use crate::support::raw_http::RawVendor;
use crate::support::{ClosedPort, Gateway, expect_error, info, metadata};

/// Asserts an error of the gateway itself, which reveals no path of the vendor.
#[track_caller]
fn assert_own_error(
    answer: Result<crate::support::JsonResponse, Status>,
    code: Code,
    reason: &str,
) -> Status {
    let status = expect_error(answer, code, reason);
    assert_eq!(
        status.get_details_error_info().unwrap().domain,
        "presence-gateway"
    );
    assert!(!format!("{status:?}").contains("/api/v2"), "{status:?}");
    status
}

#[tokio::test]
async fn a_request_that_was_never_sent_is_unavailable() {
    let port = ClosedPort::new();
    let closed = port.address;
    let no_tls = RawVendor::with_bytes("HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let hangs_up = RawVendor::start(async |_| {}).await;
    for (upstream, cause) in [
        (
            format!("http://{closed}"),
            format!("{closed}: tcp connect error: Connection refused"),
        ),
        (
            "https://presence.invalid".to_owned(),
            "presence.invalid:443: dns error".to_owned(),
        ),
        (
            format!("https://{}", no_tls.address),
            format!("{}: ", no_tls.address),
        ),
        (
            format!("https://{}", hangs_up.address),
            format!("{}: ", hangs_up.address),
        ),
    ] {
        let gateway = Gateway::start_at(&upstream).await;
        // Concurrently, since a failing name lookup can take some seconds.
        let answers = join_all(METHODS.iter().map(|method| call_method(&gateway, method)));
        for answer in answers.await {
            let status = assert_own_error(answer, Code::Unavailable, "UPSTREAM_UNREACHABLE");
            assert!(
                status.message().contains("nothing was sent"),
                "{}",
                status.message()
            );
            let expected = format!("the gateway cannot connect to the presence API at {cause}");
            assert!(
                status.message().starts_with(&expected),
                "{}",
                status.message()
            );
            assert_eq!(metadata(&status, "grpc-retry-pushback-ms"), None);
            assert_eq!(info(&status, "outcome"), None);
        }
    }
}

/// Responses that end in the head, or are not HTTP.
const CUT_IN_THE_HEAD: [&str; 6] = [
    "",
    "HTTP/1.1 2",
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-le",
    "SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    "HTTP/9.9 200 OK\r\n\r\n",
];

/// Responses that end in the body.
const CUT_IN_THE_BODY: [&str; 3] = [
    "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n",
    "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"id\":\"p\"",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\n{\"id\":\"p\"\r\n",
];

/// Asserts UNAVAILABLE for a read, and an unknown outcome for a write.
fn assert_connection_lost(answer: Result<crate::support::JsonResponse, Status>, method: &Method) {
    if *method == Method::GET {
        let status = assert_own_error(answer, Code::Unavailable, "UPSTREAM_CONNECTION_LOST");
        assert_eq!(metadata(&status, "grpc-retry-pushback-ms"), None);
    } else {
        let status = assert_own_error(answer, Code::Unknown, "OUTCOME_UNKNOWN");
        assert_eq!(metadata(&status, "grpc-retry-pushback-ms"), Some("-1"));
        let warning = "may or may not have been applied";
        assert!(status.message().contains(warning), "{}", status.message());
    }
}

#[tokio::test]
async fn a_connection_lost_before_the_response_is_unavailable_for_a_read_only() {
    for answer in CUT_IN_THE_HEAD {
        let vendor = RawVendor::with_bytes(answer).await;
        let gateway = Gateway::start_at(&vendor.url()).await;
        for method in METHODS {
            assert_connection_lost(call_method(&gateway, &method).await, &method);
        }
    }
}

#[tokio::test]
async fn a_connection_lost_in_the_response_body_is_unavailable_for_a_read_only() {
    for answer in CUT_IN_THE_BODY {
        let vendor = RawVendor::with_bytes(answer).await;
        let gateway = Gateway::start_at(&vendor.url()).await;
        for method in METHODS {
            let answer = call_method(&gateway, &method).await;
            if method == Method::DELETE {
                // Its response has no body to lose.
                answer.unwrap();
            } else {
                assert_connection_lost(answer, &method);
            }
        }
    }
}

#[tokio::test]
async fn an_error_response_with_a_cut_body_keeps_its_status() {
    for head in ["content-length: 1000", "transfer-encoding: chunked"] {
        let cut = format!("HTTP/1.1 400 Bad Request\r\n{head}\r\n\r\n{{\"code\":\"bad.requ");
        let vendor = RawVendor::with_bytes(cut).await;
        let gateway = Gateway::start_at(&vendor.url()).await;
        for method in METHODS {
            let answer = call_method(&gateway, &method).await;
            assert_own_error(answer, Code::InvalidArgument, "UPSTREAM_ERROR");
        }
    }
}

#[tokio::test]
async fn a_bulk_call_reports_a_lost_connection_like_a_unary_call() {
    let vendor = RawVendor::with_bytes("").await;
    let gateway = Gateway::start_at(&vendor.url()).await;
    let ids = json!({"id": ["a", "b"]});
    let answer = call_once(&gateway, "GetUsersPresencesPurecloudBulk", ids).await;
    assert_connection_lost(answer, &Method::GET);
    let updates = json!({"body": [{"id": "a"}]});
    let answer = call_once(&gateway, "PutUsersPresencesBulk", updates).await;
    assert_connection_lost(answer, &Method::PUT);
    assert!(vendor.connections() >= 2);
}
