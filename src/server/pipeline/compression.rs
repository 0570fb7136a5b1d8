//! Compresses responses only for callers that compress their requests.
//!
//! `grpc-accept-encoding` alone is not a request for compression: core gRPC
//! clients send it in every call. Within a data centre, time on the wire costs
//! less than the time to compress.

use std::io::Read;

use bytes::Bytes;
use flate2::bufread::GzDecoder;
use http::HeaderMap;

use crate::error::Error;
use crate::rpc::MAX_REQUEST;
use crate::server::request_bodies::PREFIX_LEN;

/// The header that names the compression of the request.
const ENCODING: &str = "grpc-encoding";

/// The header that lists the compressions that the response may have.
pub(super) const ACCEPT_ENCODING: &str = "grpc-accept-encoding";

/// Keeps tonic from compressing the response to a caller that does not compress.
pub(super) fn negotiate(headers: &mut HeaderMap) {
    if !is_gzip(headers) {
        headers.remove(ACCEPT_ENCODING);
    }
}

fn is_gzip(headers: &HeaderMap) -> bool {
    let encoding = headers.get(ENCODING);
    encoding.is_some_and(|encoding| encoding == "gzip")
}

/// Decompresses the message of a call, and corrects the headers.
///
/// # Errors
///
/// If the message has more than [`MAX_REQUEST`] bytes, or is not the gzip that its
/// headers say.
pub(super) fn decompress(headers: &mut HeaderMap, message: Bytes) -> Result<Bytes, Error> {
    // tonic rejects other compressions, with the list of those it accepts. A
    // caller may leave a single message uncompressed, as a small one.
    match message.split_at_checked(PREFIX_LEN) {
        Some((&[1, ..], compressed)) if is_gzip(headers) => {
            headers.remove(ENCODING);
            inflate(compressed)
        }
        _ => Ok(message),
    }
}

/// Inflates a message to at most one byte more than [`MAX_REQUEST`]: a small one
/// may inflate to any size.
fn inflate(compressed: &[u8]) -> Result<Bytes, Error> {
    let mut decoder = GzDecoder::new(compressed);
    let mut plain = Vec::new();
    let read = decoder
        .by_ref()
        .take(MAX_REQUEST as u64 + 1)
        .read_to_end(&mut plain);
    if plain.len() > MAX_REQUEST {
        return Err(Error::MessageTooLarge(MAX_REQUEST));
    }
    let length = u32::try_from(plain.len());
    let (Ok(_), Ok(length), []) = (read, length, decoder.into_inner()) else {
        let text = "it is marked as compressed by gzip but cannot be decompressed";
        return Err(Error::Malformed(text.to_owned()));
    };
    Ok([&[0][..], &length.to_be_bytes(), &plain].concat().into())
}
