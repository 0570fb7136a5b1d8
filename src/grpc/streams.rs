//! The streaming service: the two bulk reads without a size limit.

use std::error::Error as StdError;
use std::iter;
use std::sync::Arc;

use futures_util::stream::{self, BoxStream, StreamExt};
use tokio::sync::mpsc;
use tonic::{Code, Request, Response, Status, Streaming, async_trait};

use super::servers::presence_stream_service_server::PresenceStreamService;
use super::{GrpcResult, Handler, status};
use crate::bulk::{self, BulkRead, BulkReadResponse, StreamRequest};
use crate::context::WRITE_TIMEOUT;
use crate::error::{Error, Failure};
use crate::proto::EncodedMessage;
use crate::proto::v1::{
    GetUsersPresenceBulkRequest, GetUsersPresencesPurecloudBulkRequest,
    StreamUsersPresenceBulkRequest, StreamUsersPresencesPurecloudBulkRequest,
};
use crate::rpc::MAX_STREAM_MESSAGE;

/// The responses of a stream.
type Responses = BoxStream<'static, Result<EncodedMessage, Status>>;

#[async_trait]
impl PresenceStreamService for Handler {
    type StreamUsersPresenceBulkStream = Responses;
    type StreamUsersPresencesPurecloudBulkStream = Responses;

    async fn stream_users_presence_bulk(
        &self,
        call: Request<Streaming<StreamUsersPresenceBulkRequest>>,
    ) -> GrpcResult<Self::StreamUsersPresenceBulkStream> {
        self.stream::<GetUsersPresenceBulkRequest, _>(call)
    }

    async fn stream_users_presences_purecloud_bulk(
        &self,
        call: Request<Streaming<StreamUsersPresencesPurecloudBulkRequest>>,
    ) -> GrpcResult<Self::StreamUsersPresencesPurecloudBulkStream> {
        self.stream::<GetUsersPresencesPurecloudBulkRequest, _>(call)
    }
}

impl Handler {
    /// Serves a stream of ids by as many bulk reads of the operation `O` as it
    /// needs.
    ///
    /// Its driver runs beside the response and not in it: hyper polls a response
    /// only while the caller grants flow-control window, and upstream requests and
    /// deadlines must not stall with a caller that grants none.
    fn stream<O, I>(&self, call: Request<Streaming<I>>) -> GrpcResult<Responses>
    where
        O: BulkRead,
        I: Into<StreamRequest> + Send + 'static,
    {
        let requests = call.into_inner().map(|request| {
            let request = request.map(Into::into);
            request.map_err(|status| unreadable(&status))
        });
        let (context, gateway) = (self.context.clone(), Arc::clone(&self.gateway.0));
        // One message is being sent while the next one is made.
        let (results, mut sent) = mpsc::channel(1);
        let (end, mut ended) = mpsc::channel(1);
        let driver = async move {
            let bulk = &gateway.bulk;
            let read = bulk::serve_stream::<O>(&context, bulk, requests, &results).await;
            let write_timeout = match read {
                Ok(()) => {
                    context.request.access_log.finish(Code::Ok, None);
                    bulk.limits.stream_idle
                }
                Err(failure) => {
                    // If the caller is gone, nobody reads a status.
                    if !matches!(failure.error, Error::CallerGone) {
                        let _ = end.send(status(&context, failure)).await;
                    }
                    WRITE_TIMEOUT
                }
            };
            drop((results, end));
            // The response ends when the caller has read it, which drops this
            // driver; the driver resets the stream of a caller that does not read.
            tokio::time::sleep(write_timeout).await;
        };
        let stream = &self.context.stream;
        let driven = stream.drive_alongside(Box::pin(driver));
        driven.map_err(|error| status(&self.context, error.into()))?;
        let results = stream::poll_fn(move |context| sent.poll_recv(context));
        // After the results that were sent before it.
        let end = stream::poll_fn(move |context| ended.poll_recv(context));
        let results = results.map(|results: BulkReadResponse| Ok(results.encode()));
        Ok(Response::new(results.chain(end.map(Err)).boxed()))
    }
}

/// The error of a message that tonic could not decode.
fn unreadable(status: &Status) -> Failure {
    // tonic takes the code from an HTTP/2 error, but does not find that error
    // inside the one of axum's body. Such an error is about the connection or
    // a reset by the caller, never about the message.
    let is_lost = iter::successors(status.source(), |&cause| cause.source())
        .any(<dyn StdError>::is::<hyper::Error>);
    let error = match status.code() {
        code if is_lost || code == Code::Cancelled => Error::CallerGone,
        // Compressed or decompressed.
        Code::OutOfRange | Code::ResourceExhausted => Error::MessageTooLarge(MAX_STREAM_MESSAGE),
        _ => Error::Malformed(status.message().to_owned()),
    };
    error.into()
}

impl From<StreamUsersPresencesPurecloudBulkRequest> for StreamRequest {
    fn from(message: StreamUsersPresencesPurecloudBulkRequest) -> Self {
        Self {
            ids: message.ids,
            unordered: message.unordered,
            ..Self::default()
        }
    }
}
