//! The vendor's API, reached through the one pooled HTTP client.

#![expect(
    clippy::disallowed_types,
    reason = "the one place that calls the vendor"
)]

pub mod base;
pub mod client;
mod departure;
pub mod fault;
pub mod quota;
mod retry;

use std::error::Error as _;
use std::fmt::Write;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use reqwest::{Body, Response};
use tonic::Code;

use crate::credentials::{Caller, TokenKey};
use crate::deadline::Deadline;
use crate::error::{CORRELATION_ID, Error, Failure, Reason, Uncertainty, correlation_id};
use crate::operation::{Answer, Call, Spec};
use crate::record::Record;
use base::Base;
use client::{Clients, Outbound};
use departure::Departing;
use fault::Fault;
use quota::Quota;
use retry::{Attempts, Budget, Next};
use tokio::time::sleep;

/// The largest answer that is read, in bytes: twice what a caller receives in
/// one message unless it asked for more.
const MAX_ANSWER: usize = 8 * 1024 * 1024;

/// The largest error body that is read, in bytes; a larger one counts as none.
const MAX_ERROR_BODY: usize = 1024 * 1024;

/// The longest that a token is kept from calling on the vendor's word. Longer
/// waits are told to the caller, but one call tries again after this one.
const MAX_PARKING: Duration = Duration::from_mins(10);

/// The upstream API.
#[derive(Debug, Clone)]
pub struct Upstream {
    clients: Clients,
    base: Base,
    quota: Quota,
    budget: Budget,
}

/// What a call is sent with: whose token is forwarded, the time left, and
/// where it is noted what was done.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Whose token is forwarded.
    pub caller: Caller,
    /// When the call must have been answered.
    pub deadline: Deadline,
    /// What is noted about the call.
    pub record: Record,
    /// Whether the client repeats the call by itself, so that nobody else should.
    pub is_repeated: bool,
}

/// The answer to a call that succeeded.
#[derive(Debug, Default)]
pub struct Reply {
    /// The body as it came; empty for an operation that promises none.
    pub body: Bytes,
    /// The vendor's name for the call.
    pub correlation_id: Option<HeaderValue>,
}

impl Upstream {
    /// The API at `base`, reached in this way.
    ///
    /// # Errors
    ///
    /// If the system has no certificates of authorities, which TLS needs.
    pub fn new(base: Base, outbound: Outbound, quota: Quota) -> Result<Self, String> {
        let clients = Clients::new(&base, outbound)?;
        Ok(Self {
            clients,
            base,
            quota,
            budget: Budget::default(),
        })
    }

    /// Checks that so many calls could be sent in time, before any is.
    ///
    /// # Errors
    ///
    /// [`Error::Paced`], if the last one's turn comes too late.
    pub fn check(&self, terms: &Terms, count: usize) -> Result<(), Error> {
        let end = terms.deadline.instant();
        let checked = self.quota.check(terms.caller.key(), count, end);
        checked.map_err(Error::from)
    }

    /// Sends a call with the caller's token when its turn has come, again
    /// where that is safe and may help, and reads the answer.
    ///
    /// # Errors
    ///
    /// Any failure between here and the vendor, and any answer that is no
    /// success. Whether a write may have been applied is always told.
    pub async fn send(&self, call: &Call, terms: &Terms) -> Result<Reply, Failure> {
        let (token, deadline) = (terms.caller.key(), &terms.deadline);
        let mut attempts = Attempts::new(&self.budget, call.spec, terms.is_repeated);
        loop {
            if let Err(error) = self.turn(token, deadline).await {
                return Err(attempts.given_up(error.into()));
            }
            let answer = self.attempt(call, terms).await;
            if let Err(failure) = &answer {
                self.learn(token, &failure.error);
            }
            match attempts.after(answer, deadline.left()) {
                Next::End(answer) => return answer,
                // At a drain, it is sent again at once or not at all.
                Next::Again(wait) => tokio::select! {
                    _ = deadline.bound(sleep(wait)) => {}
                    _ = deadline.drain().begun() => {}
                },
            }
        }
    }

    /// Waits until a request of the token may start.
    async fn turn(&self, token: TokenKey, deadline: &Deadline) -> Result<(), Error> {
        tokio::select! {
            biased;
            admitted = deadline.bound(self.quota.admit(token, deadline.instant())) => match admitted {
                Some(admitted) => Ok(admitted?),
                None => Err(Error::Expired),
            },
            // Another replica can send it, and in time.
            _ = deadline.drain().begun() => Err(Error::Draining),
        }
    }

    /// Takes from a refusal what it says of the token.
    fn learn(&self, token: TokenKey, error: &Error) {
        match error {
            Error::Refused(_, fault) if fault.status == 429 => {
                let delay = error.retry_delay().unwrap_or_default();
                self.quota.park(token, delay.min(MAX_PARKING));
            }
            // No token of the vendor's, so nothing is counted for it there.
            Error::Refused(_, fault) if fault.status == 401 => self.quota.forget(token),
            _ => {}
        }
    }

    async fn attempt(&self, call: &Call, terms: &Terms) -> Result<Reply, Failure> {
        let Terms {
            caller,
            deadline,
            record,
            ..
        } = terms;
        let spec = call.spec;
        if deadline.has_passed() {
            return Err(Error::Expired.into());
        }
        record.upstream_call();
        let body = Departing::new(call.body.clone());
        let departure = body.departure();
        let request = self.request(call, caller).body(Body::wrap(body));
        let mut response = match deadline.bound(request.send()).await {
            Some(Ok(response)) => response,
            None if !departure.has_begun() => return Err(Error::Expired.into()),
            None => return Err(expired(spec).into()),
            Some(Err(error)) if error.is_builder() => {
                let why = format!(
                    "the request to the presence API cannot be made: {}",
                    why(error)
                );
                return Err(Error::Protocol(Reason::Internal, Code::Internal, why).into());
            }
            Some(Err(error)) if !departure.has_begun() => {
                return Err(Error::Unreachable(why(error)).into());
            }
            Some(Err(error)) => return Err(lost(spec, error).into()),
        };
        let id = response.headers().get(CORRELATION_ID);
        let id = id.and_then(|id| correlation_id(id.as_bytes()));
        match read(spec, &mut response, deadline).await {
            Ok(body) => Ok(Reply {
                body,
                correlation_id: id,
            }),
            Err(error) => Err(Failure {
                correlation_id: id.or_else(|| {
                    let body = error.fault()?.body.as_ref()?;
                    correlation_id(body.context_id.as_deref()?.as_bytes())
                }),
                ..error.into()
            }),
        }
    }

    fn request(&self, call: &Call, caller: &Caller) -> reqwest::RequestBuilder {
        let url = self.base.url(&call.path_and_query);
        let request = self
            .clients
            .current()
            .request(call.spec.method.clone(), url)
            .header(header::AUTHORIZATION, caller.authorization())
            .header(header::ACCEPT, "application/json");
        match &call.body {
            None => request,
            Some(_) => request.header(header::CONTENT_TYPE, "application/json"),
        }
    }
}

/// Reads an answer: the body of a success, or what a refusal says.
async fn read(
    spec: &'static Spec,
    response: &mut Response,
    deadline: &Deadline,
) -> Result<Bytes, Error> {
    let status = response.status();
    if status.is_redirection() || status.is_informational() {
        return Err(Error::Redirected(status.as_u16()));
    }
    if !status.is_success() {
        // What was refused stays refused, also where the body breaks off, or
        // does not come in time.
        let body = deadline.bound(body(response, MAX_ERROR_BODY)).await;
        let body = body.and_then(Result::ok).flatten().unwrap_or_default();
        return Err(refused(spec, status, response.headers(), &body));
    }
    if matches!(spec.answer, Answer::Nothing) {
        return Ok(Bytes::new());
    }
    if is_encoded(response.headers()) {
        let what = "it is compressed, which was not asked for".to_owned();
        return Err(Error::Unreadable { spec, what });
    }
    match deadline.bound(body(response, MAX_ANSWER)).await {
        Some(Ok(Some(body))) => Ok(body),
        Some(Ok(None)) => {
            let what = format!("it is larger than {MAX_ANSWER} bytes");
            Err(Error::Unreadable { spec, what })
        }
        Some(Err(error)) => Err(lost(spec, error)),
        None => Err(expired(spec)),
    }
}

/// Whether a body is compressed, or hidden in another way.
fn is_encoded(headers: &HeaderMap) -> bool {
    let encodings = headers.get_all(header::CONTENT_ENCODING);
    encodings.iter().any(|encoding| {
        let encoding = encoding.as_bytes().trim_ascii();
        !encoding.is_empty() && !encoding.eq_ignore_ascii_case(b"identity")
    })
}

/// Reads a body up to `max` bytes; `None` for a larger one.
async fn body(response: &mut Response, max: usize) -> Result<Option<Bytes>, reqwest::Error> {
    let declared = response.content_length().unwrap_or_default();
    if declared > max as u64 {
        return Ok(None);
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > max {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body.freeze()))
}

fn refused(spec: &'static Spec, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Error {
    let fault = Box::new(Fault::read(status.as_u16(), headers, body));
    match status.as_u16() {
        502 | 504 if !spec.is_read() => Error::OutcomeUnknown(Uncertainty::Refused(fault)),
        _ => Error::Refused(spec, fault),
    }
}

fn expired(spec: &Spec) -> Error {
    if spec.is_read() {
        Error::Expired
    } else {
        Error::OutcomeUnknown(Uncertainty::Expired)
    }
}

fn lost(spec: &Spec, error: reqwest::Error) -> Error {
    let why = why(error);
    if spec.is_read() {
        Error::Lost(why)
    } else {
        Error::OutcomeUnknown(Uncertainty::Lost(why))
    }
}

/// Tells an error with its causes, and without the URL, which holds ids.
fn why(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut why = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        // `write!` to a `String` cannot fail.
        let _ = write!(why, ": {cause}");
        source = cause.source();
    }
    why
}
