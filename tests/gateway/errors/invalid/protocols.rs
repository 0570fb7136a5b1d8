//! Clients of other protocols: each gets a response of its protocol or a closed
//! connection, and calls of other clients continue.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::vendor;
use crate::support::raw_http::{frame, head, send};
use crate::support::{Gateway, encode, method, minimal_request, path};

const RPC: &str = "GetUserPresencesPurecloud";

fn valid_body() -> Vec<u8> {
    frame(&encode(&method(RPC), minimal_request(&method(RPC))))
}

#[tokio::test]
async fn a_content_type_other_than_grpc_is_rejected() {
    let vendor = vendor().await;
    let gateway = Gateway::start(&vendor).await;
    for content_type in [
        None,
        Some(""),
        Some("application/json"),
        Some("application/grpc-web"),
        Some("application/grpc-web+proto"),
        Some("application/grpc-web-text"),
        Some("application/grpcx"),
        Some("text/html"),
        Some("application/connect+proto"),
    ] {
        for path in [
            path(&method(RPC)),
            "/no.Service/Rpc".to_owned(),
            "/".to_owned(),
        ] {
            let mut call = head(&path).body(valid_body().into()).unwrap();
            call.headers_mut().remove("content-type");
            if let Some(content_type) = content_type {
                call.headers_mut()
                    .insert("content-type", content_type.parse().unwrap());
            }
            let answer = send(&gateway, call).await;
            assert_eq!(
                answer.http,
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "{content_type:?} to {path}"
            );
            let message = String::from_utf8_lossy(&answer.body).into_owned();
            assert!(message.contains("application/grpc"), "{message}");
        }
    }
    assert!(vendor.received().is_empty());
}

#[tokio::test]
async fn the_subtypes_of_grpc_are_accepted() {
    let vendor = vendor().await;
    let gateway = Gateway::start(&vendor).await;
    for content_type in [
        "application/grpc",
        "application/grpc+proto",
        "application/grpc;x=y",
    ] {
        let mut call = head(&path(&method(RPC))).body(valid_body().into()).unwrap();
        call.headers_mut()
            .insert("content-type", content_type.parse().unwrap());
        send(&gateway, call).await.result().unwrap();
    }
    assert_eq!(vendor.received().len(), 3);
}

#[tokio::test]
async fn an_http_method_other_than_post_is_rejected() {
    let vendor = vendor().await;
    let gateway = Gateway::start(&vendor).await;
    for http_method in [Method::GET, Method::PUT, Method::DELETE, Method::OPTIONS] {
        for path in [path(&method(RPC)), "/".to_owned()] {
            let call = http::Request::builder()
                .method(http_method.clone())
                .uri(format!("http://gateway{path}"))
                .body(axum::body::Body::empty())
                .unwrap();
            let answer = send(&gateway, call).await;
            assert!(
                answer.http.is_client_error(),
                "{http_method} {path}: {answer:?}"
            );
        }
    }
    assert!(vendor.received().is_empty());
}

#[tokio::test]
async fn a_request_in_http_1_is_answered_with_what_the_port_is() {
    let vendor = vendor().await;
    let gateway = Gateway::start(&vendor).await;
    let call = "POST /genesys.presence.v1.PresenceService/GetPresenceSettings HTTP/1.1\r\n\
                host: x\r\ncontent-type: application/grpc\r\nauthorization: Bearer token\r\n\
                content-length: 5\r\n\r\n\0\0\0\0\0";
    // Libraries report plain text as "no TLS", and a closed connection as a broken one.
    let tls = "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3} a TLS ClientHello, more or less";
    let large = format!("GET / HTTP/1.1\r\ncookie: {}\r\n\r\n", "x".repeat(8000));
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(30_000));
    for (request, pieces) in [
        (
            "GET / HTTP/1.1\r\nhost: gateway\r\nuser-agent: browser\r\n\r\n",
            1,
        ),
        ("PUT / HTTP/1.0\r\n\r\n", 1),
        (tls, 1),
        (call, 1),
        (call, call.len()),
        (&large, 2),
        (&long, 1),
        (&long, 20),
        ("get / http/1.1\r\nhost: gateway\r\n\r\n", 1),
        ("\r\n\r\nGET / HTTP/1.1\r\n\r\n", 1),
    ] {
        let mut stream = TcpStream::connect(gateway.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        for piece in request.as_bytes().chunks(request.len() / pieces) {
            stream.write_all(piece).await.unwrap();
        }
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").expect(&answer);
        assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{head}");
        let length = format!("content-length: {}\r\n", body.len());
        assert!(head.contains(&length), "{head}");
        for text in [
            "needs HTTP/2",
            "presence-gateway call --list",
            "--address HOST:PORT",
            "grpcurl -plaintext HOST:PORT list",
        ] {
            assert!(body.contains(text), "{body}");
        }
    }
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    let head = b"HEAD / HTTP/1.1\r\nhost: gateway\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "a body: {answer}");
    assert!(vendor.received().is_empty());
}

#[tokio::test]
async fn a_connection_that_is_not_http_2_is_closed() {
    let vendor = vendor().await;
    let gateway = Gateway::start(&vendor).await;
    for bytes in [
        "GET /\r\n",
        "EHLO gateway\r\n",
        "PRI * HTTP/2.1\r\n\r\nSM\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nand no frames, but some text that is none",
        "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    ] {
        let mut stream = TcpStream::connect(gateway.address).await.unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let ended = timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
        // A reset counts as closed.
        assert!(ended.is_ok(), "the connection stays open after {bytes:?}");
        assert!(!answer.starts_with(b"HTTP"), "{bytes:?} is answered");
    }
    assert!(vendor.received().is_empty());
    gateway
        .call("GetPresenceSettings", json!({}))
        .await
        .expect("calls of other clients should continue");
}
