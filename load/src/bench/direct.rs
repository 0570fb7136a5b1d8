//! Direct calls to the vendor, without a proxy.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, header};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use parking_lot::{Mutex, MutexGuard};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::caller::{Calls, Outcome, Queries, Query, Stats, Tokens};

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A REST client of the vendor with kept connections.
#[derive(Debug)]
pub(super) struct Direct {
    address: SocketAddr,
    queries: Queries,
    tokens: Tokens,
    stats: Stats,
    idle: Mutex<Vec<Sender>>,
}

type Sender = SendRequest<Empty<Bytes>>;

impl Direct {
    /// A client of the vendor at `address`.
    pub(super) fn new(address: SocketAddr, queries: Queries, tokens: Tokens) -> Self {
        Self {
            address,
            queries,
            tokens,
            stats: Stats::default(),
            idle: Mutex::default(),
        }
    }

    /// The response body of a query.
    pub(super) async fn body(&self, query: &Query, token: &HeaderValue) -> Result<Bytes, String> {
        let idle = self.idle().pop();
        let mut sender = match idle {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        let request = Request::get(format!("/direct{}", query.rest))
            .header(header::HOST, "vendor")
            .header(header::AUTHORIZATION, token)
            .header(header::ACCEPT, "application/json")
            .body(Empty::new())
            .map_err(|error| error.to_string())?;
        let answer = sender.send_request(request).await;
        let answer = answer.map_err(|error| error.to_string())?;
        let status = answer.status();
        let body = answer.into_body().collect().await;
        let body = body.map_err(|error| error.to_string())?.to_bytes();
        if !status.is_success() {
            return Err(status.to_string());
        }
        if sender.ready().await.is_ok() {
            self.idle().push(sender);
        }
        Ok(body)
    }

    /// The response body of a random query.
    pub(super) async fn any(&self) -> Result<Bytes, String> {
        self.body(self.queries.next(), self.tokens.next()).await
    }

    /// The statistics of its calls.
    pub(super) fn into_stats(self) -> Stats {
        self.stats
    }

    async fn connect(&self) -> Result<Sender, String> {
        let stream = TcpStream::connect(self.address).await;
        let stream = stream.map_err(|error| error.to_string())?;
        let _ = stream.set_nodelay(true);
        let shaken = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = shaken.map_err(|error| error.to_string())?;
        tokio::spawn(async { drop(connection.await) });
        Ok(sender)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Sender>> {
        self.idle.lock()
    }
}

impl Calls for Direct {
    async fn call(&self, due: Instant) {
        let query = self.queries.next();
        let body = timeout(TIMEOUT, self.body(query, self.tokens.next())).await;
        let outcome = match body.map(|body| body.map(|body| query.parse_json(&body))) {
            Ok(Ok(Some(answer))) if query.covers_all_ids(&answer) => Outcome::Answered,
            Ok(Ok(_)) => Outcome::WrongAnswer,
            Ok(Err(_)) => Outcome::NoStatus("no answer"),
            Err(_) => Outcome::NoStatus("no answer in time"),
        };
        self.stats.count(&outcome, due.elapsed());
    }

    fn stats(&self) -> &Stats {
        &self.stats
    }
}
