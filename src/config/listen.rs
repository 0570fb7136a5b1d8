//! Addresses to listen on.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// An address to listen on: that of an interface, of this machine alone
/// (`localhost:50051`), or of all interfaces (`:50051`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenAddress {
    /// The address to bind.
    pub address: SocketAddr,
    /// The address to bind where the system lacks the protocol of the first one.
    pub fallback: Option<SocketAddr>,
}

impl ListenAddress {
    /// Whether both cannot be bound at once.
    pub(super) fn overlaps(self, other: Self) -> bool {
        let (this, other) = (self.address, other.address);
        // Port 0 is another free port each time.
        this.port() == other.port()
            && this.port() != 0
            && (this.ip() == other.ip() || covers(this, other) || covers(other, this))
    }
}

/// Whether an address is that of all interfaces, the other's included.
fn covers(all: SocketAddr, other: SocketAddr) -> bool {
    // `[::]` takes connections over IPv4, too.
    all.ip().is_unspecified() && (all.is_ipv6() || other.is_ipv4())
}

impl From<SocketAddr> for ListenAddress {
    fn from(address: SocketAddr) -> Self {
        Self {
            address,
            fallback: None,
        }
    }
}

impl FromStr for ListenAddress {
    type Err = String;

    /// Parses an address; the error completes a sentence about the text.
    fn from_str(raw: &str) -> Result<Self, String> {
        let either = |first: IpAddr, second: IpAddr, port: u16| Self {
            address: (first, port).into(),
            fallback: Some((second, port).into()),
        };
        if let Ok(address) = raw.parse::<SocketAddr>() {
            return Ok(address.into());
        }
        match raw
            .rsplit_once(':')
            .map(|(host, port)| (host, port.parse()))
        {
            Some(("", Ok(port))) => Ok(either(
                Ipv6Addr::UNSPECIFIED.into(),
                Ipv4Addr::UNSPECIFIED.into(),
                port,
            )),
            Some(("localhost", Ok(port))) => Ok(either(
                Ipv4Addr::LOCALHOST.into(),
                Ipv6Addr::LOCALHOST.into(),
                port,
            )),
            _ => Err(wrong(raw)),
        }
    }
}

/// What is wrong with a text that is no address, and what would be right.
fn wrong(raw: &str) -> String {
    let ip = raw.trim_start_matches('[').trim_end_matches(']').parse();
    match ip {
        _ if raw.parse::<u16>().is_ok() => {
            format!(
                "is a port alone: write `127.0.0.1:{raw}` for this machine alone, or `:{raw}` for \
                 all addresses"
            )
        }
        Ok(IpAddr::V6(ip)) => format!("has no port: write `[{ip}]:PORT`"),
        Ok(IpAddr::V4(ip)) => format!("has no port: write `{ip}:PORT`"),
        Err(_) if raw == "localhost" => "has no port: write `localhost:PORT`".to_owned(),
        Err(_) => "is not an IP address with a port, for example `127.0.0.1:50051`; \
                   `localhost:50051` and, for all addresses, `:50051` will do too"
            .to_owned(),
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(raw: &str) -> ListenAddress {
        raw.parse().unwrap()
    }

    #[test]
    fn addresses_overlap_that_cannot_be_bound_at_once() {
        for (one, other, overlap) in [
            ("127.0.0.1:1", "127.0.0.1:1", true),
            ("127.0.0.1:1", "localhost:1", true),
            ("127.0.0.1:1", "127.0.0.1:2", false),
            ("127.0.0.1:1", "127.0.0.2:1", false),
            ("0.0.0.0:1", "127.0.0.1:1", true),
            ("[::1]:1", ":1", true),
            ("127.0.0.1:1", "[::]:1", true),
            ("0.0.0.0:1", "[::1]:1", false),
            ("0.0.0.0:0", "0.0.0.0:0", false),
        ] {
            for (one, other) in [(one, other), (other, one)] {
                let overlaps = address(one).overlaps(address(other));
                assert_eq!(overlaps, overlap, "{one} {other}");
            }
        }
    }
}
