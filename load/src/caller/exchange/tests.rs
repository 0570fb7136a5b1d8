use std::pin::pin;

use h2::server::{self, SendResponse};
use http::{HeaderMap, Response};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use presence_gateway::proto::v1::UserPresence;
use tokio::io::duplex;

use super::super::query::{Queries, encode_frame};
use super::*;

/// Sends a call to a stub server that runs `respond` and closes the connection.
async fn attempt(respond: impl FnOnce(&mut SendResponse<Bytes>)) -> Attempt {
    let (client, server) = duplex(1 << 16);
    let serve = async {
        let mut connection = server::handshake(server).await.unwrap();
        let (_request, mut response) = connection.accept().await.unwrap().unwrap();
        respond(&mut response);
        drop(response);
        connection.graceful_shutdown();
        // Drives the connection until its frames are sent.
        while connection.accept().await.is_some() {}
    };
    let call = async {
        let io = TokioIo::new(client);
        let handshake = http2::handshake(TokioExecutor::new(), io).await;
        let (mut sender, connection) = handshake.unwrap();
        tokio::spawn(async { drop(connection.await) });
        let queries = Queries::new(0.0);
        let token = HeaderValue::from_static("Bearer token");
        let timeout = Duration::from_secs(9);
        exchange(&mut sender, queries.first(), &token, timeout).await
    };
    // The connection may end before or after the call.
    let mut call = pin!(call);
    tokio::select! {
        attempt = &mut call => attempt,
        () = serve => call.await,
    }
}

/// The outcome of a call to a stub server that runs `respond`.
async fn outcome(respond: impl FnOnce(&mut SendResponse<Bytes>)) -> Outcome {
    match attempt(respond).await {
        Attempt::Exit(outcome) => outcome,
        Attempt::Unsent => panic!("the call was not sent"),
    }
}

fn head(status: &[(&'static str, &'static str)]) -> Response<()> {
    let mut head = Response::new(());
    *head.headers_mut() = headers(status);
    head
}

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let header = |&(name, value): &(&'static str, &'static str)| {
        (name.parse().unwrap(), HeaderValue::from_static(value))
    };
    pairs.iter().map(header).collect()
}

/// Responds OK with the presence of this user.
fn presence_of(user: usize) -> impl FnOnce(&mut SendResponse<Bytes>) {
    let presence = UserPresence {
        self_uri: Some(format!("/api/v2/users/{}/presences", Queries::user(user))),
        ..Default::default()
    };
    move |respond| {
        let mut stream = respond.send_response(head(&[]), false).unwrap();
        stream.send_data(encode_frame(&presence), false).unwrap();
        stream
            .send_trailers(headers(&[("grpc-status", "0")]))
            .unwrap();
    }
}

#[tokio::test]
async fn an_ok_counts_only_with_the_requested_presence() {
    assert_eq!(outcome(presence_of(0)).await, Outcome::Answered);
    assert_eq!(outcome(presence_of(1)).await, Outcome::WrongAnswer);
    let no_message = |respond: &mut SendResponse<Bytes>| {
        let head = head(&[("grpc-status", "0")]);
        respond.send_response(head, true).unwrap();
    };
    assert_eq!(outcome(no_message).await, Outcome::WrongAnswer);
}

#[tokio::test]
async fn an_error_status_is_recorded_with_its_reason() {
    let unavailable = |respond: &mut SendResponse<Bytes>| {
        let head = head(&[("grpc-status", "14")]);
        respond.send_response(head, true).unwrap();
    };
    let expected = Outcome::Status("UNAVAILABLE", "no reason".to_owned());
    assert_eq!(outcome(unavailable).await, expected);
}

#[tokio::test]
async fn a_response_without_grpc_trailers_is_no_status() {
    let http_only = |respond: &mut SendResponse<Bytes>| {
        let mut stream = respond.send_response(head(&[]), false).unwrap();
        stream.send_data(Bytes::new(), true).unwrap();
    };
    let outcome = outcome(http_only).await;
    assert_eq!(outcome, Outcome::NoStatus("an answer without a status"));
}

#[tokio::test]
async fn a_reset_is_no_status_and_a_refused_stream_may_be_sent_again() {
    let reset = |respond: &mut SendResponse<Bytes>| respond.send_reset(Reason::CANCEL);
    assert_eq!(
        outcome(reset).await,
        Outcome::NoStatus("the stream was reset")
    );
    let refused = |respond: &mut SendResponse<Bytes>| respond.send_reset(Reason::REFUSED_STREAM);
    assert!(matches!(attempt(refused).await, Attempt::Unsent));
}
