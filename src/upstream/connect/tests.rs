use std::error::Error;

use reqwest::Url;
use tokio::net::TcpSocket;

use super::*;
use crate::upstream::client::{ClientOptions, RotatingClient};
use crate::upstream::endpoint::Endpoint;

/// Sends a request, and returns the last cause of its error, and the time.
async fn failure(url: &str, proxy: Option<&str>) -> (String, Duration) {
    let options = ClientOptions {
        authorities: Some(rustls::RootCertStore::empty()),
        proxy: proxy.map(|url| Url::parse(url).unwrap()),
        ..ClientOptions::default()
    };
    let endpoint = Endpoint::from_url(url, false).unwrap();
    let clients = RotatingClient::new(&endpoint, options).unwrap();
    let begun = Instant::now();
    let request = clients.current().http.get(endpoint.url("/")).send();
    let error = request.await.unwrap_err();
    let mut cause: &dyn Error = &error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    (cause.to_string(), begun.elapsed())
}

#[tokio::test(start_paused = true)]
#[cfg(target_os = "linux")]
async fn a_phase_that_takes_too_long_is_named() {
    let listen = || {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        // Its backlog has room for one connection.
        let listener = socket.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    };
    let (_full, full) = listen();
    let _taken = std::net::TcpStream::connect(full).unwrap();
    let (_silent, silent) = listen();
    let (_proxy, proxy) = listen();
    for (url, proxy, why, seconds) in [
        (
            format!("http://{full}"),
            None,
            format!("TCP connect to {full} took longer than 3s"),
            3,
        ),
        (
            format!("https://{silent}"),
            None,
            format!("the TLS handshake with {silent} took longer than 10s"),
            10,
        ),
        (
            "https://upstream.example".to_owned(),
            Some(format!("http://user:secret@{proxy}")),
            format!("TCP connect to {proxy} and its answer to CONNECT took longer than 13s"),
            13,
        ),
    ] {
        let (cause, time) = failure(&url, proxy.as_deref()).await;
        assert_eq!((cause, time.as_secs()), (why, seconds), "{url}");
    }
}
