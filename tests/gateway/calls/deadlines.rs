//! How much time a call has, what happens when there is none left, and what
//! when its caller goes away.

use std::future::pending;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::{StreamExt, future::join_all, stream};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;
use tonic::{Code, Status};

use crate::support::raw_http::{RawVendor, frame, head, read_request, send};
use crate::support::{
    Gateway, Limits, Vendor, encoded, metadata, method, path, refused, reply, sample,
};

const SHORT: Duration = Duration::from_millis(200);

/// A vendor that never answers, and tells what becomes of each request.
struct Hanging {
    vendor: Vendor,
    arrived: UnboundedReceiver<()>,
    dropped: UnboundedReceiver<()>,
}

struct TellsDrop(UnboundedSender<()>);

impl Drop for TellsDrop {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

impl Hanging {
    async fn start() -> Self {
        let (arrive, arrived) = unbounded_channel();
        let (drop, dropped) = unbounded_channel();
        let vendor = Vendor::start(move |_| {
            let tells_drop = TellsDrop(drop.clone());
            arrive.send(()).unwrap();
            async move {
                let _tells_drop = tells_drop;
                pending().await
            }
        })
        .await;
        Self {
            vendor,
            arrived,
            dropped,
        }
    }

    async fn arrived(&mut self, requests: usize) {
        for _ in 0..requests {
            let arrived = timeout(Duration::from_secs(20), self.arrived.recv()).await;
            arrived.expect("a request should arrive at the vendor");
        }
    }

    /// Waits until requests that had arrived were given up by the gateway.
    async fn dropped(&mut self, requests: usize) {
        for _ in 0..requests {
            let dropped = timeout(Duration::from_secs(20), self.dropped.recv()).await;
            dropped.expect("the gateway should give its request up");
        }
    }
}

/// Makes a call whose client asks for a deadline, but does not keep it itself.
async fn call(gateway: &Gateway, rpc: &str, timeout: Option<&str>) -> Result<Bytes, Status> {
    let method = method(rpc);
    call_with(gateway, rpc, sample(&method), timeout).await
}

async fn call_with(
    gateway: &Gateway,
    rpc: &str,
    request: Value,
    timeout: Option<&str>,
) -> Result<Bytes, Status> {
    let method = method(rpc);
    let message = frame(&encoded(&method, request));
    let mut call = head(&path(&method));
    if let Some(timeout) = timeout {
        call = call.header("grpc-timeout", timeout);
    }
    send(gateway, call.body(message.into()).unwrap())
        .await
        .result()
}

#[track_caller]
fn expired(answer: Result<Bytes, Status>) -> Status {
    let status = refused(answer, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    assert_eq!(metadata(&status, "grpc-retry-pushback-ms"), None);
    assert!(
        status.message().contains("nothing was changed"),
        "{}",
        status.message()
    );
    status
}

const READ: &str = "GetUserPresencesPurecloud";
const WRITES: [&str; 5] = [
    "PostPresenceSources",
    "PutPresenceSettings",
    "PatchUserPresencesPurecloud",
    "DeletePresenceSource",
    "PutUsersPresencesBulk",
];

#[tokio::test]
async fn the_callers_deadline_ends_the_call_and_its_request_to_the_vendor() {
    for timeout in ["200m", "200000u", "99999999n"] {
        let mut hanging = Hanging::start().await;
        let gateway = Gateway::before(&hanging.vendor).await;
        expired(call(&gateway, READ, Some(timeout)).await);
        hanging.arrived(1).await;
        hanging.dropped(1).await;
    }
}

#[tokio::test]
async fn without_a_deadline_of_the_callers_the_default_holds() {
    let mut hanging = Hanging::start().await;
    let limits = Limits {
        default_deadline: SHORT,
        ..Limits::default()
    };
    let gateway = Gateway::with(&hanging.vendor, limits).await;
    expired(call(&gateway, READ, None).await);
    hanging.dropped(1).await;
}

#[tokio::test]
async fn a_deadline_that_cannot_be_read_counts_as_none() {
    let hanging = Hanging::start().await;
    let limits = Limits {
        default_deadline: SHORT,
        ..Limits::default()
    };
    let gateway = Gateway::with(&hanging.vendor, limits).await;
    let malformed = ["", "5", "S", "1s", "-1S", "+1S", "1.5S", "1 S", "soon", "0"];
    for answer in join_all(malformed.map(|timeout| call(&gateway, READ, Some(timeout)))).await {
        expired(answer);
    }
    assert_eq!(
        hanging.vendor.received().len(),
        malformed.len(),
        "each had time at first"
    );
}

#[tokio::test]
async fn a_deadline_of_more_digits_than_there_may_be_is_a_long_one() {
    let (answer, answered) = tokio::sync::watch::channel(false);
    let vendor = Vendor::start(move |_| {
        let mut answered = answered.clone();
        async move {
            answered.wait_for(|is_answered| *is_answered).await.unwrap();
            reply(200, "{}")
        }
    })
    .await;
    let limits = Limits {
        default_deadline: SHORT,
        ..Limits::default()
    };
    let gateway = Gateway::with(&vendor, limits).await;
    // connect-node writes 1000 hours like the first.
    let long = ["3600000000m", "123456789S", "999999999999999999999999H"];
    let long = join_all(long.map(|timeout| call(&gateway, READ, Some(timeout))));
    let after_one_without = async {
        expired(call(&gateway, READ, None).await);
        answer.send(true).unwrap();
    };
    let (answers, ()) = tokio::join!(long, after_one_without);
    for answer in answers {
        answer.unwrap();
    }
}

#[tokio::test]
async fn a_deadline_that_is_too_long_is_capped() {
    let mut hanging = Hanging::start().await;
    let limits = Limits {
        default_deadline: SHORT,
        max_deadline: SHORT,
        ..Limits::default()
    };
    let gateway = Gateway::with(&hanging.vendor, limits).await;
    for timeout in ["1H", "99999999H", "60S"] {
        expired(call(&gateway, READ, Some(timeout)).await);
        hanging.dropped(1).await;
    }
}

#[tokio::test]
async fn without_any_time_nothing_is_sent() {
    let vendor = Vendor::answering(200, "{}").await;
    let gateway = Gateway::before(&vendor).await;
    for timeout in ["0n", "0u", "0m", "0S", "00000000H"] {
        for rpc in [READ, "GetUsersPresencesPurecloudBulk", WRITES[0], WRITES[3]] {
            expired(call(&gateway, rpc, Some(timeout)).await);
        }
        // Its updates may have been told as not tried.
        let answer = call(&gateway, "PutUsersPresencesBulk", Some(timeout)).await;
        let status = answer.unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    }
    let sent = vendor.received();
    assert!(sent.is_empty(), "{sent:#?}");
}

#[tokio::test]
async fn the_clock_runs_while_the_message_is_on_its_way() {
    let vendor = Vendor::answering(200, "{}").await;
    let limits = Limits {
        default_deadline: SHORT,
        ..Limits::default()
    };
    let gateway = Gateway::with(&vendor, limits).await;
    let method = method(READ);
    let message = frame(&encoded(&method, sample(&method)));
    for timeout in [Some("200m"), None] {
        for arrived in [0, 3, message.len() - 1] {
            let first = Bytes::copy_from_slice(&message[..arrived]);
            let first = stream::iter([Ok::<_, std::io::Error>(first)]);
            let call = head(&path(&method));
            let call = match timeout {
                Some(timeout) => call.header("grpc-timeout", timeout),
                None => call,
            };
            let body = Body::from_stream(first.chain(stream::pending()));
            let answer = send(&gateway, call.body(body).unwrap()).await;
            expired(answer.result());
        }
    }
    let sent = vendor.received();
    assert!(sent.is_empty(), "{sent:#?}");
}

#[tokio::test]
async fn a_write_that_left_before_the_time_ran_out_may_have_been_applied() {
    for rpc in WRITES {
        let mut hanging = Hanging::start().await;
        let gateway = Gateway::before(&hanging.vendor).await;
        let answer = call(&gateway, rpc, Some("200m")).await;
        let status = refused(answer, Code::DeadlineExceeded, "OUTCOME_UNKNOWN");
        assert_eq!(
            metadata(&status, "grpc-retry-pushback-ms"),
            Some("-1"),
            "{rpc}"
        );
        hanging.arrived(1).await;
        hanging.dropped(1).await;
    }
}

#[tokio::test]
async fn a_write_that_had_not_left_was_not_applied() {
    let (arrive, mut arrived) = unbounded_channel();
    // It never answers a TLS handshake, so that nothing can be sent.
    let vendor = RawVendor::start(move |stream| {
        arrive.send(()).unwrap();
        async move {
            let _stream = stream;
            pending::<()>().await;
        }
    })
    .await;
    let upstream = format!("https://{}", vendor.address);
    let gateway = Gateway::before_url(&upstream).await;
    for rpc in [READ].into_iter().chain(WRITES) {
        let answer = call(&gateway, rpc, Some("200m")).await;
        if rpc == "PutUsersPresencesBulk" {
            refused(answer, Code::DeadlineExceeded, "NOT_TRIED");
        } else {
            expired(answer);
        }
        arrived.recv().await.unwrap();
    }
}

#[tokio::test]
async fn an_answer_that_stops_in_the_middle_is_awaited_until_the_deadline() {
    for length in ["content-length: 100", "transfer-encoding: chunked"] {
        let vendor = RawVendor::start(move |mut stream| async move {
            use tokio::io::AsyncWriteExt;
            read_request(&mut stream).await;
            let half = format!("HTTP/1.1 200 OK\r\n{length}\r\n\r\n2\r\n{{\"");
            stream.write_all(half.as_bytes()).await.unwrap();
            pending::<()>().await;
        })
        .await;
        let gateway = Gateway::before_url(&vendor.url()).await;
        expired(call(&gateway, READ, Some("200m")).await);
        let answer = call(&gateway, "PatchUserPresencesPurecloud", Some("200m")).await;
        refused(answer, Code::DeadlineExceeded, "OUTCOME_UNKNOWN");
    }
}

#[tokio::test]
async fn a_refusal_whose_body_does_not_come_in_time_is_a_refusal_all_the_same() {
    let vendor = RawVendor::start(move |mut stream| async move {
        use tokio::io::AsyncWriteExt;
        read_request(&mut stream).await;
        let half = "HTTP/1.1 409 Conflict\r\ncontent-length: 100\r\n\r\n{\"";
        stream.write_all(half.as_bytes()).await.unwrap();
        pending::<()>().await;
    })
    .await;
    let gateway = Gateway::before_url(&vendor.url()).await;
    let answer = call(&gateway, "PatchUserPresencesPurecloud", Some("200m")).await;
    refused(answer, Code::Aborted, "UPSTREAM_ERROR");
}

#[tokio::test]
async fn every_batch_of_a_bulk_read_ends_with_the_call() {
    let mut hanging = Hanging::start().await;
    let gateway = Gateway::before(&hanging.vendor).await;
    let ids: Vec<_> = (0..400).map(|n| n.to_string()).collect();
    let request = json!({"id": ids});
    let answer = call_with(
        &gateway,
        "GetUsersPresencesPurecloudBulk",
        request,
        Some("300m"),
    )
    .await;
    expired(answer);
    hanging.arrived(8).await;
    hanging.dropped(8).await;
}

#[tokio::test]
async fn a_caller_that_goes_away_takes_its_requests_to_the_vendor_along() {
    let ids: Vec<_> = (0..400).map(|n| n.to_string()).collect();
    for (rpc, request, requests) in [
        (READ, json!({"userId": "u"}), 1),
        (
            "PatchUserPresencesPurecloud",
            json!({"userId": "u", "body": {}}),
            1,
        ),
        ("DeletePresenceSource", json!({"sourceId": "s"}), 1),
        ("GetUsersPresencesPurecloudBulk", json!({"id": ids}), 8),
    ] {
        let mut hanging = Hanging::start().await;
        let gateway = Gateway::before(&hanging.vendor).await;
        tokio::select! {
            answer = gateway.call(rpc, request) => panic!("{rpc} was answered: {answer:?}"),
            () = hanging.arrived(requests) => {}
        }
        hanging.dropped(requests).await;
    }
}

#[tokio::test]
async fn a_call_that_is_done_in_time_is_not_touched_by_its_deadline() {
    let vendor = Vendor::start(async |_| {
        tokio::task::yield_now().await;
        reply(200, "{}")
    })
    .await;
    let gateway = Gateway::before(&vendor).await;
    for timeout in ["20S", "1H", "99999999H", "20000m"] {
        call(&gateway, READ, Some(timeout)).await.unwrap();
    }
}
