//! Compressed requests: the limits apply after decompression.

use tonic::Code;

use super::{RPC, call, gzip, gzip_frame, request_with_ids, vendor};
use crate::support::raw_http::{head, send};
use crate::support::{Gateway, Limits, encode, expect_error, method, minimal_request, path};

const MIB: usize = 1024 * 1024;

#[tokio::test]
async fn a_stream_message_that_inflates_beyond_the_limit_is_too_large() {
    let vendor = vendor().await;
    let gateway = Gateway::start(&vendor).await;
    let path = path(&method("StreamUsersPresencesPurecloudBulk"));
    let bomb = gzip_frame(&gzip(&vec![0; 20 * MIB]));
    assert!(bomb.len() < 256 * 1024);
    let call = head(&path).header("grpc-encoding", "gzip");
    let answer = send(&gateway, call.body(bomb.into()).unwrap()).await;
    let status = tonic::Status::from_header_map(&answer.headers).unwrap();
    expect_error::<()>(Err(status), Code::ResourceExhausted, "MESSAGE_TOO_LARGE");
    assert!(vendor.received().is_empty());
}

#[tokio::test]
async fn a_message_that_inflates_beyond_the_limit_is_too_large() {
    let vendor = vendor().await;
    let gateway = Gateway::start(&vendor).await;
    // An unknown field of zeros pads the message: to the limit, to one byte more,
    // and to a decompression bomb.
    let padded = |length: usize| {
        let mut message = request_with_ids(1);
        let field = length - message.len() - 6;
        message.extend([0xc2, 0x3e]);
        prost::encoding::encode_varint(field as u64, &mut message);
        message.resize(message.len() + field, 0);
        assert_eq!(message.len(), length);
        message
    };
    let headers = [("grpc-encoding", "gzip")];
    let largest = gzip_frame(&gzip(&padded(4 * MIB)));
    let answer = call(&gateway, largest, &headers).await;
    answer.result().expect("4 MiB are within the limit");
    vendor.clear();
    for length in [4 * MIB + 1, 200 * MIB] {
        let message = gzip_frame(&gzip(&padded(length)));
        assert!(message.len() < 4 * MIB);
        let answer = call(&gateway, message, &headers).await;
        expect_error(
            answer.result(),
            Code::ResourceExhausted,
            "MESSAGE_TOO_LARGE",
        );
    }
    assert!(vendor.received().is_empty());
}

#[tokio::test]
async fn elements_and_memory_are_counted_after_decompression() {
    let vendor = vendor().await;
    let limits = Limits {
        message_memory: 2 * MIB,
        ..Limits::default()
    };
    let gateway = Gateway::start_with(&vendor, limits).await;
    let headers = [("grpc-encoding", "gzip")];

    let too_many = gzip_frame(&gzip(&request_with_ids(5001)));
    let answer = call(&gateway, too_many, &headers).await;
    expect_error(answer.result(), Code::InvalidArgument, "INVALID_REQUEST");

    // The limit counts four bytes for each byte of a message, so 1 MiB exceeds it.
    let mut message = request_with_ids(1);
    message.extend([0xc2, 0x3e]);
    prost::encoding::encode_varint(MIB as u64, &mut message);
    message.resize(message.len() + MIB, 0);
    let answer = call(&gateway, gzip_frame(&gzip(&message)), &headers).await;
    expect_error(answer.result(), Code::Unavailable, "OVERLOADED");
    assert!(vendor.received().is_empty());
}

#[tokio::test]
async fn a_compressed_message_that_is_not_gzip_is_malformed() {
    let vendor = vendor().await;
    let gateway = Gateway::start(&vendor).await;
    let valid = gzip(&encode(&method(RPC), minimal_request(&method(RPC))));
    let mut wrong_checksum = valid.clone();
    let checksum = wrong_checksum.len() - 8;
    wrong_checksum[checksum] ^= 1;
    let messages: [(&str, Vec<u8>); 6] = [
        ("empty", Vec::new()),
        ("uncompressed", request_with_ids(1)),
        ("truncated to half", valid[..valid.len() / 2].to_vec()),
        ("without the last byte", valid[..valid.len() - 1].to_vec()),
        ("wrong checksum", wrong_checksum),
        ("two members", [valid.clone(), valid.clone()].concat()),
    ];
    for (what, message) in messages {
        let answer = call(&gateway, gzip_frame(&message), &[("grpc-encoding", "gzip")]).await;
        let status = expect_error(answer.result(), Code::Internal, "MALFORMED_REQUEST");
        assert!(
            status.message().contains("gzip"),
            "{what}: {}",
            status.message()
        );
    }
    // A compressed message needs `grpc-encoding`.
    let answer = call(&gateway, gzip_frame(&valid), &[]).await;
    expect_error(answer.result(), Code::Internal, "MALFORMED_REQUEST");
    assert!(vendor.received().is_empty());
}
