//! What a peer speaks, by its first bytes.

use crate::cli::call::json::is_unprintable;
use crate::server::{NEEDS_HTTP2, NEEDS_TLS};

/// Where gateways and their sandbox listen, for a wrong address.
pub(super) const OUR_PORTS: &str = "calls go to the port of `serve --listen` (50051 by default), \
                                    not to those of the sandbox, of --metrics-listen or of \
                                    --health-listen";

/// How much of an unknown protocol is shown, in characters.
const SHOWN: usize = 60;

/// What a peer speaks.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cli::call) enum Spoken {
    /// It has sent nothing.
    Nothing,
    /// HTTP/2.
    Http2,
    /// HTTP/1.1 or older, with its first line.
    Http1(String),
    /// TLS.
    Tls,
    /// Something else, which begins with this.
    Other(String),
}

impl Spoken {
    pub(in crate::cli::call) fn of(first: &[u8]) -> Self {
        match first {
            [] => Self::Nothing,
            // A record of TLS: an alert or a handshake, of version 3.x.
            [21 | 22, 3, ..] => Self::Tls,
            // A frame of HTTP/2 on stream 0: SETTINGS or GOAWAY.
            [_, _, _, 4 | 7, _, 0, 0, 0, 0, ..] => Self::Http2,
            _ if first.starts_with(b"HTTP/") => Self::of_http1(first),
            _ => Self::Other(line(first)),
        }
    }
}

impl Spoken {
    /// Of an answer in HTTP/1. A gateway gives one to whoever does not speak HTTP/2, or
    /// no TLS, and says what it needs.
    fn of_http1(first: &[u8]) -> Self {
        let text = String::from_utf8_lossy(first);
        if text.contains(NEEDS_TLS) {
            Self::Tls
        } else if text.contains(NEEDS_HTTP2) {
            Self::Http2
        } else {
            Self::Http1(line(first))
        }
    }
}

/// The first line, without what would control the terminal.
fn line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().next().unwrap_or_default();
    let shown = line.chars().take(SHOWN);
    shown
        .map(|letter| {
            if is_unprintable(letter) {
                char::REPLACEMENT_CHARACTER
            } else {
                letter
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer of a gateway in HTTP/1.
    fn answer(text: &str) -> String {
        format!("HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n{text}")
    }

    #[test]
    fn a_protocol_is_known_by_its_first_bytes() {
        let http1 = Spoken::Http1("HTTP/1.1 400 Bad Request".to_owned());
        for (bytes, expected) in [
            (&b""[..], Spoken::Nothing),
            (b"\x15\x03\x03\x00\x02\x02\x46", Spoken::Tls),
            (b"\0\0\x12\x04\0\0\0\0\0\0\x03", Spoken::Http2),
            (b"\0\0\x08\x07\0\0\0\0\0", Spoken::Http2),
            (b"HTTP/1.1 400 Bad Request\r\nserver: x\r\n", http1),
            (answer(NEEDS_TLS).as_bytes(), Spoken::Tls),
            (answer(NEEDS_HTTP2).as_bytes(), Spoken::Http2),
            (b"SSH-2.0-x\r\n", Spoken::Other("SSH-2.0-x".to_owned())),
            (b"\x1b[2J", Spoken::Other("\u{fffd}[2J".to_owned())),
        ] {
            assert_eq!(Spoken::of(bytes), expected);
        }
    }
}
