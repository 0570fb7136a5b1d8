//! The pipeline: the layers that every call passes before the services.
//!
//! | layer | why it is there |
//! |---|---|
//! | `in_flight` | Outermost, so that shutdown waits for every call. |
//! | [`grpc_only`] | What is not gRPC gets an HTTP status that its client understands, and no log line. |
//! | [`access_log`] | Around all layers that reject, so that every gRPC call has a line. |
//! | [`deadline`] | The clock starts with the headers, not when the message is here. |
//! | [`authenticate`] | A call without a token takes no permit, and its body is not read. |
//! | [`Regional::choose`] | As for a token; the services behind it are those of one region. |
//! | [`RequestBodies`] | The message is read before a permit is taken: a slow sender holds none. |
//! | [`compression`] | The elements of a compressed message cannot be counted. |
//! | [`element_limit`] | A small message can become a large one when it is decoded. |
//! | [`Pipeline::admit`] | Nothing waits for a permit: a queue would only add its own delay. |
//! | [`mod@map_tonic_errors`] | The statuses that tonic makes get our details and codes. |
//! | `catch_unwind` | Innermost, so that a handler that panics is like one that fails. |

mod access_log;
mod authenticate;
mod compression;
mod deadline;
mod element_limit;
mod grpc_only;
mod map_tonic_errors;

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use futures_util::FutureExt;
use http::HeaderMap;
use tonic::{Code, Status};
use tower::service_fn;

use super::CallLimits;
use super::body::{chunked, guarded};
use super::connection::executor;
use super::in_flight::InFlight;
use super::request_bodies::RequestBodies;
use crate::access_log::AccessLog;
use crate::context::{CallContext, StreamHandle};
use crate::credentials::Caller;
use crate::deadline::{Deadline, Drain};
use crate::error::{Error, Failure};
use crate::fair_share::{Exceeded, FairShare, Share};
use crate::memory::{MemoryLease, MemoryLimit};
use crate::rpc::{MAX_REQUEST, Rpc};
use crate::telemetry::Telemetry;
use crate::token_key::{TokenHasher, TokenKey};
use crate::upstream::regional::Regional;
use crate::upstream::{RequestContext, Reservations};
use authenticate::strip_metadata;
use map_tonic_errors::map_tonic_errors;

/// The layers around the services.
struct Pipeline<S> {
    in_flight: InFlight,
    telemetry: Telemetry,
    limits: CallLimits,
    drain: Drain,
    token_hasher: TokenHasher,
    request_bodies: RequestBodies,
    /// The concurrent calls, a quarter of them for one token.
    concurrency: FairShare<TokenKey>,
    /// The open watches, which have places of their own: they last for hours.
    watches: FairShare<TokenKey>,
    memory: MemoryLimit,
    services: Regional<S>,
}

/// One of the concurrent calls, until this is dropped.
type ConcurrencyPermit = Share<TokenKey>;

/// A call, as the layers after the deadline see it.
struct Call {
    rpc: &'static Rpc,
    access_log: AccessLog,
    deadline: Deadline,
    stream: StreamHandle,
}

/// Puts the layers around the services.
pub(super) fn stack<S, F>(
    services: Regional<S>,
    limits: CallLimits,
    token_hasher: TokenHasher,
    drain: Drain,
    in_flight: InFlight,
    [concurrency, watches]: [FairShare<TokenKey>; 2],
    telemetry: Telemetry,
) -> Router
where
    S: Fn(CallContext, Request) -> F + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let memory = MemoryLimit::new(limits.message_memory);
    let pipeline = Arc::new(Pipeline {
        in_flight,
        telemetry,
        limits,
        drain,
        token_hasher,
        request_bodies: RequestBodies::new(
            // No more could be admitted if they all came at once.
            limits.max_in_flight.saturating_mul(2),
            MAX_REQUEST,
            Some(memory.clone()),
        ),
        concurrency,
        watches,
        memory,
        services,
    });
    let call = service_fn(move |request| {
        let pipeline = Arc::clone(&pipeline);
        async move { Ok::<_, Infallible>(pipeline.call(Box::new(request)).await) }
    });
    Router::new().fallback_service(call)
}

impl<S, F> Pipeline<S>
where
    S: Fn(CallContext, Request) -> F,
    F: Future<Output = Response>,
{
    /// Leads a call through the layers.
    ///
    /// They are one future, with the request in one place. As a
    /// `tower::ServiceBuilder` builds them, each would be a future of its own
    /// with a copy of those within, and with room for the request: a third of
    /// the memory of a call that waits for the vendor.
    async fn call(&self, mut request: Box<Request>) -> Response {
        let counted = self.in_flight.clone().enter();
        if let Some(response) = grpc_only::reject(&request) {
            return response;
        }
        let rpc = Rpc::find(request.uri().path());
        let line = access_log::begin(rpc, request.headers_mut(), &self.telemetry);
        let response = match rpc {
            None => reject(Error::UnknownMethod, Duration::ZERO, line.access_log()),
            Some(rpc) => {
                let policy = self.limits.deadlines;
                let deadline = if rpc.is_stream {
                    policy.for_stream(request.headers())
                } else {
                    policy.for_call(request.headers())
                };
                let call = Call {
                    rpc,
                    access_log: line.access_log().clone(),
                    deadline: deadline.with_drain(self.drain.clone()),
                    stream: executor::stream_handle(),
                };
                let response = deadline::enforce(&call, self.serve(request, &call)).await;
                response.unwrap_or_else(|error| call.reject(error))
            }
        };
        let response = line.end(rpc, response);
        response.map(|body| guarded(body, counted))
    }

    /// Leads a call through the layers that may reject it, to its response.
    async fn serve(&self, mut request: Box<Request>, call: &Call) -> Result<Response, Error> {
        let (caller, is_client_retry) =
            authenticate::authenticate(request.headers(), &self.token_hasher)?;
        let chosen = self.services.choose(request.headers())?;
        if self.services.has_choice() {
            let region = chosen.region.map(|region| region.name);
            call.access_log.set_region(region);
        }
        strip_metadata(&mut request);
        compression::negotiate(request.headers_mut());
        let mut size = 0;
        // The service reads the messages of a stream, and charges them.
        if !call.rpc.is_stream || call.rpc.is_watch {
            // Rejects a call that would get no permit now, before its message is
            // read.
            drop(self.permit(call.rpc, &caller)?);
            let body = std::mem::take(request.body_mut());
            let message = self.request_bodies.read(body).await?;
            let message = compression::decompress(request.headers_mut(), message)?;
            element_limit::check(call.rpc, &message, self.limits.max_bulk_ids)?;
            size = message.len();
            *request.body_mut() = Body::from(message);
        }
        let (permit, memory) = self.admit(call.rpc, &caller, size)?;
        let context = CallContext {
            rpc: call.rpc,
            request: RequestContext {
                caller,
                deadline: call.deadline.clone(),
                access_log: call.access_log.clone(),
                memory: memory.clone(),
                is_client_retry,
                is_repeated_by_sender: false,
                reservations: Reservations::default(),
            },
            stream: call.stream.clone(),
        };
        // What the layers read of a call after a panic is consistent at any time.
        // The message of the panic may hold anything that the handler knew; the
        // hook of `logging.rs` logs where it was.
        let response = AssertUnwindSafe((chosen.value)(context, *request))
            .catch_unwind()
            .await;
        let response = response.map_err(|_| Error::Panicked)?;
        let response = map_tonic_errors(response, call);
        // Held until the caller has read the response, which may be slow.
        Ok(response.map(|body| chunked(body, (permit, memory))))
    }

    /// Takes a permit, and the memory of a message of this size, without waiting.
    fn admit(
        &self,
        rpc: &Rpc,
        caller: &Caller,
        size: usize,
    ) -> Result<(ConcurrencyPermit, MemoryLease), Error> {
        let permit = self.permit(rpc, caller)?;
        let lease = self.memory.lease(Some(caller.key()));
        lease.reserve(size).map_err(|_| Error::MemoryExhausted)?;
        Ok((permit, lease))
    }

    fn permit(&self, rpc: &Rpc, caller: &Caller) -> Result<ConcurrencyPermit, Error> {
        let places = if rpc.is_watch {
            &self.watches
        } else {
            &self.concurrency
        };
        let permit = places.acquire(Some(caller.key()), 1);
        permit.map_err(|exceeded| match (exceeded, rpc.is_watch) {
            (Exceeded::Total, false) => Error::Overloaded,
            (Exceeded::Share, false) => Error::TokenConcurrency,
            (Exceeded::Total, true) if places.total() == 0 => Error::WatchesOff,
            (Exceeded::Total, true) => Error::TooManyWatches,
            (Exceeded::Share, true) => Error::TokenWatches,
        })
    }
}

/// The response to a call that fails with `error` and has so much time left.
fn reject(error: Error, remaining: Duration, access_log: &AccessLog) -> Response {
    let status = Failure::from(error).into_status(remaining);
    access_log.finish_with(&status);
    status.into_http()
}

/// The code of a response. One without a code has a message, so it succeeds.
fn code(headers: &HeaderMap) -> Code {
    let status = headers.get(Status::GRPC_STATUS);
    status.map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()))
}

impl Call {
    fn reject(&self, error: Error) -> Response {
        reject(error, self.deadline.remaining(), &self.access_log)
    }
}

#[cfg(test)]
mod tests;
