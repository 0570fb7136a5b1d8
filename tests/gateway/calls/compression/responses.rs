//! Responses are compressed only for callers that compress their requests.

use std::io::Read;

use flate2::read::GzDecoder;
use presence_gateway::proto::v1::GetUsersPresencesPurecloudBulkResponse;
use prost::Message;
use tonic::Code;

use super::{RPC, call, gzip, gzip_frame, request_with_ids, vendor};
use crate::support::raw_http::{RawResponse, frame, head, send};
use crate::support::{Gateway, encode, expect_error, method, path};

/// The encodings that some core clients accept in every call.
const CLIENT_DEFAULT: &str = "identity,deflate,gzip";

fn count_presences(message: &[u8]) -> usize {
    let answer = GetUsersPresencesPurecloudBulkResponse::decode(message).unwrap();
    answer.presences.len()
}

/// Decompresses the message of a response, which must be compressed.
#[track_caller]
fn decompressed_message(answer: &RawResponse) -> Vec<u8> {
    assert_eq!(answer.headers["grpc-encoding"], "gzip");
    assert_eq!(answer.body[0], 1, "the response is not compressed");
    let mut message = Vec::new();
    GzDecoder::new(&answer.body[5..])
        .read_to_end(&mut message)
        .unwrap();
    message
}

/// Returns the message of a response, which must not be compressed.
#[track_caller]
fn plain_message(answer: &RawResponse) -> &[u8] {
    let encoding = answer.headers.get("grpc-encoding");
    assert!(
        encoding.is_none(),
        "the caller did not ask for {encoding:?}"
    );
    assert_eq!(answer.body[0], 0, "the response is compressed");
    &answer.body[5..]
}

/// Splits the response of a stream into messages, each with its compression flag.
fn messages(answer: &RawResponse) -> Vec<(bool, Vec<u8>)> {
    let mut rest = &answer.body[..];
    let mut messages = Vec::new();
    while let Some((prefix, tail)) = rest.split_first_chunk::<5>() {
        let length = u32::from_be_bytes(prefix[1..].try_into().unwrap());
        let (message, tail) = tail.split_at(length as usize);
        messages.push((prefix[0] == 1, message.to_vec()));
        rest = tail;
    }
    messages
}

#[tokio::test]
async fn a_compressed_call_gets_a_compressed_response() {
    let vendor = vendor().await;
    let gateway = Gateway::start(&vendor).await;
    let headers = [
        ("grpc-encoding", "gzip"),
        ("grpc-accept-encoding", CLIENT_DEFAULT),
    ];
    let answer = call(&gateway, gzip_frame(&gzip(&request_with_ids(50))), &headers).await;
    let message = decompressed_message(&answer);
    assert_eq!(count_presences(&message), 50);
    assert!(
        answer.body.len() < message.len() / 4,
        "compressed to {} of {} bytes",
        answer.body.len(),
        message.len()
    );
    assert_eq!(vendor.single_request().ids().len(), 50);
}

/// Some clients send small messages uncompressed and still want compressed responses.
#[tokio::test]
async fn an_uncompressed_message_with_grpc_encoding_gets_a_compressed_response() {
    let vendor = vendor().await;
    let gateway = Gateway::start(&vendor).await;
    let headers = [("grpc-encoding", "gzip"), ("grpc-accept-encoding", "gzip")];
    let answer = call(&gateway, frame(&request_with_ids(1)), &headers).await;
    assert_eq!(count_presences(&decompressed_message(&answer)), 1);
}

#[tokio::test]
async fn only_a_compressed_stream_gets_compressed_responses() {
    let vendor = vendor().await;
    let gateway = Gateway::start(&vendor).await;
    let path = path(&method("StreamUsersPresencesPurecloudBulk"));
    let accepts = |path: &str| head(path).header("grpc-accept-encoding", CLIENT_DEFAULT);
    // Field 1 holds the ids, as in a bulk read.
    let compressed = [
        gzip_frame(&gzip(&request_with_ids(50))),
        frame(&request_with_ids(1)),
    ]
    .concat();
    let call = accepts(&path).header("grpc-encoding", "gzip");
    let answer = send(&gateway, call.body(compressed.into()).unwrap()).await;
    let answers = messages(&answer);
    answer.result().unwrap();
    assert!(answers.iter().all(|(is_compressed, _)| *is_compressed));
    let read = answers.iter().map(|(_, message)| {
        let mut plain = Vec::new();
        GzDecoder::new(&message[..])
            .read_to_end(&mut plain)
            .unwrap();
        count_presences(&plain)
    });
    assert!(read.sum::<usize>() >= 50);

    let plain = frame(&request_with_ids(50));
    let answer = send(&gateway, accepts(&path).body(plain.into()).unwrap()).await;
    let answers = messages(&answer);
    answer.result().unwrap();
    assert!(!answers.is_empty());
    assert!(answers.iter().all(|(is_compressed, _)| !is_compressed));
}

#[tokio::test]
async fn grpc_accept_encoding_alone_gets_an_uncompressed_response() {
    let vendor = vendor().await;
    let gateway = Gateway::start(&vendor).await;
    for headers in [
        &[("grpc-accept-encoding", CLIENT_DEFAULT)][..],
        &[("grpc-accept-encoding", "gzip")],
        &[
            ("grpc-encoding", "identity"),
            ("grpc-accept-encoding", "gzip"),
        ],
    ] {
        let answer = call(&gateway, frame(&request_with_ids(50)), headers).await;
        assert_eq!(count_presences(plain_message(&answer)), 50);
    }
}

#[tokio::test]
async fn a_caller_that_does_not_accept_gzip_gets_an_uncompressed_response() {
    let vendor = vendor().await;
    let gateway = Gateway::start(&vendor).await;
    for accepted in [None, Some("identity"), Some("deflate,identity")] {
        let mut headers = vec![("grpc-encoding", "gzip")];
        headers.extend(accepted.map(|accepted| ("grpc-accept-encoding", accepted)));
        let answer = call(&gateway, gzip_frame(&gzip(&request_with_ids(2))), &headers).await;
        assert_eq!(count_presences(plain_message(&answer)), 2);
    }
}

#[tokio::test]
async fn a_compressed_call_gets_the_usual_error() {
    let vendor = vendor().await;
    let gateway = Gateway::start(&vendor).await;
    let headers = [("grpc-encoding", "gzip"), ("grpc-accept-encoding", "gzip")];
    let request = encode(&method(RPC), serde_json::json!({"id": ["a,b"]}));
    let answer = call(&gateway, gzip_frame(&gzip(&request)), &headers).await;
    expect_error(answer.result(), Code::InvalidArgument, "INVALID_REQUEST");
}
