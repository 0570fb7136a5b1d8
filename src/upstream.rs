//! The vendor's API, reached through the one pooled HTTP client.

mod body;
pub mod client;
mod coalesce;
mod connection;
mod connector;
mod context;
pub mod endpoint;
pub mod rate_limit;
mod request;
mod resolve;
mod response;
mod retry;
pub(crate) mod singleflight;
mod tracked_body;
mod tunnel;

use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use tokio::time::{Instant, sleep};

use crate::error::{Error, Failure};
use crate::operation::Call;
use crate::telemetry::Peer;
use crate::token_key::TokenKey;
use client::{ClientOptions, RotatingClient};
use coalesce::ReadCoalescer;
pub use context::{RequestContext, Reservations};
use endpoint::Endpoint;
use rate_limit::{Permit, RateLimiter, Turn};
use response::recalled;
pub(crate) use response::why;
use retry::{Attempts, Budget, Next};
use singleflight::QueueNotice;
use tracked_body::TrackedBody;

/// The longest that a token is kept from calling on the vendor's word. Longer
/// waits are told to the caller, but one call tries again after this one.
const MAX_PARKING: Duration = Duration::from_mins(10);

/// The upstream API.
#[derive(Debug, Clone)]
pub struct Upstream {
    clients: RotatingClient,
    base: Endpoint,
    peer: Peer,
    quota: RateLimiter,
    budget: Budget,
    /// The reads under way that others may share.
    reads: Option<ReadCoalescer>,
}

/// The answer to a call that succeeded.
#[derive(Debug, Clone, Default)]
pub struct Reply<T = Bytes> {
    /// The body: as it came, where it is not decoded yet; empty for an
    /// operation that promises none.
    pub body: T,
    /// The vendor's name for the call.
    pub correlation_id: Option<HeaderValue>,
}

impl<T> Reply<T> {
    /// The same answer with another body.
    pub(crate) fn map<U>(self, body: impl FnOnce(T) -> U) -> Reply<U> {
        Reply {
            body: body(self.body),
            correlation_id: self.correlation_id,
        }
    }
}

impl Upstream {
    /// The API at `base`, reached in this way.
    ///
    /// # Errors
    ///
    /// If the system has no certificates of authorities, which TLS needs.
    pub fn new(
        base: Endpoint,
        outbound: ClientOptions,
        quota: RateLimiter,
    ) -> Result<Self, String> {
        let clients = RotatingClient::new(&base, outbound)?;
        let (host, port) = base.place();
        let peer = Peer::new(base.to_string(), &host, port);
        Ok(Self {
            clients,
            base,
            peer,
            quota,
            budget: Budget::default(),
            reads: None,
        })
    }

    /// The same API, of which identical reads of one token that are under way
    /// together are one request.
    #[must_use]
    pub fn with_shared_reads(self) -> Self {
        let reads = Some(ReadCoalescer::default());
        Self { reads, ..self }
    }

    /// Reserves the turns of so many calls, before any is sent.
    ///
    /// # Errors
    ///
    /// [`Error::RateLimited`], if the last one's turn comes too late.
    pub fn reserve(&self, terms: &RequestContext, count: usize) -> Result<(), Error> {
        let (token, end) = (terms.caller.key(), terms.deadline.instant());
        terms
            .reservations
            .keep(self.quota.line_up(token, count, end)?);
        Ok(())
    }

    /// Sends a call with the caller's token when its turn has come, again
    /// where that is safe and may help, and reads the answer.
    ///
    /// # Errors
    ///
    /// Any failure between here and the vendor, and any answer that is no
    /// success. Whether a write may have been applied is always told.
    pub async fn send(&self, call: &Call, terms: &RequestContext) -> Result<Reply, Failure> {
        match &self.reads {
            Some(reads) if call.spec.is_read() => reads.send(self, call, terms).await,
            Some(reads) => {
                let _write = reads.write(terms.caller.key());
                self.send_alone(call, terms).await
            }
            None => self.send_alone(call, terms).await,
        }
    }

    /// Sends a call that nobody else waits for.
    async fn send_alone(&self, call: &Call, terms: &RequestContext) -> Result<Reply, Failure> {
        if terms.deadline.batch_limit().is_none() {
            return self.send_shared(call, terms, &QueueNotice::default()).await;
        }
        let wait = QueueNotice::shared();
        tokio::select! {
            biased;
            answer = self.send_shared(call, terms, &wait) => answer,
            why = wait.is_overdue(&terms.deadline) => Err(why),
        }
    }

    /// Sends a call for all that wait for it.
    ///
    /// # Errors
    ///
    /// As [`Self::send`].
    pub(crate) async fn send_shared(
        &self,
        call: &Call,
        terms: &RequestContext,
        others: &QueueNotice,
    ) -> Result<Reply, Failure> {
        let (token, deadline) = (terms.caller.key(), &terms.deadline);
        let mut attempts = Attempts::new(&self.budget, call.spec, terms.is_retry);
        let mut resends = 0;
        let mut turn = None;
        loop {
            let start = match self.turn(terms, turn, &attempts, others).await {
                Ok(start) => start,
                Err(error) => return Err(attempts.given_up(error.into())),
            };
            let turn = *turn.insert(start.turn());
            let mut answer = self.attempt(call, terms, start, resends).await;
            self.learn(token, turn, attempts.throttled(), &mut answer);
            let next = attempts.after(answer, deadline.remaining());
            if let (Some(wait), Some(failure)) = (next.wait(), attempts.last()) {
                terms.access_log.scope().backoff(&failure.error, wait);
            }
            if attempts.is_refused() {
                terms.access_log.scope().retry_refused();
            }
            match next {
                Next::End(answer) => return answer,
                Next::Turn => continue,
                // The token is parked: its next turn is after that.
                Next::Throttled(_) if self.quota.is_paced() => {}
                Next::Again(wait) => drop(deadline.timeout(sleep(wait)).await),
                Next::Later(wait) | Next::Throttled(wait) => {
                    if let Some(last) = attempts.last() {
                        others.until(Instant::now() + wait, || last.clone());
                    }
                    // The token's next turn may be later than the vendor asks for.
                    let turn = self.quota.delay(token);
                    if turn >= deadline.remaining() {
                        return Err(attempts.given_up(Error::RateLimited(turn).into()));
                    }
                    tokio::select! {
                        _ = deadline.timeout(sleep(wait)) => {}
                        // Another replica can send it as well.
                        _ = deadline.drain().begun() => {
                            return Err(attempts.given_up(Error::Draining.into()));
                        }
                    }
                }
            }
            resends += 1;
        }
    }

    /// Waits until a request of the token may start. One that had its turn
    /// before keeps its place in the queue; what was reserved is for others.
    async fn turn(
        &self,
        terms: &RequestContext,
        before: Option<Turn>,
        attempts: &Attempts<'_>,
        others: &QueueNotice,
    ) -> Result<Permit, Error> {
        let (token, deadline) = (terms.caller.key(), &terms.deadline);
        if deadline.is_expired() {
            return Err(Error::DeadlineExceeded);
        }
        let scope = terms.access_log.scope();
        let _turn = scope.turn();
        let end = || deadline.instant();
        let waits = |turn: Instant| {
            let wait = turn.saturating_duration_since(Instant::now());
            others.until(turn, || attempts.given_up(Error::RateLimited(wait).into()));
        };
        let start = async {
            let ticket = match before {
                Some(turn) => self.quota.line_up_again(token, turn, end())?,
                None => match terms.reservations.take() {
                    Some(ticket) => ticket,
                    None => self.quota.line_up_one(token, end())?,
                },
            };
            ticket.turn(end, waits).await
        };
        tokio::select! {
            biased;
            admitted = deadline.timeout(start) => match admitted {
                Some(Ok(start)) => {
                    others.is_over();
                    start.left.inspect(|&left| scope.quota_remaining(left));
                    Ok(start)
                }
                Some(Err(denied)) => Err(denied.into()),
                None => Err(Error::DeadlineExceeded),
            },
            // Another replica can send it, and in time.
            _ = deadline.drain().begun() => Err(Error::Draining),
        }
    }

    /// Takes from an answer what it says of the token, whose request had this
    /// turn and was throttled so often before.
    fn learn(
        &self,
        token: TokenKey,
        turn: Turn,
        throttled: u32,
        answer: &mut Result<Reply, Failure>,
    ) {
        let error = match answer {
            Ok(_) => return self.quota.accept(token, turn),
            Err(failure) => &mut failure.error,
        };
        match error {
            Error::UpstreamStatus(_, fault) if fault.status == 401 => {
                self.quota.vouch(token, false);
            }
            Error::UpstreamStatus(_, fault) if fault.status == 429 => {
                let asked = fault.retry_after.map(|asked| asked.min(MAX_PARKING));
                let wait = self.quota.refuse(token, turn, asked, throttled);
                fault.wait_at_least(wait);
            }
            // In the vendor's words, so that it has looked at the token first.
            error if error.fault().is_some_and(|fault| fault.body.is_some()) => {
                self.quota.accept(token, turn);
            }
            _ => {}
        }
    }

    /// Sends a call once, which had been sent so often before. Where its token
    /// is parked before it leaves, it does not, and is [`Error::RateLimited`].
    async fn attempt(
        &self,
        call: &Call,
        terms: &RequestContext,
        start: Permit,
        resends: u32,
    ) -> Result<Reply, Failure> {
        if terms.deadline.is_expired() {
            return Err(Error::DeadlineExceeded.into());
        }
        terms.access_log.upstream_call();
        let mut told = terms
            .access_log
            .scope()
            .attempt(call.spec, &self.peer, resends);
        let recall = start.recall();
        let body = TrackedBody::new(call.body.clone(), start);
        let departure = body.departure();
        let answer = tokio::select! {
            // First, so that it has no connection since.
            biased;
            () = recall.parked(|| !departure.is_settled()) => None,
            answer = self.exchange(call, terms, body, &mut told) => Some(answer),
        };
        let answer = if let Some(answer) = answer {
            answer
        } else {
            // A connection that has taken it drops it when it looks, unless it
            // is writing it at this very moment.
            recall.until(|| departure.is_settled()).await;
            if departure.is_ruled_out() {
                Err(Error::RateLimited(self.quota.delay(terms.caller.key())).into())
            } else {
                Err(recalled(call.spec).into())
            }
        };
        told.ended(answer.as_ref().err().map(|failure| &failure.error));
        answer
    }
}
