//! Many connections that come at the same moment.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::process::ServerProcess;

/// As many calls at once as go through an nginx, which opens a connection for each.
const BURST: usize = 600;

#[tokio::test]
async fn connections_that_come_at_once_wait_for_the_gateway_to_accept_them() {
    let gateway = ServerProcess::start(&["serve", "--sandbox"], &[]);
    // It accepts nothing meanwhile, as where it has no processor for a moment.
    gateway.signal("STOP");

    let connections = (0..BURST).map(|_| {
        timeout(
            Duration::from_secs(5),
            TcpStream::connect(gateway.address.as_str()),
        )
    });
    let connected = join_all(connections).await;

    gateway.signal("CONT");
    let connected = connected.iter().filter(|one| matches!(one, Ok(Ok(_))));
    assert_eq!(connected.count(), BURST, "the others were turned away");
}
