//! The body of a response: bounded while it comes, and inflated if it is
//! compressed although the request did not accept that.

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

/// How many bytes are allocated for a body before it is there: the size of 100
/// presences.
const PREALLOCATION: usize = 64 * 1024;

/// Why a body was not read to its end.
pub(super) enum Unread {
    TooLarge,
    NoMemory,
    /// It is compressed by something else than gzip.
    Encoded,
    /// It claims to be gzip, and is not.
    Garbled,
    Lost(reqwest::Error),
}

/// Reads a body of up to `max` bytes, both as they come and inflated, within
/// the memory limit.
pub(super) async fn read_body(
    response: &mut Response,
    max: usize,
    held: &MemoryLease,
) -> Result<Bytes, Unread> {
    let declared = response.content_length().unwrap_or_default();
    if declared > max as u64 {
        return Err(Unread::TooLarge);
    }
    let bounded = Bounded {
        bytes: BytesMut::new(),
        // Less than all of a large one, which may never come.
        ahead: usize::try_from(declared)
            .map_or(PREALLOCATION, |declared| declared.min(PREALLOCATION)),
        max,
        held,
        refused: None,
    };
    match Encoding::of(response.headers()) {
        Encoding::Identity => {
            let mut bounded = bounded;
            while let Some(chunk) = response.chunk().await.map_err(Unread::Lost)? {
                bounded.take(&chunk)?;
            }
            Ok(bounded.bytes.freeze())
        }
        Encoding::Gzip => inflate(response, bounded).await,
        Encoding::Other => Err(Unread::Encoded),
    }
}

async fn inflate(response: &mut Response, bounded: Bounded<'_>) -> Result<Bytes, Unread> {
    let max = bounded.max;
    let mut read = 0;
    let mut decoder = MultiGzDecoder::new(bounded);
    while let Some(chunk) = response.chunk().await.map_err(Unread::Lost)? {
        read += chunk.len();
        // Compressed bytes that inflate to nothing count as well.
        if read > max {
            return Err(Unread::TooLarge);
        }
        let inflated = decoder.write_all(&chunk);
        inflated.map_err(|_| refusal(decoder.get_mut()))?;
    }
    if read == 0 {
        return Ok(Bytes::new());
    }
    let ended = decoder.try_finish();
    let bounded = decoder.get_mut();
    ended.map_err(|_| refusal(bounded))?;
    Ok(std::mem::take(&mut bounded.bytes).freeze())
}

/// Why a decoder failed: its output was rejected, or its input is malformed.
fn refusal(bounded: &mut Bounded<'_>) -> Unread {
    bounded.refused.take().unwrap_or(Unread::Garbled)
}

/// A buffer with a limit, whose bytes are charged to the memory limit.
struct Bounded<'a> {
    bytes: BytesMut,
    /// How many bytes are expected.
    ahead: usize,
    max: usize,
    held: &'a MemoryLease,
    /// Why it rejected the last bytes.
    refused: Option<Unread>,
}

impl Bounded<'_> {
    fn take(&mut self, chunk: &[u8]) -> Result<(), Unread> {
        if self.bytes.len() + chunk.len() > self.max {
            return Err(Unread::TooLarge);
        }
        self.held
            .reserve(chunk.len())
            .map_err(|_| Unread::NoMemory)?;
        if self.bytes.is_empty() {
            self.bytes.reserve(self.ahead.max(chunk.len()));
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }
}

impl Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.take(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(unread) => {
                self.refused = Some(unread);
                Err(io::Error::other("rejected"))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How a body is compressed.
#[derive(Debug, PartialEq)]
enum Encoding {
    Identity,
    Gzip,
    /// Otherwise, or twice.
    Other,
}

impl Encoding {
    fn of(headers: &HeaderMap) -> Self {
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
    fn gzip_once_is_read_and_nothing_else() {
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
            assert_eq!(Encoding::of(&map), encoding, "{headers:?}");
        }
    }
}
