//! Calls without a valid message of their RPC, or without a gRPC frame.

use axum::body::{Body, Bytes};
use futures_util::stream;
use tonic::{Code, Request};
use tonic_types::StatusExt;

use super::vendor;
use crate::support::raw_http::{RawResponse, frame, head, send};
use crate::support::{Gateway, encode, expect_error, method, minimal_request, path};

const RPC: &str = "GetUserPresencesPurecloud";

async fn call(gateway: &Gateway, body: impl Into<Body>) -> RawResponse {
    let call = head(&path(&method(RPC))).body(body.into()).unwrap();
    send(gateway, call).await
}

fn valid_body() -> Vec<u8> {
    frame(&encode(&method(RPC), minimal_request(&method(RPC))))
}

#[tokio::test]
async fn the_error_of_an_unknown_rpc_names_the_services_and_reflection() {
    let vendor = vendor().await;
    let gateway = Gateway::start(&vendor).await;
    for path in [
        "/genesys.presence.v1.PresenceService/GetUserPresences",
        "/genesys.presence.v1.PresenceService/getUserPresence",
        "/genesys.presence.v1.PresenceService/GetUserPresence/",
        "/genesys.presence.v1.PresenceService/",
        "/genesys.presence.v1.PresenceService",
        "/genesys.presence.v1.LegacyPresenceService/GetUserPresence",
        "/genesys.presence.v2.PresenceService/GetUserPresence",
        "/PresenceService/GetUserPresence",
        "/",
        "/api/v2/presence/settings",
        "/a/b/c/d",
    ] {
        let mut request = Request::new(Vec::new());
        request
            .metadata_mut()
            .insert("authorization", "Bearer token".parse().unwrap());
        let answer = gateway.call_raw(path, request).await;
        let status = expect_error(answer, Code::Unimplemented, "UNKNOWN_METHOD");
        assert_eq!(
            status.get_details_error_info().unwrap().domain,
            "presence-gateway"
        );
        assert!(
            status
                .message()
                .contains("genesys.presence.v1.PresenceService"),
            "{path}"
        );
        assert!(status.message().contains("reflection"), "{path}");
    }
    assert!(vendor.received().is_empty());
}

#[tokio::test]
async fn an_invalid_message_is_malformed() {
    let vendor = vendor().await;
    let gateway = Gateway::start(&vendor).await;
    let message = encode(&method(RPC), minimal_request(&method(RPC)));
    let invalid_text = [0x0a, 0x02, 0xff, 0xfe];
    let bodies: Vec<(&str, Vec<u8>)> = vec![
        ("garbage", frame(b"\xff\xff\xff\xff\xff")),
        ("text", frame(b"{\"userId\": \"u\"}")),
        ("a truncated message", frame(&message[..message.len() - 1])),
        ("a field of another type", frame(&[0x08, 0x05])),
        ("text that is not Unicode", frame(&invalid_text)),
        (
            "an unknown compression flag",
            [&[7][..], &valid_body()[1..]].concat(),
        ),
        (
            "a compressed frame",
            [&[1][..], &valid_body()[1..]].concat(),
        ),
        ("a truncated frame head", valid_body()[..3].to_vec()),
        (
            "a truncated frame",
            valid_body()[..valid_body().len() - 1].to_vec(),
        ),
        ("a frame head without a message", valid_body()[..5].to_vec()),
        ("no message", Vec::new()),
    ];
    for (case, body) in bodies {
        let answer = call(&gateway, body).await.result();
        let status = expect_error(answer, Code::Internal, "MALFORMED_REQUEST");
        assert_eq!(
            status.get_details_error_info().unwrap().domain,
            "presence-gateway"
        );
        let message = "the request is not a message of this RPC";
        assert!(
            status.message().contains(message),
            "{case}: {}",
            status.message()
        );
    }
    let sent = vendor.received();
    assert!(sent.is_empty(), "{sent:#?}");
}

#[tokio::test]
async fn the_error_of_an_unsupported_compression_lists_the_supported_ones() {
    let vendor = vendor().await;
    let gateway = Gateway::start(&vendor).await;
    for encoding in ["zstd", "deflate", "x", "gzip,identity", ""] {
        let body = [&[1][..], &valid_body()[1..]].concat();
        let call = head(&path(&method(RPC))).header("grpc-encoding", encoding);
        let answer = send(&gateway, call.body(body.into()).unwrap()).await;
        let accepted = answer.headers.get("grpc-accept-encoding").cloned();
        let status = expect_error(answer.result(), Code::Unimplemented, "MALFORMED_REQUEST");
        assert!(
            status.message().contains("uncompressed"),
            "{}",
            status.message()
        );
        assert_eq!(
            accepted.expect("the error should list the accepted encodings"),
            "gzip,identity"
        );
    }
    assert!(vendor.received().is_empty());
}

#[tokio::test]
async fn a_message_may_arrive_in_pieces() {
    let vendor = vendor().await;
    let gateway = Gateway::start(&vendor).await;
    let bytes = valid_body()
        .into_iter()
        .map(|byte| Ok::<_, std::io::Error>(Bytes::from(vec![byte])));
    let pieces: Vec<_> = bytes.collect();
    let answer = call(&gateway, Body::from_stream(stream::iter(pieces))).await;
    answer.result().unwrap();
    vendor.single_request();
}

#[tokio::test]
async fn two_messages_in_one_call_are_rejected_unsent() {
    let vendor = vendor().await;
    let gateway = Gateway::start(&vendor).await;
    let second = encode(&method(RPC), serde_json::json!({"userId": "second"}));
    for second in [frame(&second), frame(b"\xff\xff"), vec![0]] {
        let answer = call(&gateway, [valid_body(), second].concat()).await;
        let status = expect_error(answer.result(), Code::Unimplemented, "MALFORMED_REQUEST");
        let message = status.message();
        assert!(message.contains("more than one message"), "{message}");
    }
    assert!(vendor.received().is_empty());
}

#[tokio::test]
async fn unknown_fields_are_ignored() {
    let vendor = vendor().await;
    let gateway = Gateway::start(&vendor).await;
    let message = encode(&method(RPC), minimal_request(&method(RPC)));
    // Field 1000, as of a newer client.
    let newer = [&message[..], &[0xc2, 0x3e, 0x01, b'x']].concat();
    call(&gateway, frame(&newer)).await.result().unwrap();
    vendor.single_request();
}
