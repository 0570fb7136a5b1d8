use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use http::{HeaderValue, Method};
use reqwest::{Body, Request, Url};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::*;
use crate::token_key::TokenKey;
use crate::upstream::rate_limit::RateLimiter;
use crate::upstream::tracked_body::TrackedBody;

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

    let base = Endpoint::from_url(&url, false).unwrap();
    let clients = RotatingClient::new(&base, ClientOptions::default()).unwrap();
    let limiter = RateLimiter::new(0);
    let request = || {
        let (client, limiter, url) = (clients.current(), limiter.clone(), url.clone());
        async move {
            let token = TokenKey::new(&HeaderValue::from_static("Bearer token"));
            let in_time = Instant::now() + MAX_AGE;
            let permit = limiter.acquire(token, in_time).await.unwrap();
            let mut request = Request::new(Method::GET, Url::parse(&url).unwrap());
            *request.body_mut() = Some(Body::wrap(TrackedBody::new(None, permit)));
            let response = client.execute(request).await.unwrap();
            response.bytes().await.unwrap()
        }
    };
    server.answers.add_permits(2);
    assert_eq!([request().await, request().await], ["answer", "answer"]);
    assert_eq!(server.connections.load(SeqCst), 1);

    let (_, due) = *clients.current.lock();
    let left = due - Instant::now();
    assert!(left > MAX_AGE / 2 && left < MAX_AGE * 2, "{left:?}");
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
