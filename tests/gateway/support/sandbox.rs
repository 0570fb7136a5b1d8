//! The sandbox in its own process, as the vendor of a watch.

use axum::body::Body;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::support::process::ServerProcess;
use crate::support::{Gateway, Limits};

/// A running sandbox.
pub struct Sandbox(ServerProcess);

impl Sandbox {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a sandbox with these settings.
    pub fn start_with(settings: &[(&str, &str)]) -> Self {
        Self(ServerProcess::start(&["sandbox"], settings))
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.0.address)
    }

    /// Starts a gateway in front of it.
    pub async fn gateway(&self, limits: Limits) -> Gateway {
        Gateway::start_at_with(&self.url(), limits).await
    }

    /// The id of one of its users.
    pub fn user(number: usize) -> String {
        format!("00000000-0000-4000-8000-{number:012}")
    }

    /// Gives a user this status.
    pub async fn set(&self, user: &str, definition: &str) {
        let path = format!("/sandbox/presences/{user}/PURECLOUD");
        self.send(Method::PUT, &path, definition.to_owned()).await;
    }

    /// Gives a user this message.
    pub async fn set_message(&self, user: &str, message: &str) {
        let path = format!("/api/v2/users/{user}/presences/purecloud");
        let body = serde_json::json!({"message": message}).to_string();
        self.send(Method::PATCH, &path, body).await;
    }

    /// Adds rules of misbehaviour, or applies them at once.
    pub async fn misbehave(&self, rules: &str) {
        self.send(Method::POST, "/sandbox/misbehave", rules.to_owned())
            .await;
    }

    /// Removes all rules.
    pub async fn behave(&self) {
        self.send(Method::DELETE, "/sandbox/misbehave", String::new())
            .await;
    }

    /// The channels that there are.
    pub async fn channels(&self) -> Vec<Value> {
        let channels = self
            .send(Method::GET, "/sandbox/channels", String::new())
            .await;
        channels["channels"].as_array().unwrap().clone()
    }

    /// How many requests of each operation it received.
    pub async fn count(&self, operation: &str) -> usize {
        let requests = self
            .send(Method::GET, "/sandbox/requests", String::new())
            .await;
        let requests = requests["requests"].as_array().unwrap().clone();
        let of = requests.iter().filter(|it| it["operation"] == operation);
        of.count()
    }

    async fn send(&self, method: Method, path: &str, body: String) -> Value {
        let stream = TcpStream::connect(&self.0.address).await.unwrap();
        let (mut client, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.0.address)
            .header("authorization", "Bearer sandbox")
            .header("content-type", "application/json")
            .body(Body::from(body))
            .unwrap();
        let response = client.send_request(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&body);
        assert!(status.is_success(), "{path}: {status} {text}");
        assert_ne!(status, StatusCode::NO_CONTENT, "{path}");
        serde_json::from_slice(&body).unwrap_or_default()
    }
}
