//! Who compresses is answered alike, and nobody else.

use std::io::{Read, Write};

use axum::body::Body;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use presence_gateway::proto::v1::{
    GetUsersPresencesPurecloudBulkRequest, GetUsersPresencesPurecloudBulkResponse,
};
use prost::Message;
use tonic::Code;

use crate::support::raw_http::{Travelled, frame, head, send};
use crate::support::{Gateway, Limits, Vendor, encoded, method, path, refused, reply, sample};

const RPC: &str = "GetUsersPresencesPurecloudBulk";

/// What some core clients say in every call.
const ANYTHING: &str = "identity,deflate,gzip";

const MIB: usize = 1024 * 1024;

async fn vendor() -> Vendor {
    Vendor::start(|received| async move {
        let presences = received.ids().into_iter();
        let presences: Vec<_> = presences
            .map(|id| serde_json::json!({"userId": id, "message": "m".repeat(100)}))
            .collect();
        reply(200, serde_json::to_vec(&presences).unwrap())
    })
    .await
}

fn zipped(message: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(message).unwrap();
    encoder.finish().unwrap()
}

/// A compressed message in its frame.
fn zipped_frame(compressed: &[u8]) -> Vec<u8> {
    let mut frame = frame(compressed);
    frame[0] = 1;
    frame
}

fn request(count: usize) -> Vec<u8> {
    let ids = (0..count).map(|n| format!("user-{n}")).collect();
    let request = GetUsersPresencesPurecloudBulkRequest {
        ids,
        ..Default::default()
    };
    request.encode_to_vec()
}

async fn call(
    gateway: &Gateway,
    frame: impl Into<Body>,
    headers: &[(&'static str, &str)],
) -> Travelled {
    let call = headers
        .iter()
        .fold(head(&path(&method(RPC))), |call, (name, value)| {
            call.header(*name, *value)
        });
    send(gateway, call.body(frame.into()).unwrap()).await
}

fn presences(message: &[u8]) -> usize {
    let answer = GetUsersPresencesPurecloudBulkResponse::decode(message).unwrap();
    answer.presences.len()
}

/// The message of an answer that must be compressed.
#[track_caller]
fn unzipped(answer: &Travelled) -> Vec<u8> {
    assert_eq!(answer.headers["grpc-encoding"], "gzip");
    assert_eq!(answer.body[0], 1, "the answer is not compressed");
    let mut message = Vec::new();
    GzDecoder::new(&answer.body[5..])
        .read_to_end(&mut message)
        .unwrap();
    message
}

/// The message of an answer that must not be compressed.
#[track_caller]
fn plain(answer: &Travelled) -> &[u8] {
    let encoding = answer.headers.get("grpc-encoding");
    assert!(encoding.is_none(), "nobody asked for {encoding:?}");
    assert_eq!(answer.body[0], 0, "the answer is compressed");
    &answer.body[5..]
}

#[tokio::test]
async fn a_compressed_call_is_answered_compressed() {
    let vendor = vendor().await;
    let gateway = Gateway::before(&vendor).await;
    let headers = [
        ("grpc-encoding", "gzip"),
        ("grpc-accept-encoding", ANYTHING),
    ];
    let answer = call(&gateway, zipped_frame(&zipped(&request(50))), &headers).await;
    let message = unzipped(&answer);
    assert_eq!(presences(&message), 50);
    assert!(
        answer.body.len() < message.len() / 4,
        "{} bytes of {} are left",
        answer.body.len(),
        message.len()
    );
    assert_eq!(vendor.only().ids().len(), 50);
}

/// Some clients leave a small message as it is, and still want theirs so.
#[tokio::test]
async fn a_call_that_says_so_is_answered_compressed_also_where_its_own_message_is_not() {
    let vendor = vendor().await;
    let gateway = Gateway::before(&vendor).await;
    let headers = [("grpc-encoding", "gzip"), ("grpc-accept-encoding", "gzip")];
    let answer = call(&gateway, frame(&request(1)), &headers).await;
    assert_eq!(presences(&unzipped(&answer)), 1);
}

/// The messages of a stream's answer, with whether each is compressed.
fn messages(answer: &Travelled) -> Vec<(bool, Vec<u8>)> {
    let mut rest = &answer.body[..];
    let mut messages = Vec::new();
    while let Some((prefix, behind)) = rest.split_first_chunk::<5>() {
        let length = u32::from_be_bytes(prefix[1..].try_into().unwrap());
        let (message, behind) = behind.split_at(length as usize);
        messages.push((prefix[0] == 1, message.to_vec()));
        rest = behind;
    }
    messages
}

#[tokio::test]
async fn a_stream_that_is_compressed_is_answered_compressed_and_no_other() {
    let vendor = vendor().await;
    let gateway = Gateway::before(&vendor).await;
    let path = path(&method("StreamUsersPresencesPurecloudBulk"));
    let accepts = |path: &str| head(path).header("grpc-accept-encoding", ANYTHING);
    // Field 1 has the ids, as in a bulk read.
    let compressed = [zipped_frame(&zipped(&request(50))), frame(&request(1))].concat();
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
        presences(&plain)
    });
    assert!(read.sum::<usize>() >= 50);

    let plain = frame(&request(50));
    let answer = send(&gateway, accepts(&path).body(plain.into()).unwrap()).await;
    let answers = messages(&answer);
    answer.result().unwrap();
    assert!(!answers.is_empty());
    assert!(answers.iter().all(|(is_compressed, _)| !is_compressed));
}

#[tokio::test]
async fn a_message_of_a_stream_that_inflates_beyond_the_limit_is_too_large() {
    let vendor = vendor().await;
    let gateway = Gateway::before(&vendor).await;
    let path = path(&method("StreamUsersPresencesPurecloudBulk"));
    let bomb = zipped_frame(&zipped(&vec![0; 20 * MIB]));
    assert!(bomb.len() < 256 * 1024);
    let call = head(&path).header("grpc-encoding", "gzip");
    let answer = send(&gateway, call.body(bomb.into()).unwrap()).await;
    let status = tonic::Status::from_header_map(&answer.headers).unwrap();
    refused::<()>(Err(status), Code::ResourceExhausted, "MESSAGE_TOO_LARGE");
    assert!(vendor.received().is_empty());
}

#[tokio::test]
async fn nothing_is_compressed_for_a_caller_who_merely_could_read_it() {
    let vendor = vendor().await;
    let gateway = Gateway::before(&vendor).await;
    for headers in [
        &[("grpc-accept-encoding", ANYTHING)][..],
        &[("grpc-accept-encoding", "gzip")],
        &[
            ("grpc-encoding", "identity"),
            ("grpc-accept-encoding", "gzip"),
        ],
    ] {
        let answer = call(&gateway, frame(&request(50)), headers).await;
        assert_eq!(presences(plain(&answer)), 50);
    }
}

#[tokio::test]
async fn a_caller_who_cannot_read_gzip_gets_none() {
    let vendor = vendor().await;
    let gateway = Gateway::before(&vendor).await;
    for accepted in [None, Some("identity"), Some("deflate,identity")] {
        let mut headers = vec![("grpc-encoding", "gzip")];
        headers.extend(accepted.map(|accepted| ("grpc-accept-encoding", accepted)));
        let answer = call(&gateway, zipped_frame(&zipped(&request(2))), &headers).await;
        assert_eq!(presences(plain(&answer)), 2);
    }
}

#[tokio::test]
async fn an_error_is_the_same_for_a_compressed_call() {
    let vendor = vendor().await;
    let gateway = Gateway::before(&vendor).await;
    let headers = [("grpc-encoding", "gzip"), ("grpc-accept-encoding", "gzip")];
    let request = encoded(&method(RPC), serde_json::json!({"id": ["a,b"]}));
    let answer = call(&gateway, zipped_frame(&zipped(&request)), &headers).await;
    refused(answer.result(), Code::InvalidArgument, "INVALID_REQUEST");
}

#[tokio::test]
async fn what_inflates_beyond_the_limit_is_too_large() {
    let vendor = vendor().await;
    let gateway = Gateway::before(&vendor).await;
    // An unknown field of zeros, up to the limit and a byte beyond; and a bomb.
    let padded = |length: usize| {
        let mut message = request(1);
        let field = length - message.len() - 6;
        message.extend([0xc2, 0x3e]);
        prost::encoding::encode_varint(field as u64, &mut message);
        message.resize(message.len() + field, 0);
        assert_eq!(message.len(), length);
        message
    };
    let headers = [("grpc-encoding", "gzip")];
    let largest = zipped_frame(&zipped(&padded(4 * MIB)));
    let answer = call(&gateway, largest, &headers).await;
    answer.result().expect("4 MiB are not too large");
    vendor.forget();
    for length in [4 * MIB + 1, 200 * MIB] {
        let message = zipped_frame(&zipped(&padded(length)));
        assert!(message.len() < 4 * MIB);
        let answer = call(&gateway, message, &headers).await;
        refused(
            answer.result(),
            Code::ResourceExhausted,
            "MESSAGE_TOO_LARGE",
        );
    }
    assert!(vendor.received().is_empty());
}

#[tokio::test]
async fn what_a_message_holds_is_counted_after_it_is_inflated() {
    let vendor = vendor().await;
    let limits = Limits {
        message_memory: 2 * MIB,
        ..Limits::default()
    };
    let gateway = Gateway::with(&vendor, limits).await;
    let headers = [("grpc-encoding", "gzip")];

    let too_many = zipped_frame(&zipped(&request(5001)));
    let answer = call(&gateway, too_many, &headers).await;
    refused(answer.result(), Code::InvalidArgument, "INVALID_REQUEST");

    // Four bytes are counted for each: a megabyte is more than there is.
    let mut message = request(1);
    message.extend([0xc2, 0x3e]);
    prost::encoding::encode_varint(MIB as u64, &mut message);
    message.resize(message.len() + MIB, 0);
    let answer = call(&gateway, zipped_frame(&zipped(&message)), &headers).await;
    refused(answer.result(), Code::Unavailable, "OVERLOADED");
    assert!(vendor.received().is_empty());
}

#[tokio::test]
async fn what_is_no_gzip_is_malformed() {
    let vendor = vendor().await;
    let gateway = Gateway::before(&vendor).await;
    let good = zipped(&encoded(&method(RPC), sample(&method(RPC))));
    let mut wrong_sum = good.clone();
    let sum = wrong_sum.len() - 8;
    wrong_sum[sum] ^= 1;
    let messages: [(&str, Vec<u8>); 6] = [
        ("nothing", Vec::new()),
        ("no gzip", request(1)),
        ("a half", good[..good.len() / 2].to_vec()),
        ("all but the last byte", good[..good.len() - 1].to_vec()),
        ("a wrong sum", wrong_sum),
        ("two", [good.clone(), good.clone()].concat()),
    ];
    for (what, message) in messages {
        let answer = call(
            &gateway,
            zipped_frame(&message),
            &[("grpc-encoding", "gzip")],
        )
        .await;
        let status = refused(answer.result(), Code::Internal, "MALFORMED_REQUEST");
        assert!(
            status.message().contains("gzip"),
            "{what}: {}",
            status.message()
        );
    }
    // Whoever compresses has to say by what.
    let answer = call(&gateway, zipped_frame(&good), &[]).await;
    refused(answer.result(), Code::Internal, "MALFORMED_REQUEST");
    assert!(vendor.received().is_empty());
}
