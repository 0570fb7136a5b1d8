//! What users of the sandbox rely on, over a real socket.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "a client of the sandbox, whose failures are a test's"
)]

mod assumptions;
mod bulk;
mod bulk_assumptions;
mod control;
mod definitions;
mod enforcement;
mod listings;
mod misbehaviour;
mod operations;
mod presences;

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

/// A sandbox that is being served until this is dropped.
struct Served {
    address: String,
    client: reqwest::Client,
    shutdown: Option<oneshot::Sender<()>>,
    done: Option<tokio::task::JoinHandle<std::io::Result<()>>>,
}

/// An answer, received whole.
struct Received {
    status: u16,
    headers: reqwest::header::HeaderMap,
    text: String,
}

/// The defaults, changed.
fn settings_with(change: impl FnOnce(&mut Args)) -> Settings {
    let mut args: Args = defaults();
    change(&mut args);
    let mut problems = ConfigErrors::default();
    let settings = Settings::read(&args, &mut problems);
    assert_eq!(problems.into_vec(), Vec::<String>::new());
    settings
}

/// Serves a sandbox with the defaults.
async fn sandbox() -> Served {
    sandbox_with(|_| {}).await
}

/// Serves a sandbox with other settings.
async fn sandbox_with(change: impl FnOnce(&mut Args)) -> Served {
    let settings = settings_with(change);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (shutdown, stopped) = oneshot::channel();
    let until = async {
        stopped.await.ok();
    };
    let done = Some(tokio::spawn(serve(listener, Sandbox::new(settings), until)));
    // Plain HTTP needs no provider, but a client is not made without one.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    Served {
        address,
        client,
        shutdown: Some(shutdown),
        done,
    }
}

impl Served {
    /// A request with the token `t`.
    fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let url = format!("http://{}{path}", self.address);
        self.client
            .request(method.parse().unwrap(), url)
            .bearer_auth("t")
    }

    async fn get(&self, path: &str) -> Received {
        received(self.request("GET", path)).await
    }

    async fn delete(&self, path: &str) -> Received {
        received(self.request("DELETE", path)).await
    }

    /// Sends JSON.
    async fn send(&self, method: &str, path: &str, body: Value) -> Received {
        received(json(self.request(method, path), &body)).await
    }

    /// A GET that misbehaves.
    async fn misbehaving(&self, path: &str, how: &str) -> Received {
        received(self.request("GET", path).header("X-Sandbox-Misbehave", how)).await
    }

    /// Asks the sandbox's own endpoints.
    async fn control(&self, method: &str, path: &str, body: &str) -> Received {
        let url = format!("http://{}{path}", self.address);
        received(
            self.client
                .request(method.parse().unwrap(), url)
                .body(body.to_owned()),
        )
        .await
    }
}

impl Received {
    /// The JSON of an answer of this status.
    #[track_caller]
    fn json(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    /// The body of an error, checked for what all of them have.
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

    /// The field that a 400 names.
    #[track_caller]
    fn refused_field(&self) -> String {
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

async fn received(request: reqwest::RequestBuilder) -> Received {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Received {
        status,
        headers,
        text: response.text().await.unwrap(),
    }
}

/// The id of the seeded user with this number, from 1.
fn user_id(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// The ids of a listing.
fn ids(listing: &Value) -> Vec<&str> {
    let entities = listing["entities"].as_array().unwrap();
    entities
        .iter()
        .map(|entity| entity["id"].as_str().unwrap())
        .collect()
}

/// The values of a field throughout a list.
fn each<'a>(list: &'a Value, field: &str) -> Vec<&'a str> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|item| item[field].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn it_ends_when_told_to_even_where_an_answer_never_comes() {
    let mut served = sandbox().await;
    let request = served.request("GET", "/api/v2/systempresences");
    let hanging = tokio::spawn(request.header("X-Sandbox-Misbehave", "never").send());
    // The request is under way once it is in the journal.
    while !served
        .control("GET", "/sandbox/requests", "")
        .await
        .text
        .contains("never")
    {
        tokio::task::yield_now().await;
    }
    served.shutdown.take().unwrap().send(()).unwrap();
    assert!(served.done.take().unwrap().await.unwrap().is_ok());
    assert!(hanging.await.unwrap().is_err());
}

/// Asks a sandbox without a socket, so that a test can stop the clock.
async fn unserved(sandbox: &Sandbox, path: &str) -> http::Response<axum::body::Body> {
    let request = http::Request::get(path)
        .header("authorization", "bearer t")
        .body(axum::body::Body::empty())
        .unwrap();
    sandbox.router().oneshot(request).await.unwrap()
}

#[tokio::test]
async fn the_router_alone_serves_the_same_state() {
    let sandbox = Sandbox::new(Settings::default());
    let response = unserved(&sandbox, "/api/v2/systempresences").await;
    assert_eq!(response.status(), 200);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(body.starts_with(b"[{"));
    let journal = unserved(&sandbox.clone(), "/sandbox/requests").await;
    let journal = journal.into_body().collect().await.unwrap().to_bytes();
    let journal: Value = serde_json::from_slice(&journal).unwrap();
    assert_eq!(journal["requests"].as_array().unwrap().len(), 1);
}
