//! How many calls are in flight at once: more are refused, none waits.

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

/// How many calls the gateways of these tests take.
const PLACES: usize = 4;

const RPC: &str = "GetUserPresencesPurecloud";

/// A gateway all of whose places are taken, by calls of different callers,
/// until the vendor is let answer them.
struct Full {
    gateway: Gateway,
    vendor: Vendor,
    calls: Vec<JoinHandle<Result<JsonResponse, Status>>>,
    answers: Arc<Semaphore>,
}

async fn full(status: u16) -> Full {
    let (arrive, mut arrived) = mpsc::unbounded_channel();
    let answers = Arc::new(Semaphore::new(0));
    let permits = Arc::clone(&answers);
    let vendor = Vendor::start(move |received: ReceivedRequest| {
        let (arrive, permits) = (arrive.clone(), Arc::clone(&permits));
        async move {
            if received.token().contains("holder") {
                let _ = arrive.send(());
                permits.acquire().await.unwrap().forget();
            }
            reply(status, "{}")
        }
    })
    .await;
    let limits = Limits {
        max_in_flight: PLACES,
        ..Limits::default()
    };
    let gateway = Gateway::start_with(&vendor, limits).await;
    let mut calls = Vec::new();
    for caller in 0..PLACES {
        let gateway = gateway.clone();
        calls.push(tokio::spawn(async move {
            call(&gateway, &format!("holder{caller}")).await
        }));
        arrived.recv().await.unwrap();
    }
    Full {
        gateway,
        vendor,
        calls,
        answers,
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

#[track_caller]
fn overloaded<T: std::fmt::Debug>(answer: Result<T, Status>) -> Status {
    expect_error(answer, Code::Unavailable, "OVERLOADED")
}

#[tokio::test]
async fn a_call_beyond_the_limit_is_refused_at_once_and_costs_the_vendor_nothing() {
    let full = full(200).await;
    // Of one connection or another, the limit is the process's.
    let other = Gateway::connect(full.gateway.address).await;
    for gateway in [&full.gateway, &other] {
        let status = overloaded(call(gateway, "late").await);
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
    assert_eq!(full.vendor.received().len(), PLACES);
    // Those that have their place are not disturbed.
    full.answers.add_permits(PLACES);
    for held in full.calls {
        held.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn health_and_reflection_answer_while_it_is_full() {
    let full = full(200).await;
    overloaded(call(&full.gateway, "late").await);
    for name in NAMES {
        let status = check(&full.gateway.channel, name).await;
        assert_eq!(status.unwrap(), ServingStatus::Serving, "{name}");
    }
    assert!(!v1::services(&full.gateway).await.is_empty());
    assert!(!v1alpha::services(&full.gateway).await.is_empty());
    // They have not made room either.
    overloaded(call(&full.gateway, "late").await);
}

#[tokio::test]
async fn a_caller_with_too_little_time_to_come_back_is_told_not_to() {
    let full = full(200).await;
    let metadata_ = [("authorization", "Bearer late"), ("grpc-timeout", "100m")];
    let answer = full
        .gateway
        .call_with_metadata(RPC, json!({"userId": "u"}), &metadata_)
        .await;
    let status = overloaded(answer);
    assert_eq!(metadata(&status, "grpc-retry-pushback-ms"), Some("-1"));
    assert!(status.get_details_retry_info().is_some());
}

#[tokio::test]
async fn a_place_comes_back_after_every_end_of_a_call() {
    for status in [200, 404, 500] {
        let full = full(status).await;
        overloaded(call(&full.gateway, "late").await);
        full.answers.add_permits(PLACES);
        for held in full.calls {
            assert_eq!(held.await.unwrap().is_ok(), status == 200);
        }
        // As many as before, at once.
        let callers = (0..PLACES).map(|caller| format!("next{caller}"));
        let calls = callers.map(|caller| {
            let gateway = full.gateway.clone();
            async move { call(&gateway, &caller).await }
        });
        for answer in join_all(calls).await {
            let refused = answer.err().map(|status| status.code());
            assert_ne!(refused, Some(Code::Unavailable), "after {status}");
        }
    }
}

#[tokio::test]
async fn a_place_comes_back_from_a_caller_that_goes_away() {
    let full = full(200).await;
    overloaded(call(&full.gateway, "late").await);
    full.calls[0].abort();
    let answered = async {
        loop {
            match call(&full.gateway, "late").await {
                Err(status) => drop(overloaded(Err::<(), _>(status))),
                Ok(_) => break,
            }
            tokio::task::yield_now().await;
        }
    };
    let answered = timeout(Duration::from_secs(20), answered).await;
    answered.expect("the place of a call that was given up should come back");
}

#[tokio::test]
async fn a_call_that_is_refused_before_it_is_sent_gives_its_place_back() {
    let vendor = Vendor::with_response(200, "{}").await;
    let limits = Limits {
        max_in_flight: PLACES,
        ..Limits::default()
    };
    let gateway = Gateway::start_with(&vendor, limits).await;
    for _ in 0..PLACES * 3 {
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

/// Makes a call whose answer is left unread.
async fn unread(gateway: &Gateway, caller: usize) -> Streaming<Vec<u8>> {
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
async fn a_place_is_held_until_the_answer_was_read() {
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
        max_in_flight: PLACES,
        ..Limits::default()
    };
    let gateway = Gateway::start_with(&vendor, limits).await;
    // A connection each, whose window is far smaller than the answer.
    let mut readers = Vec::new();
    for caller in 0..PLACES {
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
        let answer = unread(&reader, caller).await;
        readers.push((reader, answer));
    }
    overloaded(call(&gateway, "late").await);

    let read = readers.into_iter().map(|(reader, mut answer)| async move {
        let message = answer.message().await.unwrap().unwrap();
        assert!(message.len() > 4_000_000, "{}", message.len());
        assert!(answer.message().await.unwrap().is_none());
        drop(reader);
    });
    join_all(read).await;
    call(&gateway, "late").await.unwrap();
}
