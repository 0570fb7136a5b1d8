//! The connections that the simulated vendor accepted, by protocol.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// What a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    /// HTTP/1.1 without TLS.
    Plain,
    /// HTTP/1.1 over TLS.
    Http1,
    /// HTTP/2 over TLS.
    Http2,
}

/// A protocol that is offered by ALPN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Alpn {
    /// HTTP/2
    #[value(name = "h2")]
    Http2,
    /// HTTP/1.1
    #[value(name = "http/1.1")]
    Http1,
}

/// The counts of connections while they come and go.
#[derive(Debug, Default)]
pub(super) struct Connections([Count; Protocol::ALL.len()]);

#[derive(Debug, Default)]
struct Count {
    accepted: AtomicUsize,
    open: AtomicUsize,
    peak: AtomicUsize,
}

/// The connections of one protocol, as they are reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The protocol.
    pub protocol: Protocol,
    /// How many there were.
    pub accepted: usize,
    /// The peak of open ones.
    pub peak: usize,
}

/// Guard of an open connection.
pub(super) struct Open<'a>(&'a AtomicUsize);

impl Protocol {
    const ALL: [Self; 3] = [Self::Plain, Self::Http1, Self::Http2];

    /// The protocol of a TLS connection with this one negotiated.
    pub(super) fn negotiated(alpn: Option<&[u8]>) -> Self {
        match alpn {
            Some(alpn) if alpn == Alpn::Http2.id() => Self::Http2,
            _ => Self::Http1,
        }
    }
}

impl Alpn {
    /// Its registered id.
    pub(super) fn id(self) -> &'static [u8] {
        match self {
            Self::Http2 => b"h2",
            Self::Http1 => b"http/1.1",
        }
    }
}

impl Connections {
    /// Counts a connection, which is open until the guard is dropped.
    pub(super) fn open(&self, protocol: Protocol) -> Open<'_> {
        let count = &self.0[protocol as usize];
        count.accepted.fetch_add(1, Relaxed);
        let open = count.open.fetch_add(1, Relaxed) + 1;
        count.peak.fetch_max(open, Relaxed);
        Open(&count.open)
    }

    /// Those of each protocol that had any.
    pub(super) fn report(&self) -> Vec<Accepted> {
        let all = Protocol::ALL.map(|protocol| {
            let count = &self.0[protocol as usize];
            Accepted {
                protocol,
                accepted: count.accepted.load(Relaxed),
                peak: count.peak.load(Relaxed),
            }
        });
        all.into_iter().filter(|all| all.accepted > 0).collect()
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain HTTP/1.1",
            Self::Http1 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        })
    }
}

impl fmt::Display for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (accepted, protocol, peak) = (self.accepted, self.protocol, self.peak);
        write!(f, "{accepted} by {protocol}, at most {peak} at once")
    }
}
