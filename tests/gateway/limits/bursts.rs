//! Bursts of connections.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::process::ServerProcess;

/// The concurrent calls of an nginx, which opens a connection for each.
const BURST: usize = 600;

#[tokio::test]
async fn a_burst_of_connections_waits_in_the_listen_backlog() {
    let gateway = ServerProcess::start(&["serve", "--sandbox"], &[]);
    // The stopped process accepts nothing, like one that gets no processor time.
    gateway.signal("STOP");

    let connections = (0..BURST).map(|_| {
        timeout(
            Duration::from_secs(5),
            TcpStream::connect(gateway.address.as_str()),
        )
    });
    let connected = join_all(connections).await;

    gateway.signal("CONT");
    let connected = connected
        .iter()
        .filter(|result| matches!(result, Ok(Ok(_))));
    assert_eq!(connected.count(), BURST, "all connections should succeed");
}
