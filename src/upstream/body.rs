//! Reads the body of a response, within a size limit and the memory limit.
//! Inflates gzip, although the request accepts no encoding: some proxies
//! compress anyway.

#![expect(
    clippy::disallowed_types,
    reason = "a part of the one module that calls the upstream"
)]

use std::io::{self, Write};

use bytes::{Bytes, BytesMut};
use flate2::write::MultiGzDecoder;
use http::{HeaderMap, header};
use reqwest::Response;

use crate::memory::MemoryLease;

/// The most bytes that are allocated for a body before it arrives: the size of
/// 100 presences.
const PREALLOCATION: usize = 64 * 1024;

/// Why a body was not read to its end.
pub(super) enum BodyError {
    TooLarge,
    MemoryExhausted,
    /// It is compressed in another way than by gzip.
    UnsupportedEncoding,
    /// Its header says gzip, and it cannot be inflated.
    CorruptGzip,
    ConnectionLost(reqwest::Error),
    /// It ended before its declared length: hyper takes a stream of HTTP/2 that the peer
    /// resets with `NO_ERROR` for complete (1.12, `Incoming::poll_frame`).
    CutOff,
}

/// Reads a body of at most `max` bytes, as received and inflated, and charges
/// it to `lease`.
pub(super) async fn read_body(
    response: &mut Response,
    max: usize,
    lease: &MemoryLease,
) -> Result<Bytes, BodyError> {
    let declared = response.content_length().unwrap_or_default();
    if declared > max as u64 {
        return Err(BodyError::TooLarge);
    }
    let mut buffer = BoundedBuffer {
        bytes: BytesMut::new(),
        // A peer may declare a large body and never send it.
        initial_capacity: usize::try_from(declared)
            .map_or(PREALLOCATION, |declared| declared.min(PREALLOCATION)),
        max,
        lease,
        charged: 0,
        error: None,
    };
    match Encoding::from_headers(response.headers()) {
        Encoding::Identity => {
            while let Some(chunk) = response.chunk().await.map_err(BodyError::ConnectionLost)? {
                buffer.push(&chunk)?;
            }
            if (buffer.bytes.len() as u64) < declared {
                return Err(BodyError::CutOff);
            }
            Ok(buffer.take())
        }
        // A stream of gzip ends with its own length.
        Encoding::Gzip => inflate(response, buffer).await,
        Encoding::Other => Err(BodyError::UnsupportedEncoding),
    }
}

async fn inflate(response: &mut Response, buffer: BoundedBuffer<'_>) -> Result<Bytes, BodyError> {
    let max = buffer.max;
    let mut read = 0;
    let mut decoder = MultiGzDecoder::new(buffer);
    while let Some(chunk) = response.chunk().await.map_err(BodyError::ConnectionLost)? {
        read += chunk.len();
        // Compressed bytes that inflate to nothing count as well.
        if read > max {
            return Err(BodyError::TooLarge);
        }
        let inflated = decoder.write_all(&chunk);
        inflated.map_err(|_| decoder_error(decoder.get_mut()))?;
    }
    if read == 0 {
        return Ok(Bytes::new());
    }
    let finished = decoder.try_finish();
    let buffer = decoder.get_mut();
    finished.map_err(|_| decoder_error(buffer))?;
    Ok(buffer.take())
}

/// Why a decoder failed: the buffer rejected its output, or its input is
/// malformed.
fn decoder_error(buffer: &mut BoundedBuffer<'_>) -> BodyError {
    buffer.error.take().unwrap_or(BodyError::CorruptGzip)
}

/// A buffer with a size limit, which charges its bytes to a memory lease.
struct BoundedBuffer<'a> {
    bytes: BytesMut,
    /// How many bytes to allocate with the first chunk.
    initial_capacity: usize,
    max: usize,
    lease: &'a MemoryLease,
    /// The bytes that are charged to the lease.
    charged: usize,
    /// Why it rejected the last chunk.
    error: Option<BodyError>,
}

impl Drop for BoundedBuffer<'_> {
    /// Releases the memory of a body that is not read to its end: the other batches of
    /// the call may need it.
    fn drop(&mut self) {
        self.lease.release(self.charged);
    }
}

impl BoundedBuffer<'_> {
    /// The whole body, which stays charged.
    fn take(&mut self) -> Bytes {
        self.charged = 0;
        std::mem::take(&mut self.bytes).freeze()
    }

    fn push(&mut self, chunk: &[u8]) -> Result<(), BodyError> {
        if self.bytes.len() + chunk.len() > self.max {
            return Err(BodyError::TooLarge);
        }
        self.lease
            .reserve(chunk.len())
            .map_err(|_| BodyError::MemoryExhausted)?;
        self.charged += chunk.len();
        if self.bytes.is_empty() {
            self.bytes.reserve(self.initial_capacity.max(chunk.len()));
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }
}

impl Write for BoundedBuffer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.push(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(error) => {
                self.error = Some(error);
                Err(io::Error::other("rejected"))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The encoding of a body.
#[derive(Debug, PartialEq)]
enum Encoding {
    Identity,
    Gzip,
    /// By another encoding, or by gzip twice.
    Other,
}

impl Encoding {
    fn from_headers(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(header::CONTENT_ENCODING).iter();
        let names = lines.flat_map(|line| line.as_bytes().split(|&byte| byte == b','));
        let names = names.map(<[u8]>::trim_ascii);
        let mut names =
            names.filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case(b"identity"));
        match (names.next(), names.next()) {
            (None, _) => Self::Identity,
            (Some(name), None)
                if name.eq_ignore_ascii_case(b"gzip") || name.eq_ignore_ascii_case(b"x-gzip") =>
            {
                Self::Gzip
            }
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_a_single_gzip_encoding_is_accepted() {
        for (lines, encoding) in [
            (&[][..], Encoding::Identity),
            (&[""], Encoding::Identity),
            (&["Identity"], Encoding::Identity),
            (&["gzip"], Encoding::Gzip),
            (&["X-GZip"], Encoding::Gzip),
            (&["identity, gzip ,"], Encoding::Gzip),
            (&["identity", "gzip"], Encoding::Gzip),
            (&["gzip, gzip"], Encoding::Other),
            (&["gzip", "gzip"], Encoding::Other),
            (&["br"], Encoding::Other),
            (&["x, gzip"], Encoding::Other),
            (&["deflate"], Encoding::Other),
        ] {
            let lines = lines.iter().map(|line| {
                let value = HeaderValue::from_static(line);
                (header::CONTENT_ENCODING, value)
            });
            let headers = lines.collect::<Vec<_>>();
            let mut map = HeaderMap::new();
            for (name, value) in &headers {
                map.append(name, value.clone());
            }
            assert_eq!(Encoding::from_headers(&map), encoding, "{headers:?}");
        }
    }
}
