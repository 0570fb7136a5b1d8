//! Sends a coalesced batch once, and gives each of its calls the presences of
//! its ids.

use std::sync::Arc;

use super::super::collect::{Presences, presences};
use super::OpenGuard;
use super::pending::PendingIds;
use crate::bulk::id_key::{IdKey, IdSet};
use crate::bulk::presence::EncodedPresence;
use crate::context::CallContext;
use crate::deadline::Deadline;
use crate::error::Error;
use crate::memory::MemoryLease;
use crate::operation::RequestTemplate;
use crate::upstream::singleflight::{SharedRequest, caused_by_peers};
use crate::upstream::{QueueStatus, Upstream, UpstreamResponse};

/// The result of a coalesced batch, for all of its calls.
#[derive(Debug)]
pub(super) struct CoalescedResult {
    presences: Presences,
    /// The size of the response, divided by the number of ids.
    bytes_per_id: usize,
    calls: usize,
    _lease: MemoryLease,
}

/// Sends a batch, `template` with the ids of all calls, when it is full or no
/// call has joined it for the window. Any of its calls that waits drives it.
pub(super) async fn run_batch(
    guard: OpenGuard,
    template: RequestTemplate,
    mut context: CallContext,
    upstream: Upstream,
    deadline: Deadline,
    queue_status: QueueStatus,
) -> Arc<CoalescedResult> {
    let pending = Arc::clone(&guard.pending);
    tokio::select! {
        () = pending.quiet_for(guard.coalescer.window) => {}
        () = pending.full() => {}
    }
    // No call can join from here on.
    drop(guard);
    let PendingIds {
        ids, keys, calls, ..
    } = pending.take();
    context.request.deadline = deadline;
    let count = ids.len();
    let mut bytes = 0;
    let result = async {
        let request = template.with(&ids);
        let response = upstream
            .send_observed(&request, &context.request, &queue_status)
            .await?;
        bytes = response.body.len();
        Ok(presences(context.decode(request.spec, response)?))
    };
    let presences: Presences = result.await;
    // If the batch has a single call, that call gets all presences, and counts
    // the unmatched ones itself.
    if let Ok(response) = &presences
        && calls > 1
    {
        let found = response.body.iter().map(EncodedPresence::user_key);
        let unrequested = found.filter(|key| key.as_ref().is_none_or(|key| !keys.contains(key)));
        let access_log = &context.request.access_log;
        access_log.add_unmatched_presences(unrequested.count());
    }
    Arc::new(CoalescedResult {
        presences,
        bytes_per_id: bytes.div_ceil(count.max(1)),
        calls,
        _lease: context.request.memory,
    })
}

/// A coalesced batch, as one of its calls has joined it.
pub(in crate::bulk::read) struct JoinedBatch(pub(super) SharedRequest<Arc<CoalescedResult>>);

impl JoinedBatch {
    /// Waits for the batch and returns the presences of `ids`, the call's own.
    pub(in crate::bulk::read) async fn fetch(
        self,
        template: &RequestTemplate,
        ids: &[String],
        context: &CallContext,
        upstream: &Upstream,
    ) -> Presences {
        let deadline = &context.request.deadline;
        let shared = self.0.result(deadline).await?;
        let response = match &shared.presences {
            Ok(response) => response,
            Err(failure) => {
                let may_succeed_alone = shared.calls > 1 && may_concern_one_id(&failure.error);
                if may_succeed_alone || caused_by_peers(&failure.error, deadline) {
                    let request = template.with(ids);
                    return Ok(presences(context.send(upstream, &request).await?));
                }
                let mut failure = failure.clone();
                failure.error.set_time_limit(deadline.limit());
                return Err(failure);
            }
        };
        let (memory, bytes) = (&context.request.memory, shared.bytes_per_id * ids.len());
        memory.reserve(bytes).map_err(|_| Error::MemoryExhausted)?;
        if shared.calls == 1 {
            return Ok(response.clone());
        }
        let own: IdSet = ids.iter().map(|id| IdKey::of(id)).collect();
        let is_own =
            |presence: &&EncodedPresence| presence.user_key().is_some_and(|key| own.contains(&key));
        Ok(UpstreamResponse {
            body: response.body.iter().filter(is_own).cloned().collect(),
            correlation_id: response.correlation_id.clone(),
            head: response.head,
        })
    }
}

/// Whether an error may concern single ids, rather than the token, its rate
/// limit, or the vendor as a whole.
fn may_concern_one_id(error: &Error) -> bool {
    let status = error.response().map(|response| response.status);
    status.is_some_and(|status| (400..500).contains(&status) && !matches!(status, 401 | 408 | 429))
}
