//! The sandbox in a process of its own, which outlives the gateways before it.

use std::collections::HashMap;

use axum::body::Body;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::fate::{LONGEST, rules};
use super::write::{Stock, definition, gone, user};
use crate::support::process::ServerProcess;

/// As many as the sandbox can have.
const USERS: usize = 10_000;

/// How many sources and definitions there are of each kind.
const RESOURCES: usize = 24;

/// The sandbox, and a connection to it that passes by the gateway.
pub struct Vendor {
    server: ServerProcess,
    client: SendRequest<Body>,
}

impl Vendor {
    pub async fn start() -> Self {
        let users = USERS.to_string();
        let settings = [
            ("PRESENCE_GATEWAY_SANDBOX_USERS", users.as_str()),
            // The limit is the gateway's to keep.
            ("PRESENCE_GATEWAY_SANDBOX_RATE_LIMIT", "0"),
            // What was deleted by an attempt before is not there for the next.
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

    /// Makes everything as in the beginning; gives what there is to be changed.
    pub async fn reset(&mut self) -> Stock {
        self.control("/sandbox/reset", String::new()).await;
        self.control("/sandbox/misbehave", rules()).await;
        let mut stock = Stock {
            users: 1..USERS + 1,
            ..Stock::default()
        };
        for number in 0..RESOURCES {
            let doomed = format!("doomed {number}");
            for name in ["to be put", doomed.as_str()] {
                let source = json!({ "name": name });
                let sources = "/api/v2/presence/sources";
                let source = self.ask(Method::POST, sources, &source).await;
                let definitions = "/api/v2/presence/definitions";
                let named = definition(&format!("definition {name}"));
                let definition = self.ask(Method::POST, definitions, &named).await;
                if name == doomed {
                    stock.doomed_sources.push(named_id(&source));
                    stock.doomed_definitions.push(named_id(&definition));
                } else {
                    stock.sources.push(named_id(&source).0);
                    stock.definitions.push(named_id(&definition).0);
                }
            }
        }
        stock
    }

    /// The remark of a user.
    pub async fn message(&mut self, id: &str) -> String {
        let path = format!("/api/v2/users/{id}/presences/purecloud");
        let presence = self.ask(Method::GET, &path, &Value::Null).await;
        presence["message"].as_str().unwrap().to_owned()
    }

    /// Waits until the vendor has done with all that had come before: it
    /// thinks as long over one more write, and a bit longer, as it thought
    /// over any.
    pub async fn idle(&mut self) {
        let head = Request::patch(format!("/api/v2/users/{}/presences/purecloud", user(USERS)));
        let pause = format!("delay={}ms", LONGEST * 2);
        let head = head.header("x-sandbox-misbehave", pause);
        self.send(head, json!({"message": "the last"}).to_string())
            .await;
    }

    /// How often each mark is found: remarks of these users, and the names of
    /// sources and definitions.
    pub async fn marks(&mut self, users: &[&str]) -> HashMap<String, usize> {
        let mut marks = HashMap::new();
        let mut found = |mark: String| *marks.entry(mark).or_default() += 1;
        for users in users.chunks(50) {
            let path = "/api/v2/users/presences/purecloud/bulk?id=";
            let path = format!("{path}{}", users.join(","));
            let presences = self.ask(Method::GET, &path, &Value::Null).await;
            let presences = presences.as_array().unwrap();
            assert_eq!(presences.len(), users.len());
            for presence in presences {
                found(presence["message"].as_str().unwrap().to_owned());
            }
        }
        for list in ["sources", "definitions"] {
            for deactivated in [false, true] {
                let path = format!("/api/v2/presence/{list}?deactivated={deactivated}");
                let listing = self.ask(Method::GET, &path, &Value::Null).await;
                for entity in listing["entities"].as_array().unwrap() {
                    // The vendor's own definitions have none.
                    let name = entity["name"].as_str().unwrap_or_default();
                    found(if deactivated {
                        gone(name)
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

    async fn ask(&mut self, method: Method, path: &str, body: &Value) -> Value {
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
        let asked = request.uri().clone();
        self.client.ready().await.unwrap();
        let answer = self.client.send_request(request).await.unwrap();
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(status, StatusCode::OK, "{asked}: {body:?}");
        serde_json::from_slice(&body).unwrap()
    }
}

fn named_id(resource: &Value) -> (String, String) {
    let text = |name: &str| resource[name].as_str().unwrap().to_owned();
    (text("id"), text("name"))
}
