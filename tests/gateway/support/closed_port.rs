//! A port that refuses connections.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

/// A port of the loopback interface that refuses connections. It is bound, so that no
/// test in parallel gets it.
#[derive(Debug)]
pub struct ClosedPort {
    pub address: SocketAddr,
    socket: TcpSocket,
}

impl ClosedPort {
    pub fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = socket.local_addr().unwrap();
        Self { address, socket }
    }

    /// Accepts connections from now on.
    pub fn open(self) -> TcpListener {
        self.socket.listen(128).unwrap()
    }
}
