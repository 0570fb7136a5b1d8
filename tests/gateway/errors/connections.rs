//! When there is no whole answer: what never left is safe to repeat, what did
//! leave is safe to repeat where it was a read, and else not known.

use futures_util::future::join_all;
use http::Method;
use serde_json::json;
use tokio::net::TcpListener;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::{METHODS, ask, ask_by};
use crate::support::raw_http::RawVendor;
use crate::support::{Gateway, expect_error, info, metadata};

/// A status of ours, that tells nothing of where the vendor is or was asked.
#[track_caller]
fn ours(answer: Result<crate::support::JsonResponse, Status>, code: Code, reason: &str) -> Status {
    let status = expect_error(answer, code, reason);
    assert_eq!(
        status.get_details_error_info().unwrap().domain,
        "presence-gateway"
    );
    assert!(!format!("{status:?}").contains("/api/v2"), "{status:?}");
    status
}

#[tokio::test]
async fn a_request_that_never_left_is_unavailable_whatever_it_would_have_done() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    let no_tls = RawVendor::with_bytes("HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let hangs_up = RawVendor::start(async |_| {}).await;
    for upstream in [
        format!("http://{nobody}"),
        "https://presence.invalid".to_owned(),
        format!("https://{}", no_tls.address),
        format!("https://{}", hangs_up.address),
    ] {
        let gateway = Gateway::start_at(&upstream).await;
        // All at once: to find no host by its name can take some seconds.
        let answers = join_all(METHODS.iter().map(|method| ask_by(&gateway, method)));
        for answer in answers.await {
            let status = ours(answer, Code::Unavailable, "UPSTREAM_UNREACHABLE");
            assert!(
                status.message().contains("nothing was sent"),
                "{}",
                status.message()
            );
            assert_eq!(metadata(&status, "grpc-retry-pushback-ms"), None);
            assert_eq!(info(&status, "outcome"), None);
        }
    }
}

/// Answers that end too early, or are none.
const CUT: [&str; 6] = [
    "",
    "HTTP/1.1 2",
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-le",
    "SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    "HTTP/9.9 200 OK\r\n\r\n",
];

/// Answers that end in the middle of their body.
const CUT_IN_THE_BODY: [&str; 3] = [
    "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n",
    "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"id\":\"p\"",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\n{\"id\":\"p\"\r\n",
];

fn check(answer: Result<crate::support::JsonResponse, Status>, method: &Method) {
    if *method == Method::GET {
        let status = ours(answer, Code::Unavailable, "UPSTREAM_CONNECTION_LOST");
        assert_eq!(metadata(&status, "grpc-retry-pushback-ms"), None);
    } else {
        let status = ours(answer, Code::Unknown, "OUTCOME_UNKNOWN");
        assert_eq!(metadata(&status, "grpc-retry-pushback-ms"), Some("-1"));
        let warning = "may or may not have been applied";
        assert!(status.message().contains(warning), "{}", status.message());
    }
}

#[tokio::test]
async fn a_connection_lost_before_the_answer_is_unavailable_for_a_read_alone() {
    for answer in CUT {
        let vendor = RawVendor::with_bytes(answer).await;
        let gateway = Gateway::start_at(&vendor.url()).await;
        for method in METHODS {
            check(ask_by(&gateway, &method).await, &method);
        }
    }
}

#[tokio::test]
async fn a_connection_lost_in_the_middle_of_the_answer_is_too() {
    for answer in CUT_IN_THE_BODY {
        let vendor = RawVendor::with_bytes(answer).await;
        let gateway = Gateway::start_at(&vendor.url()).await;
        for method in METHODS {
            let answer = ask_by(&gateway, &method).await;
            if method == Method::DELETE {
                // It promises nothing that would be missed.
                answer.unwrap();
            } else {
                check(answer, &method);
            }
        }
    }
}

#[tokio::test]
async fn what_was_refused_stays_refused_where_the_error_body_is_cut() {
    for head in ["content-length: 1000", "transfer-encoding: chunked"] {
        let cut = format!("HTTP/1.1 400 Bad Request\r\n{head}\r\n\r\n{{\"code\":\"bad.requ");
        let vendor = RawVendor::with_bytes(cut).await;
        let gateway = Gateway::start_at(&vendor.url()).await;
        for method in METHODS {
            let answer = ask_by(&gateway, &method).await;
            ours(answer, Code::InvalidArgument, "UPSTREAM_ERROR");
        }
    }
}

#[tokio::test]
async fn a_bulk_call_tells_it_like_a_single_one() {
    let vendor = RawVendor::with_bytes("").await;
    let lost = Gateway::start_at(&vendor.url()).await;
    let ids = json!({"id": ["a", "b"]});
    let answer = ask(&lost, "GetUsersPresencesPurecloudBulk", ids).await;
    check(answer, &Method::GET);
    let updates = json!({"body": [{"id": "a"}]});
    let answer = ask(&lost, "PutUsersPresencesBulk", updates).await;
    check(answer, &Method::PUT);
    assert!(vendor.connections() >= 2);
}
