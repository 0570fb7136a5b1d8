//! The vendor asked directly: what a call costs where nothing is between.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, header};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::caller::{Calls, Outcome, Question, Questions, Tally, Tokens};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A caller that speaks the vendor's REST, over connections that it keeps.
#[derive(Debug)]
pub(super) struct Direct {
    address: SocketAddr,
    questions: Questions,
    tokens: Tokens,
    tally: Tally,
    idle: Mutex<Vec<Sender>>,
}

type Sender = SendRequest<Empty<Bytes>>;

impl Direct {
    /// A caller of the vendor at `address`.
    pub(super) fn new(address: SocketAddr, questions: Questions, tokens: Tokens) -> Self {
        Self {
            address,
            questions,
            tokens,
            tally: Tally::default(),
            idle: Mutex::default(),
        }
    }

    /// The body that a question is answered with.
    pub(super) async fn body(
        &self,
        question: &Question,
        token: &HeaderValue,
    ) -> Result<Bytes, String> {
        let idle = self.idle().pop();
        let mut sender = match idle {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        let request = Request::get(format!("/direct{}", question.rest))
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

    /// The body that any of its questions is answered with.
    pub(super) async fn any(&self) -> Result<Bytes, String> {
        self.body(self.questions.next(), self.tokens.next()).await
    }

    /// What its calls came to.
    pub(super) fn into_tally(self) -> Tally {
        self.tally
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
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Calls for Direct {
    async fn call(&self, due: Instant) {
        let question = self.questions.next();
        let body = timeout(PATIENCE, self.body(question, self.tokens.next())).await;
        let outcome = match body.map(|body| body.map(|body| question.of_json(&body))) {
            Ok(Ok(Some(answer))) if question.is_of_all(&answer) => Outcome::Answered,
            Ok(Ok(_)) => Outcome::Wrong,
            Ok(Err(_)) => Outcome::Lost("no answer"),
            Err(_) => Outcome::Lost("no answer in time"),
        };
        self.tally.count(&outcome, due.elapsed());
    }

    fn tally(&self) -> &Tally {
        &self.tally
    }
}
