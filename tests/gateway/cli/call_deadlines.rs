//! `presence-gateway call` in front of a gateway that says nothing.

use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::support::process::{ProcessOutput, ServerProcess, run};

/// Where in a call the gateway falls silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Silent {
    /// As soon as it is connected to.
    AtOnce,
    /// When it has heard of the call.
    BeforeItsAnswer,
    /// When the answer has begun.
    InItsAnswer,
}

/// A gateway that falls silent, and keeps its connections open.
async fn silent(when: Silent) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serving = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                if when == Silent::AtOnce {
                    while stream.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {}
                    return;
                }
                let mut connection = h2::server::handshake(stream).await.unwrap();
                let mut held = Vec::<h2::SendStream<Bytes>>::new();
                let mut calls = Vec::new();
                while let Some(Ok((call, mut answer))) = connection.accept().await {
                    if when == Silent::InItsAnswer {
                        let head = http::Response::builder()
                            .header("content-type", "application/grpc")
                            .body(())
                            .unwrap();
                        held.push(answer.send_response(head, false).unwrap());
                    }
                    calls.push((call, answer));
                }
            });
        }
    });
    (address, serving)
}

async fn call(arguments: &[&str], address: String) -> ProcessOutput {
    let mut words: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
    words.extend(["--deadline".to_owned(), "300ms".to_owned()]);
    words.extend(["--address".to_owned(), address]);
    let called = spawn_blocking(move || {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        run(&[&["call"], words.as_slice()].concat(), &[])
    });
    // Far longer than the deadline: a call that does not end is a failure.
    let called = tokio::time::timeout(Duration::from_secs(60), called).await;
    called
        .expect("the call went on after its deadline")
        .unwrap()
}

#[track_caller]
fn ran_out_of_time(called: &ProcessOutput) {
    assert_eq!(called.code, Some(1), "{called:#?}");
    assert!(
        called.stderr.starts_with("DEADLINE_EXCEEDED: ") && called.stderr.contains("--deadline"),
        "{called:#?}"
    );
    assert_eq!(called.stdout, "");
}

#[tokio::test]
async fn a_call_without_an_answer_is_deadline_exceeded() {
    for when in [Silent::BeforeItsAnswer, Silent::InItsAnswer] {
        let (address, _serving) = silent(when).await;
        ran_out_of_time(&call(&["GetSystempresences"], address).await);
    }
}

#[tokio::test]
async fn a_connection_that_does_not_come_in_time_is_deadline_exceeded() {
    let (address, _serving) = silent(Silent::AtOnce).await;
    let secure = format!("https://{address}");
    ran_out_of_time(&call(&["GetSystempresences"], secure).await);
}

#[tokio::test]
async fn a_stream_without_an_answer_is_deadline_exceeded() {
    for when in [Silent::BeforeItsAnswer, Silent::InItsAnswer] {
        let (address, _serving) = silent(when).await;
        let request = r#"{"ids": ["a"]}"#;
        let called = call(&["StreamUsersPresencesPurecloudBulk", request], address).await;
        ran_out_of_time(&called);
        assert!(
            called.stderr.ends_with("0 done, 0 missing, 0 failed\n"),
            "{called:#?}"
        );
    }
}

#[test]
fn a_deadline_may_be_longer_than_a_clock_can_tell() {
    let serving = ServerProcess::start(&["serve", "--sandbox"], &[]);
    let stream = r#"{"ids": ["00000000-0000-4000-8000-000000000001"]}"#;
    for (rpc, request) in [
        ("GetSystempresences", "{}"),
        ("StreamUsersPresencesPurecloudBulk", stream),
    ] {
        let words = ["call", rpc, request, "--token", "any", "--address"];
        let deadline = ["--deadline", "18446744073709551615s"];
        let called = run(&[&words[..], &[&serving.address], &deadline].concat(), &[]);
        assert_eq!(called.code, Some(0), "{called:#?}");
    }
}
