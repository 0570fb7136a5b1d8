//! The pipeline: the layers that every call passes before the services.
//!
//! | layer | why it is there |
//! |---|---|
//! | `in_flight` | Outermost, so that shutdown waits for every call. |
//! | [`grpc_only`] | What is not gRPC gets an HTTP status that its client understands, and no log line. |
//! | [`access_log`] | Around all layers that reject, so that every gRPC call has a line. |
//! | [`deadline`] | The clock starts with the headers, not when the message is here. |
//! | [`authenticate`] | A call without a token takes no permit, and its body is not read. |
//! | [`mod@buffer_request`] | The message is read before a permit is taken: a slow sender holds none. |
//! | [`compression`] | The elements of a compressed message cannot be counted. |
//! | [`element_limit`] | A small message can become a large one when it is decoded. |
//! | [`mod@admit`] | Nothing waits for a permit: a queue would only add its own delay. |
//! | [`mod@map_tonic_errors`] | The statuses that tonic makes get our details and codes. |
//! | [`mod@catch_panic`] | Innermost, so that a handler that panics is like one that fails. |

mod access_log;
mod admit;
mod authenticate;
mod buffer_request;
mod catch_panic;
mod compression;
mod deadline;
mod element_limit;
mod grpc_only;
mod map_tonic_errors;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use tower::service_fn;

use super::CallLimits;
use super::body::{chunked, guarded};
use super::concurrency_limit::ConcurrencyLimit;
use super::connection::executor;
use super::in_flight::InFlight;
use super::reject::reject;
use super::request_buffers::{Bounds, RequestBuffers};
use crate::access_log::AccessLog;
use crate::context::{CallContext, StreamHandle};
use crate::deadline::{Deadline, Drain};
use crate::error::Error;
use crate::memory::MemoryLimit;
use crate::rpc::{MAX_REQUEST, Rpc};
use crate::telemetry::Telemetry;
use crate::upstream::{RequestContext, Reservations};
use admit::admit;
use buffer_request::buffer_request;
use catch_panic::catch_panic;
use map_tonic_errors::map_tonic_errors;

/// The layers around the services.
struct Pipeline<S> {
    in_flight: InFlight,
    telemetry: Telemetry,
    limits: CallLimits,
    drain: Drain,
    buffers: RequestBuffers,
    concurrency: ConcurrencyLimit,
    memory: MemoryLimit,
    services: S,
}

/// What the layers behind the deadline have of a call.
struct Call {
    rpc: &'static Rpc,
    access_log: AccessLog,
    deadline: Deadline,
    stream: StreamHandle,
}

/// Puts the layers around the services.
pub(super) fn stack<S, F>(
    services: S,
    limits: CallLimits,
    drain: Drain,
    in_flight: InFlight,
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
        buffers: RequestBuffers::new(Bounds {
            // No more could be admitted if they all came at once.
            count: limits.max_in_flight.saturating_mul(2),
            message: MAX_REQUEST,
            memory: Some(memory.clone()),
        }),
        concurrency: ConcurrencyLimit::new(limits.max_in_flight),
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
                let call = Call {
                    rpc,
                    access_log: line.access_log().clone(),
                    deadline: deadline::new(rpc, request.headers(), self.limits.deadlines)
                        .with_drain(self.drain.clone()),
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
        let (caller, is_retry) = authenticate::authenticate(&mut request)?;
        compression::negotiate(request.headers_mut());
        let mut size = 0;
        // The service reads the messages of a stream, and charges them.
        if !call.rpc.is_stream {
            let body = std::mem::take(request.body_mut());
            let message = buffer_request(&self.buffers, &self.concurrency, &caller, body).await?;
            let message = compression::decompress(request.headers_mut(), message, MAX_REQUEST)?;
            element_limit::check(call.rpc, &message, self.limits.max_bulk_ids)?;
            size = message.len();
            *request.body_mut() = Body::from(message);
        }
        let (permit, memory) = admit(&self.concurrency, &self.memory, &caller, size)?;
        let context = CallContext {
            rpc: call.rpc,
            request: RequestContext {
                caller,
                deadline: call.deadline.clone(),
                access_log: call.access_log.clone(),
                memory: memory.clone(),
                is_retry,
                reservations: Reservations::default(),
            },
            stream: call.stream.clone(),
        };
        let response = catch_panic((self.services)(context, *request)).await?;
        let response = map_tonic_errors(response, call);
        // Held until the caller has read the response, which may be slow.
        Ok(response.map(|body| chunked(body, (permit, memory))))
    }
}

impl Call {
    fn reject(&self, error: Error) -> Response {
        reject(error, self.deadline.remaining(), &self.access_log)
    }
}

#[cfg(test)]
mod tests;
