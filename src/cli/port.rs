//! Binds the ports of the servers.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

use super::exit::StartupError;

/// How many connections may wait to be accepted, if the system allows that
/// many. The standard library's 128 overflow when a proxy that opens a
/// connection for each call, as nginx does, has a burst of calls: some of them
/// then wait for a second, and some are reset.
const BACKLOG: u32 = 4096;

/// Binds the port that the flag `flag` names.
pub(super) fn bind(flag: &str, address: SocketAddr) -> Result<TcpListener, StartupError> {
    listen(address).map_err(|error| {
        let remedy = match error.kind() {
            io::ErrorKind::AddrInUse => "; stop the process that uses it, or give another port",
            io::ErrorKind::AddrNotAvailable => "; give an address of this machine, or 0.0.0.0",
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
    // On other systems the option lets two processes share a port.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
