//! `call` with a gateway that stops answering.

use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::support::process::{ProcessOutput, ServerProcess, run};

/// The point of a call at which the gateway stops answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SilentFrom {
    /// After it has accepted the connection.
    Connection,
    /// After it has received the call.
    Call,
    /// After it has sent the head of the response.
    ResponseHead,
}

/// Starts a gateway that stops answering, and keeps its connections open.
async fn silent_gateway(from: SilentFrom) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serving = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                if from == SilentFrom::Connection {
                    while stream.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {}
                    return;
                }
                let mut connection = h2::server::handshake(stream).await.unwrap();
                let mut streams = Vec::<h2::SendStream<Bytes>>::new();
                let mut calls = Vec::new();
                while let Some(Ok((call, mut response))) = connection.accept().await {
                    if from == SilentFrom::ResponseHead {
                        let head = http::Response::builder()
                            .header("content-type", "application/grpc")
                            .body(())
                            .unwrap();
                        streams.push(response.send_response(head, false).unwrap());
                    }
                    calls.push((call, response));
                }
            });
        }
    });
    (address, serving)
}

async fn call(arguments: &[&str], address: String) -> ProcessOutput {
    let mut words: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
    words.extend(["--deadline", "300ms", "--token", "any"].map(str::to_owned));
    words.extend(["--address".to_owned(), address]);
    let output = spawn_blocking(move || {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        run(&[&["call"], words.as_slice()].concat(), &[])
    });
    // Much longer than the deadline, so that an endless call fails the test.
    let output = tokio::time::timeout(Duration::from_secs(60), output).await;
    output
        .expect("the call went on after its deadline")
        .unwrap()
}

#[track_caller]
fn assert_deadline_exceeded(output: &ProcessOutput) {
    assert_eq!(output.code, Some(1), "{output:#?}");
    assert!(
        output.stderr.starts_with("DEADLINE_EXCEEDED: ") && output.stderr.contains("--deadline"),
        "{output:#?}"
    );
    assert_eq!(output.stdout, "");
}

#[tokio::test]
async fn a_call_without_a_response_is_deadline_exceeded() {
    for from in [SilentFrom::Call, SilentFrom::ResponseHead] {
        let (address, _serving) = silent_gateway(from).await;
        assert_deadline_exceeded(&call(&["GetSystempresences"], address).await);
    }
}

#[tokio::test]
async fn an_unfinished_tls_handshake_is_deadline_exceeded() {
    let (address, _serving) = silent_gateway(SilentFrom::Connection).await;
    let secure = format!("https://{address}");
    assert_deadline_exceeded(&call(&["GetSystempresences"], secure).await);
}

#[tokio::test]
async fn a_stream_without_a_response_is_deadline_exceeded() {
    for from in [SilentFrom::Call, SilentFrom::ResponseHead] {
        let (address, _serving) = silent_gateway(from).await;
        let request = r#"{"ids": ["a"]}"#;
        let output = call(&["StreamUsersPresencesPurecloudBulk", request], address).await;
        assert_deadline_exceeded(&output);
        assert!(
            output.stderr.ends_with("0 done, 0 missing, 0 failed\n"),
            "{output:#?}"
        );
    }
}

#[test]
fn a_deadline_can_exceed_the_range_of_the_clock() {
    let serving = ServerProcess::start(&["serve", "--sandbox"], &[]);
    let stream = r#"{"ids": ["00000000-0000-4000-8000-000000000001"]}"#;
    for (rpc, request) in [
        ("GetSystempresences", "{}"),
        ("StreamUsersPresencesPurecloudBulk", stream),
    ] {
        let words = ["call", rpc, request, "--token", "any", "--address"];
        let deadline = ["--deadline", "18446744073709551615s"];
        let output = run(&[&words[..], &[&serving.address], &deadline].concat(), &[]);
        assert_eq!(output.code, Some(0), "{output:#?}");
    }
}
