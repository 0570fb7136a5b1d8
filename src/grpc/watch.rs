//! The watch service: presences as they change.

use futures_util::stream::{self, BoxStream, StreamExt};
use tokio::sync::mpsc;
use tonic::{Code, Request, Response, Status, async_trait};

use super::servers::presence_watch_service_server::PresenceWatchService;
use super::{GrpcResult, Handler, status};
use crate::context::WRITE_TIMEOUT;
use crate::error::Error;
use crate::proto::v1::{WatchUsersPresencesRequest, WatchUsersPresencesResponse};
use crate::watch;

#[async_trait]
impl PresenceWatchService for Handler {
    type WatchUsersPresencesStream =
        BoxStream<'static, Result<WatchUsersPresencesResponse, Status>>;

    /// Its driver runs beside the response, as that of a stream of ids does: a caller who
    /// does not read must not delay the end.
    async fn watch_users_presences(
        &self,
        call: Request<WatchUsersPresencesRequest>,
    ) -> GrpcResult<Self::WatchUsersPresencesStream> {
        let (context, gateway) = (self.context.clone(), &self.gateway.0);
        let limits = gateway.bulk.limits;
        let ids = call.into_inner().ids;
        let (max_ids, idle) = (limits.max_ids, limits.stream_idle);
        let watch = watch::begin(&gateway.watches, &context, ids, max_ids, idle);
        let watch = watch.map_err(|failure| status(&context, failure))?;
        // One message is being sent. All others are in the mailbox of the watch, where a
        // later presence of a user takes the place of an earlier one.
        let (messages, mut sent) = mpsc::channel(1);
        let (end, mut ended) = mpsc::channel(1);
        let driver = async move {
            match watch.run(&messages).await {
                Ok(()) => context.request.access_log.finish(Code::Ok, None),
                // If the caller is gone, nobody reads a status.
                Err(failure) if matches!(failure.error, Error::CallerGone) => {}
                Err(failure) => {
                    // The caller wanted the one, and an operator the other.
                    let error = &failure.error;
                    if matches!(error, Error::DeadlineExceeded(_) | Error::ShuttingDown) {
                        context.request.access_log.expect_end();
                    }
                    let _ = end.send(status(&context, failure)).await;
                }
            }
            drop((messages, end));
            // Then the stream of a caller who does not read is reset.
            tokio::time::sleep(WRITE_TIMEOUT).await;
        };
        let stream = &self.context.stream;
        let driven = stream.drive_alongside(Box::pin(driver));
        driven.map_err(|error| status(&self.context, error.into()))?;
        let messages = stream::poll_fn(move |context| sent.poll_recv(context));
        let end = stream::poll_fn(move |context| ended.poll_recv(context));
        Ok(Response::new(messages.map(Ok).chain(end.map(Err)).boxed()))
    }
}
