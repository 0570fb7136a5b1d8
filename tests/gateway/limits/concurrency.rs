//! The concurrency limit: calls over it are rejected at once, and none waits.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use http::Method;
use serde_json::json;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::codec::Streaming;
use tonic::{Code, Request, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_types::StatusExt;

use crate::contract::reflection::{v1, v1alpha};
use crate::lifecycle::health::{NAMES, check};
use crate::support::{
    Gateway, JsonResponse, Limits, ReceivedRequest, Vendor, expect_error, metadata, reply,
};

/// The concurrency limit of these tests.
const MAX_IN_FLIGHT: usize = 4;

const RPC: &str = "GetUserPresencesPurecloud";

/// A gateway at its concurrency limit, whose calls have different callers and wait
/// for the vendor.
struct FullGateway {
    gateway: Gateway,
    vendor: Vendor,
    calls: Vec<JoinHandle<Result<JsonResponse, Status>>>,
    gate: Arc<Semaphore>,
}

/// Fills a gateway with calls to which the vendor responds with this status, one for
/// each permit of the gate.
async fn full_gateway(status: u16) -> FullGateway {
    let (arrive, mut arrived) = mpsc::unbounded_channel();
    let gate = Arc::new(Semaphore::new(0));
    let vendor_gate = Arc::clone(&gate);
    let vendor = Vendor::start(move |received: ReceivedRequest| {
        let (arrive, gate) = (arrive.clone(), Arc::clone(&vendor_gate));
        async move {
            if received.token().contains("holder") {
                let _ = arrive.send(());
                gate.acquire().await.unwrap().forget();
            }
            reply(status, "{}")
        }
    })
    .await;
    let limits = Limits {
        max_in_flight: MAX_IN_FLIGHT,
        ..Limits::default()
    };
    let gateway = Gateway::start_with(&vendor, limits).await;
    let mut calls = Vec::new();
    for caller in 0..MAX_IN_FLIGHT {
        let gateway = gateway.clone();
        calls.push(tokio::spawn(async move {
            call(&gateway, &format!("holder{caller}")).await
        }));
        arrived.recv().await.unwrap();
    }
    FullGateway {
        gateway,
        vendor,
        calls,
        gate,
    }
}

async fn call(gateway: &Gateway, caller: &str) -> Result<JsonResponse, Status> {
    let token = format!("Bearer {caller}");
    let metadata = [
        ("authorization", token.as_str()),
        ("grpc-previous-rpc-attempts", "1"),
    ];
    gateway
        .call_with_metadata(RPC, json!({"userId": "u"}), &metadata)
        .await
}

/// Asserts that the gateway rejected the call as overloaded.
#[track_caller]
fn assert_overloaded<T: std::fmt::Debug>(answer: Result<T, Status>) -> Status {
    expect_error(answer, Code::Unavailable, "OVERLOADED")
}

#[tokio::test]
async fn a_call_over_the_limit_is_rejected_at_once_and_unsent() {
    let full = full_gateway(200).await;
    // The limit covers all connections of the process.
    let other = Gateway::connect(full.gateway.address).await;
    for gateway in [&full.gateway, &other] {
        let status = assert_overloaded(call(gateway, "late").await);
        let pushback: u64 = metadata(&status, "grpc-retry-pushback-ms")
            .unwrap()
            .parse()
            .unwrap();
        assert!((1..30_000).contains(&pushback), "{pushback}");
        let delay = status.get_details_retry_info().unwrap().retry_delay;
        assert_eq!(delay, Some(Duration::from_millis(pushback)));
        assert!(
            status.message().contains("try again"),
            "{}",
            status.message()
        );
    }
    assert_eq!(full.vendor.received().len(), MAX_IN_FLIGHT);
    // The calls within the limit continue.
    full.gate.add_permits(MAX_IN_FLIGHT);
    for call in full.calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn health_and_reflection_respond_at_the_limit() {
    let full = full_gateway(200).await;
    assert_overloaded(call(&full.gateway, "late").await);
    for name in NAMES {
        let status = check(&full.gateway.channel, name).await;
        assert_eq!(status.unwrap(), ServingStatus::Serving, "{name}");
    }
    assert!(!v1::services(&full.gateway).await.is_empty());
    assert!(!v1alpha::services(&full.gateway).await.is_empty());
    // They do not free a permit either.
    assert_overloaded(call(&full.gateway, "late").await);
}

#[tokio::test]
async fn a_call_with_too_little_time_left_to_retry_gets_a_negative_pushback() {
    let full = full_gateway(200).await;
    let headers = [("authorization", "Bearer late"), ("grpc-timeout", "100m")];
    let answer = full
        .gateway
        .call_with_metadata(RPC, json!({"userId": "u"}), &headers)
        .await;
    let status = assert_overloaded(answer);
    assert_eq!(metadata(&status, "grpc-retry-pushback-ms"), Some("-1"));
    assert!(status.get_details_retry_info().is_some());
}

#[tokio::test]
async fn every_end_of_a_call_frees_its_permit() {
    for status in [200, 404, 500] {
        let full = full_gateway(status).await;
        assert_overloaded(call(&full.gateway, "late").await);
        full.gate.add_permits(MAX_IN_FLIGHT);
        for call in full.calls {
            assert_eq!(call.await.unwrap().is_ok(), status == 200);
        }
        // The same number of concurrent calls fits again.
        let callers = (0..MAX_IN_FLIGHT).map(|caller| format!("next{caller}"));
        let calls = callers.map(|caller| {
            let gateway = full.gateway.clone();
            async move { call(&gateway, &caller).await }
        });
        for answer in join_all(calls).await {
            let code = answer.err().map(|status| status.code());
            assert_ne!(code, Some(Code::Unavailable), "after {status}");
        }
    }
}

#[tokio::test]
async fn a_cancelled_call_frees_its_permit() {
    let full = full_gateway(200).await;
    assert_overloaded(call(&full.gateway, "late").await);
    full.calls[0].abort();
    let accepted = async {
        loop {
            match call(&full.gateway, "late").await {
                Err(status) => drop(assert_overloaded(Err::<(), _>(status))),
                Ok(_) => break,
            }
            tokio::task::yield_now().await;
        }
    };
    let accepted = timeout(Duration::from_secs(20), accepted).await;
    accepted.expect("a cancelled call should free its permit");
}

#[tokio::test]
async fn a_call_that_is_rejected_unsent_frees_its_permit() {
    let vendor = Vendor::with_response(200, "{}").await;
    let limits = Limits {
        max_in_flight: MAX_IN_FLIGHT,
        ..Limits::default()
    };
    let gateway = Gateway::start_with(&vendor, limits).await;
    for _ in 0..MAX_IN_FLIGHT * 3 {
        let answer = gateway
            .call_with_metadata(RPC, json!({"userId": "u"}), &[])
            .await;
        expect_error(answer, Code::Unauthenticated, "MISSING_TOKEN");
        let answer = gateway.call(RPC, json!({"userId": ""})).await;
        expect_error(answer, Code::InvalidArgument, "INVALID_REQUEST");
        let unknown = gateway
            .call_raw("/no.such.Service/Rpc", Request::new(Vec::new()))
            .await;
        expect_error(unknown, Code::Unimplemented, "UNKNOWN_METHOD");
    }
    gateway.call(RPC, json!({"userId": "u"})).await.unwrap();
}

/// Makes a call and returns its response unread.
async fn unread_response(gateway: &Gateway, caller: usize) -> Streaming<Vec<u8>> {
    use presence_gateway::cli::call::codec::Raw;
    let mut client =
        tonic::client::Grpc::new(gateway.channel.clone()).max_decoding_message_size(usize::MAX);
    client.ready().await.unwrap();
    let mut request = Request::new(futures_util::stream::iter([Vec::new()]));
    let token = format!("Bearer reader{caller}").parse().unwrap();
    request.metadata_mut().insert("authorization", token);
    let path = "/genesys.presence.v1.PresenceService/GetSystempresences";
    let answer = client.streaming(request, path.parse().unwrap(), Raw).await;
    answer.unwrap().into_inner()
}

#[tokio::test]
async fn a_call_holds_its_permit_until_its_response_is_read() {
    let vendor = Vendor::start(async |received: ReceivedRequest| {
        assert_eq!(received.method, Method::GET);
        let list: Vec<_> = (0..2000)
            .map(|n| json!({"name": "x".repeat(2000), "id": n.to_string()}))
            .collect();
        match received.path() {
            "/api/v2/systempresences" => reply(200, json!(list).to_string()),
            _ => reply(200, "{}"),
        }
    })
    .await;
    let limits = Limits {
        max_in_flight: MAX_IN_FLIGHT,
        ..Limits::default()
    };
    let gateway = Gateway::start_with(&vendor, limits).await;
    // Each caller has a connection with a window far smaller than the response.
    let mut readers = Vec::new();
    for caller in 0..MAX_IN_FLIGHT {
        let endpoint = format!("http://{}", gateway.address);
        let endpoint = tonic::transport::Endpoint::from_shared(endpoint).unwrap();
        let endpoint = endpoint
            .initial_stream_window_size(65_535)
            .initial_connection_window_size(65_535);
        let channel = endpoint.connect().await.unwrap();
        let reader = Gateway {
            address: gateway.address,
            channel,
        };
        let answer = unread_response(&reader, caller).await;
        readers.push((reader, answer));
    }
    assert_overloaded(call(&gateway, "late").await);

    let read = readers.into_iter().map(|(reader, mut answer)| async move {
        let message = answer.message().await.unwrap().unwrap();
        assert!(message.len() > 4_000_000, "{}", message.len());
        assert!(answer.message().await.unwrap().is_none());
        drop(reader);
    });
    join_all(read).await;
    call(&gateway, "late").await.unwrap();
}
