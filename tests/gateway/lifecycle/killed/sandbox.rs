//! The sandbox in its own process, which outlives the gateways in front of it.

use std::collections::HashMap;

use axum::body::Body;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::misbehaviour::{MAX_DELAY, rules};
use super::write::{Resources, definition, deleted_mark, user};
use crate::support::process::ServerProcess;

/// The most that the sandbox can have.
const USERS: usize = 10_000;

/// The number of sources and definitions of each kind.
const RESOURCE_COUNT: usize = 24;

/// The sandbox, and a direct connection to it.
pub struct Sandbox {
    server: ServerProcess,
    client: SendRequest<Body>,
}

impl Sandbox {
    pub async fn start() -> Self {
        let users = USERS.to_string();
        let settings = [
            ("PRESENCE_GATEWAY_SANDBOX_USERS", users.as_str()),
            // The gateway's own rate limiter is tested.
            ("PRESENCE_GATEWAY_SANDBOX_RATE_LIMIT", "0"),
            // A retried DELETE gets 404 if the first attempt was applied.
            ("PRESENCE_GATEWAY_SANDBOX_REPEATED_DELETE", "404"),
        ];
        let server = ServerProcess::start(&["sandbox"], &settings);
        let stream = TcpStream::connect(&server.address).await.unwrap();
        let (client, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self { server, client }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// Restores the first state; returns the resources to change.
    pub async fn reset(&mut self) -> Resources {
        self.control("/sandbox/reset", String::new()).await;
        self.control("/sandbox/misbehave", rules()).await;
        let mut resources = Resources {
            users: 1..USERS + 1,
            ..Resources::default()
        };
        for number in 0..RESOURCE_COUNT {
            let deletable = format!("deletable {number}");
            for name in ["replaceable", deletable.as_str()] {
                let source = json!({ "name": name });
                let sources = "/api/v2/presence/sources";
                let source = self.request(Method::POST, sources, &source).await;
                let definitions = "/api/v2/presence/definitions";
                let body = definition(&format!("definition {name}"));
                let definition = self.request(Method::POST, definitions, &body).await;
                if name == deletable {
                    resources.deletable_sources.push(id_and_name(&source));
                    resources
                        .deletable_definitions
                        .push(id_and_name(&definition));
                } else {
                    resources.sources.push(id_and_name(&source).0);
                    resources.definitions.push(id_and_name(&definition).0);
                }
            }
        }
        resources
    }

    /// The message of a user's presence.
    pub async fn message(&mut self, id: &str) -> String {
        let path = format!("/api/v2/users/{id}/presences/purecloud");
        let presence = self.request(Method::GET, &path, &Value::Null).await;
        presence["message"].as_str().unwrap().to_owned()
    }

    /// Waits until the sandbox has handled all earlier requests, by one more
    /// write with a longer delay than any of them had.
    pub async fn wait_until_idle(&mut self) {
        let head = Request::patch(format!("/api/v2/users/{}/presences/purecloud", user(USERS)));
        let pause = format!("delay={}ms", MAX_DELAY * 2);
        let head = head.header("x-sandbox-misbehave", pause);
        self.send(head, json!({"message": "last"}).to_string())
            .await;
    }

    /// Counts each mark: in the messages of these users, and in the names of
    /// sources and definitions.
    pub async fn marks(&mut self, users: &[&str]) -> HashMap<String, usize> {
        let mut marks = HashMap::new();
        let mut count = |mark: String| *marks.entry(mark).or_default() += 1;
        for users in users.chunks(50) {
            let path = "/api/v2/users/presences/purecloud/bulk?id=";
            let path = format!("{path}{}", users.join(","));
            let presences = self.request(Method::GET, &path, &Value::Null).await;
            let presences = presences.as_array().unwrap();
            assert_eq!(presences.len(), users.len());
            for presence in presences {
                count(presence["message"].as_str().unwrap().to_owned());
            }
        }
        for list in ["sources", "definitions"] {
            for deactivated in [false, true] {
                let path = format!("/api/v2/presence/{list}?deactivated={deactivated}");
                let listing = self.request(Method::GET, &path, &Value::Null).await;
                for entity in listing["entities"].as_array().unwrap() {
                    // The system's definitions have no name.
                    let name = entity["name"].as_str().unwrap_or_default();
                    count(if deactivated {
                        deleted_mark(name)
                    } else {
                        name.to_owned()
                    });
                }
            }
        }
        marks
    }

    async fn control(&mut self, path: &str, body: String) {
        self.send(Request::post(path), body).await;
    }

    async fn request(&mut self, method: Method, path: &str, body: &Value) -> Value {
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        let head = Request::builder().method(method).uri(path);
        self.send(head, body).await
    }

    async fn send(&mut self, head: http::request::Builder, body: String) -> Value {
        let request = head
            .header("host", &self.server.address)
            .header("authorization", "Bearer auditor")
            .header("content-type", "application/json")
            .body(Body::from(body))
            .unwrap();
        let uri = request.uri().clone();
        self.client.ready().await.unwrap();
        let response = self.client.send_request(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(status, StatusCode::OK, "{uri}: {body:?}");
        serde_json::from_slice(&body).unwrap()
    }
}

fn id_and_name(resource: &Value) -> (String, String) {
    let text = |name: &str| resource[name].as_str().unwrap().to_owned();
    (text("id"), text("name"))
}
