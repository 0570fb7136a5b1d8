use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use http::{HeaderValue, Method};
use reqwest::{Body, Request, Url};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::pool::MAX_AGE;
use super::*;
use crate::token_key::TokenKey;
use crate::upstream::rate_limit::RateLimiter;
use crate::upstream::tracked_body::TrackedBody;

/// Counts the connections of a stub server, and holds its responses back.
#[derive(Clone)]
struct Server {
    connections: Arc<AtomicUsize>,
    responses: Arc<Semaphore>,
}

/// A listener that counts the connections it accepts.
struct CountingListener(TcpListener, Arc<AtomicUsize>);

impl axum::serve::Listener for CountingListener {
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
async fn a_client_is_replaced_at_its_age_and_completes_its_requests() {
    let server = Server {
        connections: Arc::default(),
        responses: Arc::new(Semaphore::new(0)),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let listener = CountingListener(listener, Arc::clone(&server.connections));
    let handler = async |State(server): State<Server>| {
        server.responses.acquire().await.unwrap().forget();
        "answer"
    };
    let routes = Router::new()
        .route("/", get(handler))
        .with_state(server.clone());
    #[expect(clippy::disallowed_methods, reason = "a server of the test")]
    tokio::spawn(async { axum::serve(listener, routes).await });

    let base = Endpoint::from_url(&url, false).unwrap();
    let clients = RotatingClient::new(&base, ClientOptions::default()).unwrap();
    let limiter = RateLimiter::new(0);
    let request = || {
        let (lease, limiter, url) = (clients.lease(), limiter.clone(), url.clone());
        async move {
            let token = TokenKey::new(&HeaderValue::from_static("Bearer token"));
            let in_time = Instant::now() + MAX_AGE;
            let permit = limiter.acquire(token, in_time).await.unwrap();
            let mut request = Request::new(Method::GET, Url::parse(&url).unwrap());
            *request.body_mut() = Some(Body::wrap(TrackedBody::new(None, permit)));
            let response = lease.client().execute(request).await.unwrap();
            response.bytes().await.unwrap()
        }
    };
    server.responses.add_permits(2);
    assert_eq!([request().await, request().await], ["answer", "answer"]);
    assert_eq!(server.connections.load(SeqCst), 1);

    let due = clients.pool.lock().until;
    let left = due - Instant::now();
    assert!(left > MAX_AGE / 2 && left < MAX_AGE * 2, "{left:?}");
    let expire = || clients.pool.lock().until = Instant::now();
    expire();
    server.responses.add_permits(1);
    request().await;
    assert_eq!(server.connections.load(SeqCst), 2);
    // A request in flight on the old client still receives its response.
    let (responses, connections) = (server.responses, server.connections);
    let (old, new) = tokio::join!(request(), async {
        expire();
        let new = request();
        responses.add_permits(2);
        new.await
    });
    assert_eq!([old, new], ["answer", "answer"]);
    assert_eq!(connections.load(SeqCst), 3);
    // The new client is not due for replacement yet.
    responses.add_permits(1);
    request().await;
    assert_eq!(connections.load(SeqCst), 3);
}
