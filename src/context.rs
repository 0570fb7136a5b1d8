//! The context of one call. `upstream/context.rs` has that of its requests.

mod stream_handle;

use std::ops::Deref;

use crate::error::{Error, Failure, UnreadableBody};
use crate::operation::{self, Operation, RestRequest, Spec};
use crate::proto::EncodedMessage;
use crate::rpc::Rpc;
use crate::upstream::{RequestContext, Upstream, UpstreamResponse};
pub(crate) use stream_handle::StreamEnd;
pub use stream_handle::{StreamHandle, WRITE_TIMEOUT};

/// What a call carries. The pipeline makes it once the call is admitted, and
/// hands it to the services beside the request.
#[derive(Debug, Clone)]
pub struct CallContext {
    /// The RPC that is called.
    pub rpc: &'static Rpc,
    /// The context of its requests upstream: the token, the deadline, the access
    /// log, the memory lease.
    pub request: RequestContext,
    /// The HTTP/2 stream of the call.
    pub stream: StreamHandle,
}

/// The context of one batch. One that is dropped before [`Self::finish`] is
/// recorded as cancelled.
#[derive(Debug)]
pub(crate) struct BatchContext<'a> {
    call: &'a CallContext,
    /// The batch's own context, if the batch has a span in the call's trace.
    own: Option<Box<CallContext>>,
    is_finished: bool,
}

impl Deref for BatchContext<'_> {
    type Target = CallContext;

    fn deref(&self) -> &CallContext {
        self.own.as_deref().unwrap_or(self.call)
    }
}

impl BatchContext<'_> {
    /// Records the result of the batch.
    pub(crate) fn finish<T>(mut self, result: &Result<T, Failure>) {
        self.is_finished = true;
        let error = result.as_ref().err().map(|failure| &failure.error);
        self.request.access_log.telemetry().end_batch(error);
    }
}

impl Drop for BatchContext<'_> {
    fn drop(&mut self) {
        if !self.is_finished {
            self.request.access_log.telemetry().cancel_batch();
        }
    }
}

impl CallContext {
    /// The same call with another context for its requests upstream.
    #[must_use]
    pub fn with_request(&self, request: RequestContext) -> Self {
        Self {
            rpc: self.rpc,
            request,
            stream: self.stream.clone(),
        }
    }

    /// Records the size of a bulk call, or of a stream at its end.
    pub(crate) fn record_bulk(&self, batches: usize, ids: usize) {
        let telemetry = self.request.access_log.telemetry();
        telemetry.bulk(&self.rpc.name, batches, ids);
    }

    /// The context of one batch of a bulk call. The batch has a span of its own if
    /// the call's trace is recorded.
    pub(crate) fn batch(&self, index: usize, ids: usize) -> BatchContext<'_> {
        let telemetry = self.request.access_log.telemetry().batch(index, ids);
        let own = telemetry.map(|telemetry| {
            let mut own = self.clone();
            own.request.access_log = own.request.access_log.with_telemetry(telemetry);
            Box::new(own)
        });
        BatchContext {
            call: self,
            own,
            is_finished: false,
        }
    }

    /// Serves a call by one request upstream.
    ///
    /// # Errors
    ///
    /// If the message cannot be encoded, the request fails, or its response is not
    /// what the operation promises.
    pub async fn forward<O: Operation>(
        &self,
        upstream: &Upstream,
        request: &O,
    ) -> Result<UpstreamResponse<EncodedMessage>, Failure> {
        self.send(upstream, &operation::encode(request)?).await
    }

    /// Sends a request and decodes the response.
    ///
    /// # Errors
    ///
    /// If the request fails, or its response is not what the operation promises.
    pub async fn send(
        &self,
        upstream: &Upstream,
        request: &RestRequest,
    ) -> Result<UpstreamResponse<EncodedMessage>, Failure> {
        let response = upstream.send(request, &self.request).await?;
        self.decode(request.spec, response)
    }

    /// Decodes a response to an operation.
    ///
    /// # Errors
    ///
    /// If it is not what the operation promises.
    pub(crate) fn decode(
        &self,
        spec: &'static Spec,
        response: UpstreamResponse,
    ) -> Result<UpstreamResponse<EncodedMessage>, Failure> {
        match operation::decode(spec, &response.body) {
            Ok(decoded) => {
                let access_log = &self.request.access_log;
                access_log.telemetry().unknown_fields(decoded.unknown);
                if !decoded.pruned.is_empty() {
                    access_log.add_pruned_fields(decoded.pruned);
                }
                Ok(response.map(|_| decoded.message))
            }
            Err(what) => Err(Failure {
                correlation_id: response.correlation_id,
                ..Error::Unreadable {
                    spec,
                    http_status: response.head.http_status,
                    what: if response.head.is_html || is_markup(&response.body) {
                        UnreadableBody::Html
                    } else {
                        UnreadableBody::Other(what)
                    },
                }
                .into()
            }),
        }
    }
}

/// Whether a body begins as HTML or XML does. JSON never does.
fn is_markup(body: &[u8]) -> bool {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    body.trim_ascii_start().first() == Some(&b'<')
}
