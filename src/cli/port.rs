//! Binds the ports of the servers.

use std::io;
use std::net::SocketAddr;

use rustix::io::Errno;
use rustix::net::sockopt::set_ipv6_v6only;
use tokio::net::{TcpListener, TcpSocket};

use super::exit::StartupError;
use crate::config::ListenAddress;

/// How many connections may wait to be accepted, if the system allows that
/// many. The standard library's 128 overflow when a proxy that opens a
/// connection for each call, as nginx does, has a burst of calls: some of them
/// then wait for a second, and some are reset.
const BACKLOG: u32 = 4096;

/// Binds the port that the flag `flag` names.
pub(super) fn bind(
    flag: &str,
    address: impl Into<ListenAddress>,
) -> Result<TcpListener, StartupError> {
    let ListenAddress { address, fallback } = address.into();
    let bound = listen(address).or_else(|error| match fallback {
        Some(fallback) if is_unavailable(&error) => listen(fallback),
        _ => Err(error),
    });
    bound.map_err(|error| {
        let remedy = match error.kind() {
            io::ErrorKind::AddrInUse => "; stop the process that uses it, or give another port",
            io::ErrorKind::AddrNotAvailable => {
                "; give an address of this machine, or only `:` and the port"
            }
            io::ErrorKind::PermissionDenied => "; give a port from 1024 on",
            _ => "",
        };
        StartupError::Misconfigured(format!(
            "{flag}: cannot listen on {address}: {error}{remedy}"
        ))
    })
}

/// The address of a port that is bound.
pub(super) fn address(listener: &TcpListener) -> Result<SocketAddr, String> {
    listener
        .local_addr()
        .map_err(|error| format!("a port has no address: {error}"))
}

/// Does what `TcpListener::bind` does, with [`BACKLOG`].
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    if address.is_ipv6() && address.ip().is_unspecified() {
        // All addresses, also where the system's default is IPv6 alone.
        set_ipv6_v6only(&socket, false)?;
    }
    // On other systems the option lets two processes share a port.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Whether the system has no such address because it lacks its protocol: IPv6 is off in
/// the kernel, or on the interface.
fn is_unavailable(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::AFNOSUPPORT.raw_os_error())
        || error.kind() == io::ErrorKind::AddrNotAvailable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_fallback_is_bound_where_the_address_is_unavailable() {
        // An address for documentation (RFC 5737), which no machine has.
        let address = ListenAddress {
            address: ([192, 0, 2, 1], 0).into(),
            fallback: Some(([127, 0, 0, 1], 0).into()),
        };
        let bound = bind("--listen", address).unwrap();
        assert!(bound.local_addr().unwrap().ip().is_loopback());
        let StartupError::Misconfigured(error) = bind("--listen", address.address).unwrap_err()
        else {
            panic!("no error of the settings");
        };
        assert!(
            error.contains("--listen: cannot listen on 192.0.2.1:0"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_port_in_use_is_an_error_and_no_reason_for_the_fallback() {
        let taken = bind("--listen", SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = ListenAddress {
            address: taken.local_addr().unwrap(),
            fallback: Some(([127, 0, 0, 1], 0).into()),
        };
        bind("--listen", address).unwrap_err();
    }

    #[tokio::test]
    async fn all_addresses_are_those_of_both_protocols() {
        let address: ListenAddress = ":0".parse().unwrap();
        let bound = bind("--listen", address).unwrap();
        let port = bound.local_addr().unwrap().port();
        std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    }
}
