//! The pipeline's deadline layer: ends a call at its deadline, in whichever layer
//! it is.

use axum::response::Response;
use tokio::time::sleep;

use super::Call;
use crate::error::{Error, Waiting};
use crate::server::limits::DEADLINE_GRACE;

/// Runs a call up to its deadline. A stream is not limited here: its response
/// begins at once, and its driver observes the deadline.
pub(super) async fn enforce(
    call: &Call,
    response: impl Future<Output = Result<Response, Error>>,
) -> Result<Response, Error> {
    if !call.rpc.is_stream {
        call.stream.reset_after(call.deadline.clone());
    }
    let mut response = std::pin::pin!(response);
    tokio::select! {
        biased;
        response = &mut response => return response,
        () = async {
            call.deadline.expired().await;
            sleep(DEADLINE_GRACE).await;
        }, if !call.rpc.is_stream => {}
    }
    // A request that was sent may have changed something: only the handler knows
    // the status to return.
    if call.access_log.upstream_request_count() > 0 {
        return response.await;
    }
    Err(Error::DeadlineExceeded(
        call.deadline.passed(Waiting::Nothing),
    ))
}
