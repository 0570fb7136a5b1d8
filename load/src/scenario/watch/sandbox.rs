//! The gateway's own sandbox, in its own process, and its control endpoints.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::File;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::scenario::Settings;
use crate::scenario::gateway::served;
use crate::scenario::process::Process;

/// A definition and a date.
pub(super) type Presence = (String, Option<SystemTime>);

/// The name of bulk reads in the journal.
pub(super) const BULK_READ: &str = "get_users_presences_purecloud_bulk";

/// A running sandbox.
#[derive(Debug)]
pub(super) struct Sandbox {
    process: Process,
    control: Arc<Control>,
}

impl Sandbox {
    /// Starts one with this many users, and the vendor's rate limit.
    pub(super) async fn start(
        settings: &Settings,
        name: &str,
        users: usize,
    ) -> Result<Self, String> {
        let log = settings.logs.join(format!("{name}-sandbox.log"));
        let file = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        let arguments = ["sandbox", "--listen", "127.0.0.1:0", "--users"];
        let mut arguments: Vec<String> = arguments.map(str::to_owned).into();
        arguments.push(users.to_string());
        let mut process = Process::start(&settings.gateway, &arguments, &[], file)?;
        let address = served(&mut process, "the sandbox", &log).await?;
        let control = Arc::new(Control {
            address,
            idle: Mutex::default(),
        });
        Ok(Self { process, control })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.control.address)
    }

    /// The id of its process.
    pub(super) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Its control endpoints.
    pub(super) fn control(&self) -> Arc<Control> {
        Arc::clone(&self.control)
    }
}

/// A client of the control endpoints, with kept connections.
#[derive(Debug)]
pub(super) struct Control {
    address: SocketAddr,
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
}

impl Control {
    /// Sets the presences of these lines.
    pub(super) async fn change(&self, lines: String) -> Result<(), String> {
        let changed = self.send(Method::POST, "/sandbox/presences", lines).await;
        changed.map(drop)
    }

    /// Applies a rule at once; returns to how many channels.
    pub(super) async fn apply(&self, rule: &str) -> Result<u64, String> {
        let path = "/sandbox/misbehave";
        let applied = self.json(Method::POST, path, rule).await?;
        Ok(applied["channels"].as_u64().unwrap_or_default())
    }

    /// The presences of all users, by id.
    pub(super) async fn presences(&self) -> Result<HashMap<String, Presence>, String> {
        let path = "/sandbox/presences?limit=10000";
        let listed = self.json(Method::GET, path, "").await?;
        let listed = listed["presences"].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let presences = listed.iter().map(|presence| {
            let date = text(&presence["modifiedDate"]);
            let date = humantime::parse_rfc3339(&date).ok();
            let definition = text(&presence["definitionId"]);
            (text(&presence["userId"]), (definition, date))
        });
        Ok(presences.collect())
    }

    /// How many events all channels have lost.
    pub(super) async fn lost(&self) -> Result<u64, String> {
        let listed = self.json(Method::GET, "/sandbox/channels", "").await?;
        let channels = listed["channels"].as_array().cloned().unwrap_or_default();
        let lost = channels
            .iter()
            .filter_map(|channel| channel["lost"].as_u64());
        Ok(lost.sum())
    }

    /// The requests since the start, or since they were forgotten.
    pub(super) async fn requests(&self) -> Result<Requests, String> {
        let journal = self.json(Method::GET, "/sandbox/requests", "").await?;
        if journal["forgotten"] != 0 {
            return Err("the sandbox has had more requests than it lists".to_owned());
        }
        let mut requests = Requests::default();
        for request in journal["requests"].as_array().into_iter().flatten() {
            let operation = request["operation"].as_str().unwrap_or("no operation");
            let count = requests.by_operation.entry(operation.to_owned());
            *count.or_default() += 1;
            requests.rejected += usize::from(request["status"] == 429);
        }
        Ok(requests)
    }

    async fn json(&self, method: Method, path: &str, body: &str) -> Result<Value, String> {
        let answer = self.send(method, path, body.to_owned()).await?;
        serde_json::from_slice(&answer).map_err(|error| format!("{path}: {error}"))
    }

    async fn send(&self, method: Method, path: &str, body: String) -> Result<Bytes, String> {
        let wrong = |error: &dyn fmt::Display| format!("the sandbox: {path}: {error}");
        let idle = self.idle.lock().pop();
        let mut sender = match idle {
            Some(sender) => sender,
            None => self.connect().await.map_err(|error| wrong(&error))?,
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.address.to_string())
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| wrong(&error))?;
        let answer = sender.send_request(request).await;
        let answer = answer.map_err(|error| wrong(&error))?;
        let status = answer.status();
        let body = answer.into_body().collect().await;
        let body = body.map_err(|error| wrong(&error))?.to_bytes();
        if !status.is_success() {
            return Err(wrong(&String::from_utf8_lossy(&body)));
        }
        if sender.ready().await.is_ok() {
            self.idle.lock().push(sender);
        }
        Ok(body)
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, String> {
        let stream = TcpStream::connect(self.address).await;
        let stream = stream.map_err(|error| error.to_string())?;
        let _ = stream.set_nodelay(true);
        let shaken = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = shaken.map_err(|error| error.to_string())?;
        tokio::spawn(async { drop(connection.await) });
        Ok(sender)
    }
}

/// How many requests the sandbox has had, control endpoints excepted.
#[derive(Debug, Default)]
pub(super) struct Requests {
    by_operation: BTreeMap<String, usize>,
    /// Those with 429.
    pub rejected: usize,
}

impl Requests {
    /// All of them.
    pub(super) fn count(&self) -> usize {
        self.by_operation.values().sum()
    }

    /// Those of this operation.
    pub(super) fn of(&self, operation: &str) -> usize {
        self.by_operation
            .get(operation)
            .copied()
            .unwrap_or_default()
    }

    /// Those that came after `before`.
    pub(super) fn since(mut self, before: &Self) -> Self {
        for (operation, count) in &mut self.by_operation {
            *count -= before.of(operation);
        }
        self.by_operation.retain(|_, count| *count > 0);
        self.rejected -= before.rejected;
        self
    }
}

impl fmt::Display for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.by_operation.iter();
        let counts: Vec<_> = counts
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        write!(f, "{} ({})", self.count(), counts.join(", "))
    }
}
