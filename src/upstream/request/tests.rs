use tokio::net::TcpSocket;
use tokio::time::Instant;

use super::*;
use crate::deadline::DeadlinePolicy;
use crate::upstream::Upstream;
use crate::upstream::client::{ClientOptions, RotatingClient};
use crate::upstream::endpoint::Endpoint;
use crate::upstream::proxy::Proxy;
use crate::upstream::rate_limit::RateLimiter;

/// Sends a request that gets no connection. Returns the error's text, and the
/// seconds that it took.
async fn failure(url: &str, proxy: Option<&str>) -> (String, u64) {
    let options = ClientOptions {
        authorities: Some(rustls::RootCertStore::empty()),
        proxy: proxy.map(|url| Proxy::parse(url).unwrap()),
        ..ClientOptions::default()
    };
    let endpoint = Endpoint::from_url(url, false).unwrap();
    let clients = RotatingClient::new(&endpoint, options).unwrap();
    let sender = Upstream::new(endpoint, clients, RateLimiter::new(0)).sender;
    let (start, lease) = (Instant::now(), sender.clients.lease());
    let error = lease.client().get(url).send().await.unwrap_err();
    let deadline = DeadlinePolicy::default().for_call(&HeaderMap::new());
    match sender.unreached(error, None, &deadline).await {
        Error::Unreachable(why) => (why, start.elapsed().as_secs()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
#[cfg(target_os = "linux")]
async fn a_connect_timeout_names_the_address_and_the_limit() {
    let listen = || {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        // A backlog of 0 has room for one connection.
        let listener = socket.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    };
    let (_full, full) = listen();
    let _queued = std::net::TcpStream::connect(full).unwrap();
    let (_silent, silent) = listen();
    let (_proxy, proxy) = listen();
    for (url, proxy, expected) in [
        (
            format!("http://{full}"),
            None,
            format!("{full}: no connection within 10s"),
        ),
        (
            format!("https://{silent}"),
            None,
            format!("{silent}: no connection within 10s"),
        ),
        (
            "https://upstream.example".to_owned(),
            Some(format!("http://user:secret@{proxy}")),
            format!("upstream.example:443: no connection through the proxy {proxy} within 10s"),
        ),
    ] {
        let failure = failure(&url, proxy.as_deref()).await;
        assert_eq!(failure, (expected, 10), "{url}");
    }
}

#[tokio::test]
async fn a_failed_connection_names_its_cause() {
    // Bound, so that no test in parallel gets the port.
    let bound = TcpSocket::new_v4().unwrap();
    bound.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let closed = format!("http://{}", bound.local_addr().unwrap());
    let through = format!(
        "the proxy {} opened no tunnel: ",
        &closed["http://".len()..]
    );
    for (url, proxy, causes) in [
        (
            &closed[..],
            None,
            ["tcp connect error", "Connection refused"],
        ),
        (
            "https://presence.invalid",
            None,
            ["dns error", "the name lookup of `presence.invalid` failed"],
        ),
        (
            "https://upstream.example",
            Some(&closed[..]),
            [&through, "Connection refused"],
        ),
    ] {
        let (why, _) = failure(url, proxy).await;
        assert!(causes.iter().all(|cause| why.contains(cause)), "{why}");
    }
}
