//! Reads the whole message of a call.

use axum::body::Body;
use bytes::Bytes;

use crate::credentials::Caller;
use crate::error::Error;
use crate::server::concurrency_limit::ConcurrencyLimit;
use crate::server::request_buffers::RequestBuffers;

/// Reads the message of a call, within the limits for messages that are being
/// received.
///
/// # Errors
///
/// If there is no permit now, which rejects the call before its message is
/// read; and for the reasons of [`RequestBuffers::read`].
pub(super) async fn buffer_request(
    buffers: &RequestBuffers,
    concurrency: &ConcurrencyLimit,
    caller: &Caller,
    body: Body,
) -> Result<Bytes, Error> {
    drop(concurrency.try_acquire(caller.key())?);
    buffers.read(body).await
}
