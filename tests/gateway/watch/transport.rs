//! The connection of notifications: TLS, a proxy, and what it sends.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use futures_util::SinkExt;
use http::{HeaderMap, Request, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use presence_gateway::proto::v1::watch_state::Mode;
use serde_json::json;
use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::support::Gateway;
use crate::support::certificates::{Authority, TempDir};
use crate::support::process::ServerProcess;
use crate::support::raw_http::{RawVendor, read_request};
use crate::support::watch_caller::WatchCall;
use crate::tls::upstream::acceptor;

/// The text about a change of the user `u1` that is made now.
fn event() -> String {
    json!({"topicName": "v2.users.u1.presence", "eventBody": {
        "presenceDefinition": {"id": "x", "systemPresence": "ON_QUEUE"},
        "modifiedDate": jiff::Timestamp::now().to_string(),
    }})
    .to_string()
}

/// The headers of the requests for a WebSocket.
type Upgrades = Arc<Mutex<Vec<HeaderMap>>>;

/// Starts a vendor with TLS that knows the user `u1`, who changes when somebody listens.
/// Returns it, and the headers of the requests for a WebSocket.
async fn vendor(authority: &Authority) -> (RawVendor, Upgrades) {
    let acceptor = acceptor(&authority.local(), None);
    let upgrades = Upgrades::default();
    let received = Arc::clone(&upgrades);
    let vendor = RawVendor::start(move |stream| {
        let (acceptor, received) = (acceptor.clone(), Arc::clone(&received));
        async move {
            let address = stream.local_addr().unwrap();
            let stream = acceptor.accept(stream).await.unwrap();
            let service = service_fn(move |request| {
                let received = Arc::clone(&received);
                async move { Ok::<_, Infallible>(respond(request, address, &received)) }
            });
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            let _ = connection.with_upgrades().await;
        }
    })
    .await;
    (vendor, upgrades)
}

fn respond(request: Request<Incoming>, address: SocketAddr, upgrades: &Upgrades) -> Response {
    let path = request.uri().path().to_owned();
    if let Some(key) = request.headers().get("sec-websocket-key") {
        let key = derive_accept_key(key.as_bytes());
        upgrades.lock().push(request.headers().clone());
        tokio::spawn(async move {
            let upgraded = TokioIo::new(hyper::upgrade::on(request).await.unwrap());
            let socket = WebSocketStream::from_raw_socket(upgraded, Role::Server, None);
            let mut socket = socket.await;
            socket.send(event().into()).await.unwrap();
            std::future::pending::<()>().await;
        });
        return Response::builder()
            .status(StatusCode::SWITCHING_PROTOCOLS)
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-accept", key)
            .body(Body::empty())
            .unwrap();
    }
    let body = match path.as_str() {
        "/api/v2/notifications/channels" => {
            json!({"id": "c1", "connectUri": format!("wss://{address}/channels/c1")})
        }
        "/api/v2/notifications/channels/c1/subscriptions" => {
            json!({"entities": [{"id": "v2.users.u1.presence", "state": "Permitted"}]})
        }
        _ => json!([{"userId": "u1", "presenceDefinition": {"systemPresence": "Available"},
            "modifiedDate": "2026-11-23T10:15:30.122Z"}]),
    };
    Response::new(Body::from(body.to_string()))
}

/// Watches `u1` through a gateway with these flags until the presence of the notification.
async fn watch_through(flags: &[&str]) {
    let serving = ServerProcess::start(&[&["serve"], flags].concat(), &[]);
    let gateway = Gateway::connect(serving.address.parse().unwrap()).await;
    let mut watch = WatchCall::open(&gateway, &["u1"]).await;
    // It may come before the first read, which is older.
    watch.until_presence("u1", "On Queue").await;
    watch.until_mode(Mode::Live).await;
    assert_eq!(watch.presences["u1"], "On Queue");
}

#[tokio::test]
async fn notifications_come_by_tls_without_the_token() {
    let (authority, folder) = (Authority::new(), TempDir::new());
    let (vendor, upgrades) = vendor(&authority).await;
    let url = format!("https://{}", vendor.address);
    let ca = folder.file("ca.pem", &authority.pem);
    watch_through(&["--upstream-url", &url, "--upstream-ca", &ca]).await;
    let upgrades = upgrades.lock();
    assert_eq!(upgrades.len(), 1);
    assert!(!upgrades[0].contains_key("authorization"));
    assert!(!format!("{:?}", upgrades[0]).contains("token"));
    let agent = upgrades[0]["user-agent"].to_str().unwrap();
    assert!(agent.starts_with("presence-gateway/"), "{agent}");
}

#[tokio::test]
async fn notifications_come_through_the_proxy_of_the_requests() {
    let (authority, folder) = (Authority::new(), TempDir::new());
    let (vendor, upgrades) = vendor(&authority).await;
    let heads = Arc::new(Mutex::new(Vec::new()));
    let received = Arc::clone(&heads);
    let proxy = RawVendor::start(move |mut stream| {
        let received = Arc::clone(&received);
        async move {
            let head = read_request(&mut stream).await;
            let target = head.split(' ').nth(1).unwrap().to_owned();
            received.lock().push(head);
            let mut vendor = TcpStream::connect(target).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            let _ = copy_bidirectional(&mut stream, &mut vendor).await;
        }
    })
    .await;
    let url = format!("https://{}", vendor.address);
    let ca = folder.file("ca.pem", &authority.pem);
    let proxied = format!("http://us%65r:s%3acret@{}", proxy.address);
    let flags = ["--upstream-url", &url, "--upstream-ca", &ca];
    watch_through(&[&flags[..], &["--upstream-proxy", &proxied]].concat()).await;
    assert_eq!(upgrades.lock().len(), 1);
    let heads = heads.lock();
    assert_eq!(
        vendor.connections(),
        heads.len(),
        "no connection bypasses it"
    );
    // "user:s:cret".
    let credentials = "basic dxnlcjpzomnyzxq=";
    let is_allowed = |head: &String| head.to_ascii_lowercase().contains(credentials);
    assert!(heads.iter().all(is_allowed), "{heads:?}");
}
