//! The request message, taken whole before anything is done with it.

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use crate::bulk::{self, BulkLimits};
use crate::credentials::Caller;
use crate::deadline::Deadline;
use crate::error::{Error, Violation};
use crate::server::MAX_REQUEST;
use crate::server::concurrency_limit::ConcurrencyLimit;
use crate::server::pipeline::compression;
use crate::server::pipeline::element_limit::RepeatedFields;
use crate::server::reject::refuse;
use crate::server::request_buffers::{PREFIX, RequestBuffers};
use crate::server::rpc::Rpc;

/// How many elements a list of a request may have that is not cut into
/// batches: more than what fits into a URL, or into what the vendor takes.
const MAX_ELEMENTS: usize = 10_000;

/// Takes the message of a call, within the bounds of what arrives and of its
/// elements, and hands the call on with it.
pub(in crate::server) async fn taken<F: Future<Output = Response>>(
    buffers: &RequestBuffers,
    permits: &ConcurrencyLimit,
    bulk: BulkLimits,
    mut request: Box<Request>,
    next: impl FnOnce(Box<Request>) -> F,
) -> Response {
    compression::only_for_who_asks(request.headers_mut());
    // What is no RPC is refused unread, and who serves a stream reads it.
    let path = request.uri().path();
    let Some(lists) = RepeatedFields::of(path).filter(|_| !is_stream(path)) else {
        return next(request).await;
    };
    let body = std::mem::take(request.body_mut());
    let told = request.extensions();
    let (Some(deadline), Some(caller)) = (told.get::<Deadline>().cloned(), told.get::<Caller>())
    else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    // Where there is no place now, the message need not come.
    let has_place = permits.try_acquire(Some(caller.key())).map(drop);
    let message = match has_place {
        Ok(()) => buffers.read(body).await,
        Err(error) => Err(error),
    };
    let headers = request.headers_mut();
    let message = message.and_then(|message| compression::undone(headers, message, MAX_REQUEST));
    let checked = message.and_then(|message| fits(lists, &message, bulk).map(|()| message));
    match checked {
        Ok(message) => {
            *request.body_mut() = Body::from(message);
            next(request).await
        }
        Err(error) => refuse(error, &deadline, request.extensions().get().cloned()),
    }
}

fn is_stream(path: &str) -> bool {
    Rpc::at(path).is_some_and(|rpc| rpc.is_stream)
}

/// Checks how many elements the lists of a message have.
fn fits(lists: &RepeatedFields, message: &[u8], bulk: BulkLimits) -> Result<(), Error> {
    // What is still compressed is none that is accepted.
    let Some((&[0, ..], message)) = message.split_at_checked(PREFIX) else {
        return Ok(());
    };
    match lists.longest(message) {
        Some((list, count)) if bulk::is_bulk(&lists.request) => bulk.check(list, count),
        Some((list, count)) if count > MAX_ELEMENTS => {
            let wrong = format!("must have at most {MAX_ELEMENTS} elements; it has {count}");
            Err(Error::Invalid(vec![Violation::new(list, wrong)]))
        }
        _ => Ok(()),
    }
}
