//! The service of streams: the two bulk reads without a limit.

use std::error::Error as StdError;
use std::iter;

use futures_util::stream::{self, BoxStream, StreamExt};
use tokio::sync::mpsc;
use tonic::{Code, Request, Response, Status, Streaming, async_trait};

use super::{Answer, Gateway, call_context};
use crate::bulk::{self, BulkRead, StreamRequest, StreamResponse};
use crate::context::CallContext;
use crate::error::{Error, Failure};
use crate::proto::v1::presence_stream_service_server::PresenceStreamService;
use crate::proto::v1::{
    GetUsersPresenceBulkRequest, GetUsersPresencesPurecloudBulkRequest,
    StreamUsersPresenceBulkRequest, StreamUsersPresenceBulkResponse,
    StreamUsersPresencesPurecloudBulkRequest, StreamUsersPresencesPurecloudBulkResponse,
};
use crate::server::MAX_STREAM_MESSAGE;
use crate::server::connection::executor::{WRITE_TIMEOUT, led_by};

/// What is streamed to a caller.
type Answers<T> = BoxStream<'static, Result<T, Status>>;

#[async_trait]
impl PresenceStreamService for Gateway {
    type StreamUsersPresenceBulkStream = Answers<StreamUsersPresenceBulkResponse>;
    type StreamUsersPresencesPurecloudBulkStream =
        Answers<StreamUsersPresencesPurecloudBulkResponse>;

    async fn stream_users_presence_bulk(
        &self,
        call: Request<Streaming<StreamUsersPresenceBulkRequest>>,
    ) -> Answer<Self::StreamUsersPresenceBulkStream> {
        self.stream::<GetUsersPresenceBulkRequest, _, _>(call)
    }

    async fn stream_users_presences_purecloud_bulk(
        &self,
        call: Request<Streaming<StreamUsersPresencesPurecloudBulkRequest>>,
    ) -> Answer<Self::StreamUsersPresencesPurecloudBulkStream> {
        self.stream::<GetUsersPresencesPurecloudBulkRequest, _, _>(call)
    }
}

impl Gateway {
    /// A stream of ids, as many bulk reads of the operation `O` as it takes.
    ///
    /// What leads it runs beside the answer, which is polled only when its
    /// caller makes room: batches under way, and the deadline, wait for nobody.
    fn stream<O, I, T>(&self, call: Request<Streaming<I>>) -> Answer<Answers<T>>
    where
        O: BulkRead,
        I: Into<StreamRequest> + Send + 'static,
        T: From<StreamResponse> + Send + 'static,
    {
        let (metadata, extensions, messages) = call.into_parts();
        let session = call_context(&metadata, &extensions)?;
        let bulk = self.bulk.clone();
        // One message is on its way while the next one is made.
        let (out, mut taken) = mpsc::channel(1);
        let (end, mut ended) = mpsc::channel(1);
        led_by(Box::pin(async move {
            let asked =
                messages.map(|message| message.map(Into::into).map_err(|status| unread(&status)));
            let read = bulk::stream::<O>(&session, &bulk, asked, &out).await;
            // After what was handed out before.
            let CallContext { request } = session;
            let patience = if read.is_ok() {
                bulk.limits.stream_idle
            } else {
                WRITE_TIMEOUT
            };
            match read {
                Ok(()) => request.access_log.finish(Code::Ok, None),
                // Its caller has gone away, which is no error of anybody's.
                Err(Failure {
                    error: Error::CallerGone,
                    ..
                }) => {}
                Err(failure) => {
                    let status = failure.into_status(request.deadline.remaining());
                    request.access_log.finish_with(&status);
                    let _ = end.send(status).await;
                }
            }
            drop((out, end));
            // For what was handed out to be taken.
            tokio::time::sleep(patience).await;
        }));
        let answers = stream::poll_fn(move |context| taken.poll_recv(context));
        let end = stream::poll_fn(move |context| ended.poll_recv(context));
        let answers = answers
            .map(|results| Ok(results.into()))
            .chain(end.map(Err));
        Ok(Response::new(answers.boxed()))
    }
}

/// What tonic found wrong with a message.
fn unread(status: &Status) -> Failure {
    // tonic takes the code from an error of HTTP/2, but does not find it below
    // that of axum's body. Such an error is about the connection or the
    // caller's reset, never about the message.
    let is_lost = iter::successors(status.source(), |&cause| cause.source())
        .any(<dyn StdError>::is::<hyper::Error>);
    let code = if is_lost {
        Code::Cancelled
    } else {
        status.code()
    };
    let error = match code {
        // As it came, or inflated.
        Code::OutOfRange | Code::ResourceExhausted => Error::MessageTooLarge(MAX_STREAM_MESSAGE),
        Code::Cancelled => Error::CallerGone,
        _ => Error::Malformed(status.message().to_owned()),
    };
    error.into()
}

macro_rules! streamed {
    (@source $message:ident) => {
        String::new()
    };
    (@source $message:ident $source:ident) => {
        $message.$source
    };
    ($request:ident, $response:ident, $($source:ident)?) => {
        impl From<$request> for StreamRequest {
            fn from(message: $request) -> Self {
                Self {
                    source: streamed!(@source message $($source)?),
                    ids: message.ids,
                    unordered: message.unordered,
                }
            }
        }

        impl From<StreamResponse> for $response {
            fn from(results: StreamResponse) -> Self {
                Self {
                    presences: results.presences,
                    missing_ids: results.missing_ids,
                    failures: results.failures,
                    progress: Some(results.progress),
                }
            }
        }
    };
}

streamed!(
    StreamUsersPresenceBulkRequest,
    StreamUsersPresenceBulkResponse,
    source_id
);
streamed!(
    StreamUsersPresencesPurecloudBulkRequest,
    StreamUsersPresencesPurecloudBulkResponse,
);
