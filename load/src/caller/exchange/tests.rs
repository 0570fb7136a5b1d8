use std::pin::pin;

use h2::server::{self, SendResponse};
use http::{HeaderMap, Response};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use presence_gateway::proto::v1::UserPresence;
use tokio::io::duplex;

use super::super::query::{Queries, encode_frame};
use super::*;

/// Sends a call to a peer that responds by `answer` and closes the connection.
async fn asked(answer: impl FnOnce(&mut SendResponse<Bytes>)) -> Attempt {
    let (client, server) = duplex(1 << 16);
    let serve = async {
        let mut connection = server::handshake(server).await.unwrap();
        let (_request, mut respond) = connection.accept().await.unwrap().unwrap();
        answer(&mut respond);
        drop(respond);
        connection.graceful_shutdown();
        // Drives the connection until its frames are sent.
        while connection.accept().await.is_some() {}
    };
    let ask = async {
        let io = TokioIo::new(client);
        let shaken = http2::handshake(TokioExecutor::new(), io).await;
        let (mut sender, connection) = shaken.unwrap();
        tokio::spawn(async { drop(connection.await) });
        let queries = Queries::new(0.0);
        let token = HeaderValue::from_static("Bearer token");
        let time = Duration::from_secs(9);
        exchange(&mut sender, queries.first(), &token, time).await
    };
    // The end of the connection after the response does not matter.
    let mut ask = pin!(ask);
    tokio::select! {
        asked = &mut ask => asked,
        () = serve => ask.await,
    }
}

async fn outcome(answer: impl FnOnce(&mut SendResponse<Bytes>)) -> Outcome {
    match asked(answer).await {
        Attempt::Exit(outcome) => outcome,
        Attempt::Unsent => panic!("it had arrived"),
    }
}

fn head(status: &[(&'static str, &'static str)]) -> Response<()> {
    let mut head = Response::new(());
    *head.headers_mut() = headers(status);
    head
}

fn headers(of: &[(&'static str, &'static str)]) -> HeaderMap {
    let header = |&(name, value): &(&'static str, &'static str)| {
        (name.parse().unwrap(), HeaderValue::from_static(value))
    };
    of.iter().map(header).collect()
}

/// An OK response with the presence of this user.
fn about(user: usize) -> impl FnOnce(&mut SendResponse<Bytes>) {
    let answer = UserPresence {
        self_uri: Some(format!("/api/v2/users/{}/presences", Queries::user(user))),
        ..Default::default()
    };
    move |respond| {
        let mut stream = respond.send_response(head(&[]), false).unwrap();
        stream.send_data(encode_frame(&answer), false).unwrap();
        stream
            .send_trailers(headers(&[("grpc-status", "0")]))
            .unwrap();
    }
}

#[tokio::test]
async fn success_counts_where_its_message_answers_the_question() {
    assert_eq!(outcome(about(0)).await, Outcome::Answered);
    assert_eq!(outcome(about(1)).await, Outcome::WrongAnswer);
    let nothing = |respond: &mut SendResponse<Bytes>| {
        let head = head(&[("grpc-status", "0")]);
        respond.send_response(head, true).unwrap();
    };
    assert_eq!(outcome(nothing).await, Outcome::WrongAnswer);
}

#[tokio::test]
async fn a_refusal_is_told_with_its_reason() {
    let refused = |respond: &mut SendResponse<Bytes>| {
        let head = head(&[("grpc-status", "14")]);
        respond.send_response(head, true).unwrap();
    };
    let told = Outcome::Status("UNAVAILABLE", "no reason".to_owned());
    assert_eq!(outcome(refused).await, told);
}

#[tokio::test]
async fn an_answer_of_http_alone_is_no_status() {
    let without = |respond: &mut SendResponse<Bytes>| {
        let mut stream = respond.send_response(head(&[]), false).unwrap();
        stream.send_data(Bytes::new(), true).unwrap();
    };
    let outcome = outcome(without).await;
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
    assert!(matches!(asked(refused).await, Attempt::Unsent));
}
