//! The HTTP client towards the vendor: how it is made, and made anew.

#![expect(
    clippy::disallowed_types,
    reason = "the client of the one place that calls the vendor"
)]

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use parking_lot::Mutex;
use reqwest::Url;
use rustls::pki_types::CertificateDer;
use tokio::time::Instant;

use super::connector::{Connector, Proxy};
use super::endpoint::Endpoint;
use super::tracked_body::TrackedBody;
use crate::jitter::jittered;
use crate::tls::pem::Identity;
use crate::tls::{self, Trust};

/// How long an unused connection is kept: well under the 60 s after which an
/// AWS load balancer closes it, because a request that meets the close is lost.
pub const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// How many unused connections are kept. After a burst, those beyond are
/// closed at once, and files are free for callers again.
const MAX_IDLE: usize = 256;

/// How long a client is used, on average. The name of the vendor is looked up
/// for new connections alone, and busy ones never end: a vendor that moves to
/// other addresses would keep its old ones busy.
const AGE: Duration = Duration::from_mins(5);

/// What requests say of who sends them.
pub(super) const USER_AGENT: &str = concat!("presence-gateway/", env!("CARGO_PKG_VERSION"));

/// The pooled client. It follows no redirect, decodes nothing, and adds to a
/// request no header but `host`: a token goes where it is sent, and nowhere else.
pub(super) type Client = legacy::Client<Connector, TrackedBody>;

/// How the vendor is reached, besides its address.
#[derive(Default)]
pub struct ClientOptions {
    /// The authorities that the vendor's certificate may be of, in place of
    /// the system's.
    pub authorities: Option<Vec<CertificateDer<'static>>>,
    /// What is shown to a proxy in front of the vendor that asks for it.
    pub identity: Option<Identity>,
    /// The proxy that all requests go through.
    pub proxy: Option<Url>,
}

impl fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL of a proxy may hold a password.
        f.debug_struct("Outbound").finish_non_exhaustive()
    }
}

/// Reads the URL of a proxy.
///
/// # Errors
///
/// As the end of a sentence that begins with the URL.
pub fn proxy(raw: &str) -> Result<Url, String> {
    let url = Url::parse(raw)
        .map_err(|error| format!("is not a URL such as `http://proxy.example:3128` ({error})"))?;
    let is_place =
        matches!(url.path(), "" | "/") && url.query().is_none() && !url.cannot_be_a_base();
    match url.scheme() {
        "http" if is_place && url.fragment().is_none() => Ok(url),
        "http" => Err("must be a host and a port alone".to_owned()),
        _ => Err("must begin with `http://`: tokens are safe in TLS through it".to_owned()),
    }
}

/// The client of the moment. A clone is the same one.
#[derive(Clone)]
pub(super) struct RotatingClient {
    dial: Connector,
    current: Arc<Mutex<(Client, Instant)>>,
}

impl fmt::Debug for RotatingClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients").finish_non_exhaustive()
    }
}

impl RotatingClient {
    /// Clients that reach `base` in this way.
    pub(super) fn new(base: &Endpoint, outbound: ClientOptions) -> Result<Self, String> {
        let ClientOptions {
            authorities,
            identity,
            proxy,
        } = outbound;
        let trust = match authorities {
            _ if !base.is_secure() => Trust::Nobody,
            Some(authorities) => Trust::Only(authorities),
            None => Trust::System,
        };
        let tls = tls::client(trust, identity, b"http/1.1")?;
        let proxy = proxy.map(|url| Proxy::at(&url).ok_or("the proxy cannot be used"));
        let dial = Connector::new(Arc::new(tls), proxy.transpose()?);
        let client = make(dial.clone());
        Ok(Self {
            dial,
            current: Arc::new(Mutex::new((client, Instant::now() + jittered(AGE)))),
        })
    }

    /// The proxy that is to be told who comes with a request for `uri`.
    pub(super) fn proxy_of(&self, uri: &Uri) -> Option<&Proxy> {
        self.dial.proxy_of(uri)
    }

    /// The client for a request that is sent now. One that is too old makes
    /// place for another; its connections end with their last requests.
    pub(super) fn current(&self) -> Client {
        let mut current = self.current.lock();
        let now = Instant::now();
        if now >= current.1 {
            *current = (make(self.dial.clone()), now + jittered(AGE));
        }
        current.0.clone()
    }
}

fn make(dial: Connector) -> Client {
    // HTTP/1.1: HTTP/2 would put all calls on one connection, and queue them
    // there behind the vendor's limit of streams.
    legacy::Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        .pool_max_idle_per_host(MAX_IDLE)
        .build(dial)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use axum::Router;
    use axum::extract::State;
    use axum::routing::get;
    use http::{HeaderValue, Request};
    use http_body_util::BodyExt;
    use tokio::net::TcpListener;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::token_key::TokenKey;
    use crate::upstream::rate_limit::RateLimiter;

    /// How many connections a server has, and when it may answer.
    #[derive(Clone)]
    struct Server {
        connections: Arc<AtomicUsize>,
        answers: Arc<Semaphore>,
    }

    /// Counts what is accepted.
    struct Counting(TcpListener, Arc<AtomicUsize>);

    impl axum::serve::Listener for Counting {
        type Io = tokio::net::TcpStream;
        type Addr = std::net::SocketAddr;

        async fn accept(&mut self) -> (Self::Io, Self::Addr) {
            let accepted = self.0.accept().await.unwrap();
            self.1.fetch_add(1, SeqCst);
            accepted
        }

        fn local_addr(&self) -> std::io::Result<Self::Addr> {
            self.0.local_addr()
        }
    }

    #[tokio::test]
    async fn a_client_that_is_old_makes_place_for_another_and_ends_its_requests() {
        let server = Server {
            connections: Arc::default(),
            answers: Arc::new(Semaphore::new(0)),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let counting = Counting(listener, Arc::clone(&server.connections));
        let answer = async |State(server): State<Server>| {
            server.answers.acquire().await.unwrap().forget();
            "answer"
        };
        let routes = Router::new()
            .route("/", get(answer))
            .with_state(server.clone());
        #[expect(clippy::disallowed_methods, reason = "a server of the test")]
        tokio::spawn(async { axum::serve(counting, routes).await });

        let base = Endpoint::of_url(&url, false).unwrap();
        let clients = RotatingClient::new(&base, ClientOptions::default()).unwrap();
        let limiter = RateLimiter::new(0);
        let request = || {
            let (client, limiter, url) = (clients.current(), limiter.clone(), url.clone());
            async move {
                let token = TokenKey::new(&HeaderValue::from_static("Bearer token"));
                let in_time = Instant::now() + AGE;
                let permit = limiter.acquire(token, in_time).await.unwrap();
                let request = Request::get(url).body(TrackedBody::new(None, permit));
                let answer = client.request(request.unwrap()).await.unwrap();
                answer.into_body().collect().await.unwrap().to_bytes()
            }
        };
        server.answers.add_permits(2);
        assert_eq!([request().await, request().await], ["answer", "answer"]);
        assert_eq!(server.connections.load(SeqCst), 1);

        let (_, due) = *clients.current.lock();
        let left = due - Instant::now();
        assert!(left > AGE / 2 && left < AGE * 2, "{left:?}");
        let old_end = || clients.current.lock().1 = Instant::now();
        old_end();
        server.answers.add_permits(1);
        request().await;
        assert_eq!(server.connections.load(SeqCst), 2);
        // One that is under way meanwhile has its answer all the same.
        let (answers, connections) = (server.answers, server.connections);
        let (old, new) = tokio::join!(request(), async {
            old_end();
            let new = request();
            answers.add_permits(2);
            new.await
        });
        assert_eq!([old, new], ["answer", "answer"]);
        assert_eq!(connections.load(SeqCst), 3);
        // The next one is not due yet.
        answers.add_permits(1);
        request().await;
        assert_eq!(connections.load(SeqCst), 3);
    }
}
