//! HTTP/2 towards the vendor: when it is used, how many connections it takes, and what its
//! errors mean for a request.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::task::{JoinHandle, yield_now};
use tonic::{Code, Status};

use crate::support::http2::{DATA, frame};
use crate::support::http2_vendor::{Exchange, Handshakes, Http2Vendor};
use crate::support::{Gateway, expect_error};

const BOTH: &[&str] = &["h2", "http/1.1"];

/// Codes of HTTP/2 (RFC 9113, section 7).
const NO_ERROR: u32 = 0;
const INTERNAL_ERROR: u32 = 2;
const REFUSED_STREAM: u32 = 7;
const CANCEL: u32 = 8;
const HTTP_1_1_REQUIRED: u32 = 13;

/// A vendor, and a gateway that has found its HTTP/2.
async fn negotiated() -> (Http2Vendor, Gateway) {
    let mut vendor = Http2Vendor::start(BOTH).await;
    let gateway = vendor.gateway(true).await;
    vendor.until_http2(&gateway).await;
    (vendor, gateway)
}

async fn read(gateway: &Gateway) -> Result<Value, Status> {
    gateway.call("GetPresenceSettings", json!({})).await
}

/// A request that must not be sent twice.
async fn create(gateway: &Gateway) -> Result<Value, Status> {
    let request = json!({"body": {}});
    gateway.call("PostPresenceSources", request).await
}

/// Runs a call whose first request meets `fault`, and whose second one succeeds if there is
/// one; returns the result, and the number of requests.
async fn after_fault(
    call: impl Future<Output = Result<Value, Status>>,
    vendor: &mut Http2Vendor,
    fault: impl Fn(&Exchange),
) -> (Result<Value, Status>, usize) {
    tokio::pin!(call);
    let mut requests = 0;
    loop {
        let exchange = tokio::select! {
            result = &mut call => return (result, requests),
            exchange = vendor.next() => exchange,
        };
        requests += 1;
        match requests {
            1 => fault(&exchange),
            _ => exchange.respond("{}"),
        }
    }
}

#[tokio::test]
async fn many_requests_share_few_connections_and_none_waits_for_another() {
    let (mut vendor, gateway) = negotiated().await;
    assert_eq!(vendor.http2_connections(), 1);
    // The second time, they use the connections of the first.
    for _ in 0..2 {
        let calls = join_all((0..250).map(|_| read(&gateway)));
        let serve = async {
            let mut exchanges = Vec::new();
            // All are at the vendor before it answers one.
            while exchanges.len() < 250 {
                exchanges.push(vendor.next().await);
            }
            for exchange in &exchanges {
                exchange.respond("{}");
            }
            exchanges
        };
        let (results, exchanges) = tokio::join!(calls, serve);
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        for connection in 1..=3 {
            let on_it = |exchange: &&Exchange| exchange.connection == connection;
            let count = exchanges.iter().filter(on_it).count();
            assert!(count <= 100, "{count} requests on connection {connection}");
        }
        assert_eq!(vendor.http2_connections(), 3);
    }
}

#[tokio::test]
async fn http_1_1_is_used_where_nothing_else_is_offered_or_allowed() {
    for (offered, http2) in [(&["http/1.1"][..], true), (&[], true), (BOTH, false)] {
        let vendor = Http2Vendor::start(offered).await;
        let gateway = vendor.gateway(http2).await;
        for _ in 0..20 {
            read(&gateway).await.unwrap();
        }
        let case = format!("{offered:?}, {http2}");
        assert_eq!(vendor.http1_requests(), 20, "{case}");
        assert_eq!(vendor.http2_connections(), 0, "{case}");
    }
}

#[tokio::test]
async fn any_request_is_repeated_that_the_vendor_has_not_processed() {
    let (mut vendor, gateway) = negotiated().await;
    let refused = |exchange: &Exchange| exchange.reset(REFUSED_STREAM);
    // The connection goes on until its last stream ends, and this is none of them.
    let gone = |exchange: &Exchange| exchange.go_away(exchange.stream - 2);
    let (result, requests) = after_fault(create(&gateway), &mut vendor, refused).await;
    assert!(result.is_ok() && requests == 2, "{requests}: {result:?}");
    let (result, requests) = after_fault(create(&gateway), &mut vendor, gone).await;
    assert!(result.is_ok() && requests == 2, "{requests}: {result:?}");
    assert_eq!(vendor.http2_connections(), 2);
}

#[tokio::test]
async fn the_orderly_end_of_a_connection_is_no_attempt_at_a_request() {
    let (mut vendor, gateway) = negotiated().await;
    let call = create(&gateway);
    tokio::pin!(call);
    // More often than there are attempts, as with a front end that ends each connection
    // after some requests, under load.
    for end in 1..=6 {
        tokio::select! {
            result = &mut call => panic!("after {end} connections: {result:?}"),
            exchange = vendor.next() => exchange.go_away(0),
        }
    }
    let respond = async { vendor.next().await.respond("{}") };
    let (result, ()) = tokio::join!(call, respond);
    result.unwrap();
}

#[tokio::test]
async fn a_write_is_not_repeated_that_the_vendor_may_have_processed() {
    let (mut vendor, gateway) = negotiated().await;
    let reset = |exchange: &Exchange| exchange.reset(INTERNAL_ERROR);
    let accepted = |exchange: &Exchange| {
        exchange.go_away(exchange.stream);
        exchange.close();
    };
    let faults: [fn(&Exchange); 3] = [reset, Exchange::close, accepted];
    for (fault, name) in faults
        .into_iter()
        .zip(["reset", "closed", "accepted, then closed"])
    {
        let (result, requests) = after_fault(create(&gateway), &mut vendor, fault).await;
        expect_error(result, Code::Unknown, "OUTCOME_UNKNOWN");
        assert_eq!(requests, 1, "{name}");
        let (result, requests) = after_fault(read(&gateway), &mut vendor, fault).await;
        assert!(result.is_ok() && requests == 2, "{name}: {result:?}");
    }
}

#[tokio::test]
async fn accepted_requests_end_after_the_vendor_announces_the_end_of_their_connection() {
    let (mut vendor, gateway) = negotiated().await;
    let (first, second) = (create(&gateway), create(&gateway));
    let serve = async {
        let (one, other) = (vendor.next().await, vendor.next().await);
        let (first, last) = (one.stream.min(other.stream), one.stream.max(other.stream));
        assert_eq!(one.connection, other.connection);
        one.go_away(first);
        let repeated = vendor.next().await;
        assert!(
            repeated.connection > one.connection,
            "{last} on the old connection"
        );
        repeated.respond("{}");
        let accepted = if one.stream == first { one } else { other };
        accepted.respond("{}");
    };
    let (first, second, ()) = tokio::join!(first, second, serve);
    assert!(first.is_ok() && second.is_ok(), "{first:?} {second:?}");
}

#[tokio::test]
async fn a_response_that_ends_before_its_length_is_not_taken_for_complete() {
    let (mut vendor, gateway) = negotiated().await;
    let cut = |exchange: &Exchange| {
        let part = [exchange.head(100), frame(DATA, 0, exchange.stream, b"{}")];
        exchange.write(&part);
        exchange.reset(NO_ERROR);
    };
    let (result, requests) = after_fault(read(&gateway), &mut vendor, cut).await;
    assert!(result.is_ok() && requests == 2, "{requests}: {result:?}");
    let (result, _) = after_fault(create(&gateway), &mut vendor, cut).await;
    let error = expect_error(result, Code::Unknown, "OUTCOME_UNKNOWN");
    assert!(error.message().contains("declared length"), "{error:?}");
}

#[tokio::test]
async fn a_vendor_may_stop_to_offer_http_2() {
    let (mut vendor, gateway) = negotiated().await;
    // All connections end, as those of a front end that is replaced.
    vendor.offer(&["http/1.1"]);
    let (result, _) = after_fault(read(&gateway), &mut vendor, Exchange::close).await;
    result.unwrap();
    for _ in 0..20 {
        read(&gateway).await.unwrap();
    }
    assert!(vendor.http1_requests() >= 20);
    assert_eq!(vendor.http2_connections(), 1);
}

#[tokio::test]
async fn a_vendor_may_require_http_1_1() {
    let (mut vendor, gateway) = negotiated().await;
    let before = vendor.http1_requests();
    let required = |exchange: &Exchange| exchange.reset(HTTP_1_1_REQUIRED);
    let (result, requests) = after_fault(read(&gateway), &mut vendor, required).await;
    assert!(result.is_ok() && requests == 1, "{requests}: {result:?}");
    assert_eq!(vendor.http1_requests(), before + 1);
}

#[tokio::test]
async fn a_cancelled_call_resets_its_own_stream_alone() {
    let (mut vendor, gateway) = negotiated().await;
    let start = || {
        let gateway = gateway.clone();
        tokio::spawn(async move { read(&gateway).await })
    };
    let cancelled = start();
    let exchange = vendor.next().await;
    let goes_on = start();
    let other = vendor.next().await;
    assert_eq!(exchange.connection, other.connection);
    cancelled.abort();
    assert_eq!(exchange.until_reset().await, CANCEL);
    other.respond("{}");
    goes_on.await.unwrap().unwrap();
}

/// A read that the gateway tries once.
async fn read_once(gateway: &Gateway) -> Result<Value, Status> {
    let metadata = [
        ("authorization", "Bearer token"),
        ("grpc-previous-rpc-attempts", "1"),
    ];
    let read = gateway.call_with_metadata("GetPresenceSettings", json!({}), &metadata);
    read.await.map(|response| response.json)
}

/// Starts reads of which the first one opens the connection of the others, once the vendor
/// has closed the last one.
async fn reads_that_wait_for_a_connection(
    vendor: &mut Http2Vendor,
    gateway: &Gateway,
    count: usize,
) -> Vec<JoinHandle<Result<Value, Status>>> {
    let start = || {
        let gateway = gateway.clone();
        tokio::spawn(async move { read_once(&gateway).await })
    };
    let last = start();
    vendor.handshakes(Handshakes::Wait);
    vendor.next().await.close();
    last.await.unwrap().unwrap_err();
    let before = vendor.connections();
    let mut reads = vec![start()];
    vendor.next_connection(before).await;
    reads.extend((1..count).map(|_| start()));
    // Until they wait in the gateway, which has no event for it.
    for _ in 0..1000 {
        yield_now().await;
    }
    reads
}

#[tokio::test]
async fn each_request_that_waited_for_a_connection_gets_the_cause_of_its_failure() {
    let (mut vendor, gateway) = negotiated().await;
    let reads = reads_that_wait_for_a_connection(&mut vendor, &gateway, 10).await;
    vendor.handshakes(Handshakes::Fail);
    let mut messages = BTreeSet::new();
    for read in reads {
        let status = expect_error(
            read.await.unwrap(),
            Code::Unavailable,
            "UPSTREAM_UNREACHABLE",
        );
        messages.insert(status.message().to_owned());
    }
    assert_eq!(messages.len(), 1, "{messages:?}");
    let message = messages.first().unwrap();
    assert!(!message.contains("request was canceled"), "{message}");
}

#[tokio::test]
async fn a_cancelled_call_fails_no_other_that_waits_for_its_connection() {
    let (mut vendor, gateway) = negotiated().await;
    let mut reads = reads_that_wait_for_a_connection(&mut vendor, &gateway, 10).await;
    let before = vendor.connections();
    reads.remove(0).abort();
    vendor.next_connection(before).await;
    vendor.handshakes(Handshakes::Complete);
    for _ in &reads {
        vendor.next().await.respond("{}");
    }
    for read in reads {
        read.await.unwrap().unwrap();
    }
}
