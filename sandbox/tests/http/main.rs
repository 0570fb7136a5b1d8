//! Tests the sandbox over a real socket, as its users see it.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "a client of the sandbox, in tests"
)]

mod assumptions;
mod browsers;
mod bulk;
mod bulk_assumptions;
mod control;
mod definitions;
mod enforcement;
mod listings;
mod misbehaviour;
mod notifications;
mod operations;
mod playground;
mod presences;
mod rules;

use http_body_util::BodyExt as _;
use presence_gateway_args::{ConfigErrors, defaults};
use presence_gateway_sandbox::{Args, Sandbox, Settings, serve};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tower::ServiceExt as _;

const FIRST: &str = "00000000-0000-4000-8000-000000000001";
const SECOND: &str = "00000000-0000-4000-8000-000000000002";
const LAST: &str = "00000000-0000-4000-8000-000000000100";

const AVAILABLE: &str = "6a3af858-942f-489d-9700-5f9bcdcdae9b";
const BUSY: &str = "31fe3bac-dea6-44b7-bed7-47f91660a1a0";
const MEAL: &str = "3fd96123-badb-4f69-bc03-1b1ccc6d8014";
const ON_QUEUE: &str = "e08eaf1b-ee47-4fa9-a231-1200e284798f";

/// A sandbox that listens on a port of its own, and its client.
struct RunningSandbox {
    address: String,
    client: reqwest::Client,
    shutdown: Option<oneshot::Sender<()>>,
    server: Option<tokio::task::JoinHandle<std::io::Result<()>>>,
}

/// A complete response.
struct Reply {
    status: u16,
    headers: reqwest::header::HeaderMap,
    text: String,
}

/// The default settings with a change.
fn settings_with(change: impl FnOnce(&mut Args)) -> Settings {
    let mut args: Args = defaults();
    change(&mut args);
    let mut errors = ConfigErrors::default();
    let settings = Settings::read(&args, &mut errors);
    assert_eq!(errors.into_vec(), Vec::<String>::new());
    settings
}

/// Starts a sandbox with the default settings.
async fn start() -> RunningSandbox {
    start_with(|_| {}).await
}

/// Starts a sandbox with changed settings.
async fn start_with(change: impl FnOnce(&mut Args)) -> RunningSandbox {
    start_at("127.0.0.1:0", change).await
}

/// Starts a sandbox that listens there.
async fn start_at(listen: &str, change: impl FnOnce(&mut Args)) -> RunningSandbox {
    let settings = settings_with(change);
    let listener = TcpListener::bind(listen).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let (shutdown, stopped) = oneshot::channel();
    let until_shutdown = async {
        stopped.await.ok();
    };
    let server = Some(tokio::spawn(serve(
        listener,
        Sandbox::new(settings),
        until_shutdown,
    )));
    // reqwest builds no client without a TLS provider, not even for plain HTTP.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    RunningSandbox {
        address,
        client,
        shutdown: Some(shutdown),
        server,
    }
}

impl RunningSandbox {
    /// Builds a request with the token `t`.
    fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let url = format!("http://{}{path}", self.address);
        self.client
            .request(method.parse().unwrap(), url)
            .bearer_auth("t")
    }

    async fn get(&self, path: &str) -> Reply {
        send(self.request("GET", path)).await
    }

    async fn delete(&self, path: &str) -> Reply {
        send(self.request("DELETE", path)).await
    }

    /// Sends a JSON body.
    async fn send_json(&self, method: &str, path: &str, body: Value) -> Reply {
        send(json(self.request(method, path), &body)).await
    }

    /// Sends a GET whose reply shows the given behaviours.
    async fn misbehaving(&self, path: &str, behaviours: &str) -> Reply {
        let request = self.request("GET", path);
        send(request.header("X-Sandbox-Misbehave", behaviours)).await
    }

    /// Calls one of the sandbox's own endpoints, without a token.
    async fn control(&self, method: &str, path: &str, body: &str) -> Reply {
        let url = format!("http://{}{path}", self.address);
        send(
            self.client
                .request(method.parse().unwrap(), url)
                .body(body.to_owned()),
        )
        .await
    }
}

impl Reply {
    /// Returns the JSON body; panics if the status is another one.
    #[track_caller]
    fn json(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    /// Returns the body of an error, after checking the fields that all errors share.
    #[track_caller]
    fn error(&self, status: u16, code: &str) -> Value {
        let body = self.json(status);
        assert_eq!(
            (&body["status"], &body["code"]),
            (&status.into(), &code.into()),
            "{body}"
        );
        assert_eq!(
            body["contextId"],
            self.header("inin-correlation-id"),
            "{body}"
        );
        assert!(
            body["message"].is_string() && body["details"].is_array(),
            "{body}"
        );
        assert!(body["errors"].is_array(), "{body}");
        body
    }

    /// Returns the field that a 400 names.
    #[track_caller]
    fn rejected_field(&self) -> String {
        let body = self.json(400);
        body["details"][0]["fieldName"]
            .as_str()
            .unwrap_or_else(|| panic!("{body}"))
            .to_owned()
    }

    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

fn json(request: reqwest::RequestBuilder, body: &Value) -> reqwest::RequestBuilder {
    request
        .header("content-type", "application/json")
        .body(body.to_string())
}

async fn send(request: reqwest::RequestBuilder) -> Reply {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Reply {
        status,
        headers,
        text: response.text().await.unwrap(),
    }
}

/// The id of the seeded user with this number, counted from 1.
fn user_id(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// The ids of the entities in a listing.
fn ids(listing: &Value) -> Vec<&str> {
    let entities = listing["entities"].as_array().unwrap();
    entities
        .iter()
        .map(|entity| entity["id"].as_str().unwrap())
        .collect()
}

/// The values of a field in all items of a list.
fn each<'a>(list: &'a Value, field: &str) -> Vec<&'a str> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|item| item[field].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_shutdown_ends_the_server_although_a_reply_never_comes() {
    let mut sandbox = start().await;
    let request = sandbox.request("GET", "/api/v2/systempresences");
    let hanging = tokio::spawn(request.header("X-Sandbox-Misbehave", "never").send());
    // The journal lists a request as soon as it is in flight.
    while !sandbox
        .control("GET", "/sandbox/requests", "")
        .await
        .text
        .contains("never")
    {
        tokio::task::yield_now().await;
    }
    sandbox.shutdown.take().unwrap().send(()).unwrap();
    assert!(sandbox.server.take().unwrap().await.unwrap().is_ok());
    assert!(hanging.await.unwrap().is_err());
}

/// Calls the router without a socket, so that a test can pause the clock.
async fn call_router(sandbox: &Sandbox, path: &str) -> http::Response<axum::body::Body> {
    let request = http::Request::get(path)
        .header("authorization", "bearer t")
        .body(axum::body::Body::empty())
        .unwrap();
    sandbox.router().oneshot(request).await.unwrap()
}

#[tokio::test]
async fn clones_of_a_sandbox_share_their_state() {
    let sandbox = Sandbox::new(Settings::default());
    let response = call_router(&sandbox, "/api/v2/systempresences").await;
    assert_eq!(response.status(), 200);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(body.starts_with(b"[{"));
    let journal = call_router(&sandbox.clone(), "/sandbox/requests").await;
    let journal = journal.into_body().collect().await.unwrap().to_bytes();
    let journal: Value = serde_json::from_slice(&journal).unwrap();
    assert_eq!(journal["requests"].as_array().unwrap().len(), 1);
}
