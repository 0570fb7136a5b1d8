//! Compression, for callers who ask for it by compressing their own message.
//!
//! That a caller could read a compressed answer is no wish for one: core gRPC
//! clients say so in every call. Within a data centre, time on the wire is
//! cheaper than the time that compressing takes.

use std::io::Read;

use bytes::{BufMut, Bytes, BytesMut};
use flate2::bufread::GzDecoder;
use http::HeaderMap;

use crate::error::Error;
use crate::server::request_buffers::PREFIX;

/// How the message of a call is compressed.
const ENCODING: &str = "grpc-encoding";

/// How its answer may be compressed.
const ACCEPT_ENCODING: &str = "grpc-accept-encoding";

/// Lets tonic compress the answer only of a caller who compresses.
pub(in crate::server) fn only_for_who_asks(headers: &mut HeaderMap) {
    if !is_gzip(headers) {
        headers.remove(ACCEPT_ENCODING);
    }
}

fn is_gzip(headers: &HeaderMap) -> bool {
    headers
        .get(ENCODING)
        .is_some_and(|encoding| encoding == "gzip")
}

/// Gives the message of a call as it was before its caller compressed it, and
/// makes the headers say so.
///
/// # Errors
///
/// If the message is more than `largest` bytes, or not what it says it is.
pub(in crate::server) fn undone(
    headers: &mut HeaderMap,
    message: Bytes,
    largest: usize,
) -> Result<Bytes, Error> {
    // Another compression is left as it is: tonic says which it knows. And a
    // caller may leave single messages as they are, such as small ones.
    match message.split_at_checked(PREFIX) {
        Some((&[1, ..], compressed)) if is_gzip(headers) => {
            headers.remove(ENCODING);
            inflated(compressed, largest)
        }
        _ => Ok(message),
    }
}

/// Inflates a message, never to more than a byte above `largest`: what is small
/// on the wire may be without end.
fn inflated(compressed: &[u8], largest: usize) -> Result<Bytes, Error> {
    let mut decoder = GzDecoder::new(compressed);
    let mut plain = Vec::new();
    let bound = u64::try_from(largest).unwrap_or(u64::MAX).saturating_add(1);
    let read = decoder.by_ref().take(bound).read_to_end(&mut plain);
    if plain.len() > largest {
        return Err(Error::MessageTooLarge(largest));
    }
    let length = u32::try_from(plain.len());
    let (Ok(_), Ok(length), []) = (read, length, decoder.into_inner()) else {
        return Err(malformed());
    };
    let mut message = BytesMut::with_capacity(PREFIX + plain.len());
    message.put_u8(0);
    message.put_u32(length);
    message.extend_from_slice(&plain);
    Ok(message.freeze())
}

fn malformed() -> Error {
    Error::Malformed("it is marked as compressed by gzip but cannot be decompressed".to_owned())
}
