//! Fetches one batch of a stream from the vendor.

use std::time::Duration;

use tokio::time::sleep;

use super::Abort;
use super::state::{Batch, CompletedBatch};
use crate::bulk::read::{BatchResult, assemble, presences};
use crate::bulk::{BulkContext, BulkReadResponse};
use crate::context::CallContext;
use crate::error::{Error, Failure};
use crate::operation::RestRequest;
use crate::proto::EncodedMessage;
use crate::upstream::{RequestContext, Reservations, UpstreamResponse};

/// The memory that is reserved for the response to a batch, in bytes on the
/// wire. Most responses are smaller.
const EXPECTED_RESPONSE: usize = 32 * 1024;

/// How often a batch that waits for memory tries to reserve it.
const MEMORY_POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Fetches a batch by a request for its ids. The second value says whether the
/// stream must end with it.
pub(super) async fn fetch(
    context: &CallContext,
    bulk: &BulkContext,
    request: RestRequest,
    batch: Batch,
) -> (CompletedBatch, Option<Abort>) {
    let Batch {
        number,
        ids,
        invalid,
    } = batch;
    // A lease of its own: one lease of the whole stream would only grow.
    let lease = context.request.memory.sub_lease();
    let mut completed = CompletedBatch {
        number,
        found: 0,
        results: BulkReadResponse {
            failures: invalid,
            ..BulkReadResponse::default()
        },
        _lease: lease.clone(),
    };
    if ids.is_empty() {
        return (completed, None);
    }
    let context = context.with_request(RequestContext {
        memory: lease,
        reservations: Reservations::default(),
        ..context.request.clone()
    });
    let RequestContext {
        memory, access_log, ..
    } = &context.request;
    let response = send(&context, bulk, &request, number, ids.len()).await;
    memory.release_unused();
    let abort = response.as_ref().err().and_then(abort);
    let result = assemble(vec![BatchResult::new(ids, response.map(presences))]);
    access_log.add_unmatched_presences(result.unmatched);
    completed.found = result.response.presences.len() - result.unmatched;
    completed.results.append(result.response);
    (completed, abort)
}

async fn send(
    context: &CallContext,
    bulk: &BulkContext,
    request: &RestRequest,
    number: usize,
    ids: usize,
) -> Result<UpstreamResponse<EncodedMessage>, Failure> {
    reserve_memory(context).await?;
    let batch = context.batch(number, ids);
    let response = batch.send(&bulk.upstream, request).await;
    batch.finish(&response);
    response
}

/// Waits until there is memory for a response: a request whose response did not
/// fit into memory would be lost, and count against the token's rate limit.
async fn reserve_memory(context: &CallContext) -> Result<(), Error> {
    let RequestContext {
        memory, deadline, ..
    } = &context.request;
    while memory.prereserve(EXPECTED_RESPONSE).is_err() {
        tokio::select! {
            () = sleep(MEMORY_POLL_INTERVAL) => {}
            _ = deadline.drain().begun() => return Err(Error::Draining),
        }
    }
    Ok(())
}

/// Whether the failure of one batch ends the whole stream.
fn abort(failure: &Failure) -> Option<Abort> {
    match &failure.error {
        error if error.is_unauthenticated() => Some(Abort::Now(failure.clone())),
        // The rate limiter would start later batches too late as well.
        Error::RateLimited { .. } => Some(Abort::AfterInFlight(failure.clone())),
        _ => None,
    }
}
