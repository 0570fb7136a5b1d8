//! Sends a request: waits for the rate limiter, attempts it, updates the limiter
//! from the response, and retries. `request.rs` has [`Sender::exchange`], the
//! HTTP exchange of one attempt.

use std::pin::pin;
use std::sync::OnceLock;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::client::RotatingClient;
use super::endpoint::Endpoint;
use super::queue_status::QueueStatus;
use super::rate_limit::{RateLimiter, RatePermit, Ticket};
use super::response::cancelled;
use super::retry::{Attempts, Budget, Decision};
use super::tracked_body::TrackedBody;
use super::{RequestContext, UpstreamResponse};
use crate::error::{Error, Failure, Waiting};
use crate::operation::RestRequest;
use crate::telemetry::Peer;

/// The longest that a `Retry-After` throttles a token. Callers see
/// longer waits in their errors, but one call tries again after this one.
const MAX_THROTTLE: Duration = Duration::from_mins(10);

/// Sends requests to the upstream API. Clones share its clients, its rate
/// limiter and its retry budget.
#[derive(Debug, Clone)]
pub(super) struct Sender {
    pub(super) clients: RotatingClient,
    pub(super) endpoint: Endpoint,
    pub(super) peer: Peer,
    pub(super) rate_limiter: RateLimiter,
    pub(super) budget: Budget,
}

impl Sender {
    /// Sends a request for one call. A batch of a stream expires after the
    /// stream's batch limit, counted from when the request may start.
    pub(super) async fn send(
        &self,
        request: &RestRequest,
        context: &RequestContext,
    ) -> Result<UpstreamResponse, Failure> {
        let queue_status = match context.deadline.batch_limit() {
            Some(_) => QueueStatus::observed(),
            None => QueueStatus::default(),
        };
        tokio::select! {
            biased;
            result = self.send_observed(request, context, &queue_status) => result,
            error = queue_status.batch_expired(&context.deadline) => Err(error),
        }
    }

    /// Sends a request, and records its status in the queue for the calls that
    /// wait for it.
    pub(super) async fn send_observed(
        &self,
        request: &RestRequest,
        context: &RequestContext,
        queue_status: &QueueStatus,
    ) -> Result<UpstreamResponse, Failure> {
        let (token, deadline) = (context.caller.key(), &context.deadline);
        let mut attempts = Attempts::new(&self.budget, request.spec, context);
        let mut resends = 0;
        let mut ticket = None;
        loop {
            let attempt = resends + 1;
            let permit = self.permit(context, ticket, &attempts, attempt, queue_status);
            let permit = match permit.await {
                Ok(permit) => permit,
                Err(error) => return Err(attempts.failure_without_retry(error)),
            };
            let current = *ticket.insert(permit.ticket());
            let mut result = self.attempt(request, context, permit, resends).await;
            self.update_rate_limiter(context, current, attempts.throttled, &mut result);
            match attempts.decide(result) {
                Decision::Done(result) => return result,
                Decision::Requeue => continue,
                // The rate limiter delays the next permit of a throttled token.
                Decision::RetryThrottled(_) if self.rate_limiter.is_enabled() => {}
                Decision::Retry(wait) => drop(deadline.timeout(sleep(wait)).await),
                Decision::RetryAfter(wait) | Decision::RetryThrottled(wait) => {
                    let until = Instant::now() + wait;
                    queue_status.set_queued(until, || attempts.failure_after(wait));
                    // The rate limiter may give the next permit later than that.
                    let delay = self.rate_limiter.delay(token);
                    if delay >= deadline.remaining() {
                        return Err(attempts.failure_after(delay));
                    }
                    tokio::select! {
                        _ = deadline.timeout(sleep(wait)) => {}
                        // Another replica can retry it.
                        _ = deadline.drain().begun() => {
                            return Err(attempts.failure_without_retry(Error::Draining));
                        }
                    }
                }
            }
            resends += 1;
        }
    }

    /// Waits until a request of the token may start. A request that started before
    /// keeps its place in the queue, and uses none of the call's reservations.
    async fn permit(
        &self,
        context: &RequestContext,
        before: Option<Ticket>,
        attempts: &Attempts<'_>,
        attempt: u32,
        queue_status: &QueueStatus,
    ) -> Result<RatePermit, Error> {
        let (token, deadline) = (context.caller.key(), &context.deadline);
        if deadline.is_expired() {
            return Err(Error::DeadlineExceeded(deadline.passed(Waiting::Nothing)));
        }
        let telemetry = context.access_log.telemetry();
        // Begins when the request has to wait: a busy thread is no wait.
        let measured = OnceLock::new();
        let end = || deadline.instant();
        let on_wait = |until: Instant, refused| {
            measured.get_or_init(|| telemetry.rate_limit_wait());
            let delay = until.saturating_duration_since(Instant::now());
            queue_status.set_queued(until, || {
                attempts.failure_without_retry(Error::RateLimited { delay, refused })
            });
        };
        // Pinned here, because futures that own it would have room for it twice.
        let permit = pin!(async {
            let reservation = match before {
                Some(ticket) => self.rate_limiter.requeue(token, ticket, end()).await?,
                None => match context.reservations.take() {
                    Some(reservation) => reservation,
                    None => self.rate_limiter.reserve_one(token, end()).await?,
                },
            };
            reservation.wait(end, on_wait).await
        });
        tokio::select! {
            biased;
            permit = deadline.timeout(permit) => {
                let passed = || Error::DeadlineExceeded(deadline.passed(Waiting::RateLimit));
                let permit = permit.ok_or_else(passed)??;
                queue_status.set_started(attempt);
                permit.remaining.inspect(|&share| telemetry.quota_remaining(share));
                Ok(permit)
            }
            // Another replica can send it in time.
            _ = deadline.drain().begun() => Err(Error::Draining),
        }
    }

    /// Tells the rate limiter what the response shows about the token: whether
    /// the vendor knows it, and whether it throttles it. The request had this
    /// ticket, and was throttled `throttled` times before.
    fn update_rate_limiter(
        &self,
        context: &RequestContext,
        ticket: Ticket,
        throttled: u32,
        result: &mut Result<UpstreamResponse, Failure>,
    ) {
        let token = context.caller.key();
        let error = match result {
            Ok(_) => return self.rate_limiter.record_success(token, ticket),
            Err(failure) => &mut failure.error,
        };
        match error {
            Error::UpstreamStatus(_, response) if response.status == 401 => {
                self.rate_limiter.mark_valid(token, false);
            }
            // It may be about channels alone. Other requests get their own.
            Error::UpstreamStatus(_, response)
                if response.status == 429 && context.is_repeated_by_sender => {}
            Error::UpstreamStatus(_, response) if response.status == 429 => {
                let retry_after = response.retry_after.map(|delay| delay.min(MAX_THROTTLE));
                let limiter = &self.rate_limiter;
                response.wait_at_least(limiter.throttle(token, ticket, retry_after, throttled));
            }
            // The error body is the vendor's, which checks the token first.
            error
                if error
                    .response()
                    .is_some_and(|response| response.body.is_some()) =>
            {
                self.rate_limiter.record_success(token, ticket);
            }
            _ => {}
        }
    }

    /// Sends a request once. Returns [`Error::RateLimited`], and does not send it, if
    /// the token is throttled before a connection has taken the request.
    async fn attempt(
        &self,
        request: &RestRequest,
        context: &RequestContext,
        permit: RatePermit,
        resends: u32,
    ) -> Result<UpstreamResponse, Failure> {
        if context.deadline.is_expired() {
            let passed = context.deadline.passed(Waiting::RateLimit);
            return Err(Error::DeadlineExceeded(passed).into());
        }
        context.access_log.record_upstream_request();
        let mut span = context
            .access_log
            .telemetry()
            .attempt(request.spec, &self.peer, resends);
        let revocation = permit.revocation();
        let body = TrackedBody::new(request.body.clone(), permit);
        let state = body.state();
        let result = tokio::select! {
            // The revocation first, so that a throttled request takes no connection.
            biased;
            () = revocation.revoked(|| !state.is_settled()) => {
                // A connection that holds the request drops it at its next poll,
                // unless it is writing the request at this moment.
                revocation.wait_until(|| state.is_settled()).await;
                Err(if state.never_sent() {
                    // The caller learns what the next permit waits for.
                    let delay = self.rate_limiter.delay(context.caller.key());
                    let refused = None;
                    Error::RateLimited { delay, refused }.into()
                } else {
                    cancelled(request.spec).into()
                })
            }
            result = self.exchange(request, context, body, resends + 1, &mut span) => result,
        };
        span.end(result.as_ref().err().map(|failure| &failure.error));
        result
    }
}
