//! Sends a coalesced batch once for all of its calls.

use std::sync::Arc;

use super::super::assemble::user_key;
use super::super::collect::Presences;
use super::OpenGuard;
use super::pending::PendingIds;
use crate::bulk::read::BulkRead;
use crate::context::CallContext;
use crate::deadline::Deadline;
use crate::memory::MemoryLease;
use crate::operation;
use crate::upstream::Upstream;
use crate::upstream::singleflight::QueueNotice;

/// The result of a batch, for all of its calls.
#[derive(Debug)]
pub(super) struct SharedResult {
    pub presences: Presences,
    /// The size of the response, divided by the number of ids.
    pub bytes_per_id: usize,
    pub calls: usize,
    _lease: MemoryLease,
}

/// Sends a batch, `template` with the ids of all calls, when it is full or no
/// call has joined it for the window. Whichever of its calls is there drives it.
pub(super) async fn lead<O: BulkRead>(
    guard: OpenGuard,
    template: O,
    mut context: CallContext,
    upstream: Upstream,
    deadline: Deadline,
    notice: QueueNotice,
) -> Arc<SharedResult> {
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
    let presences = async {
        let request = operation::encode(&template.with_ids(ids))?;
        let reply = upstream
            .send_shared(&request, &context.request, &notice)
            .await?;
        bytes = reply.body.len();
        Ok(context.decode::<O>(reply)?.map(O::presences))
    };
    let presences: Presences = presences.await;
    // The only call of a batch gets all presences and counts these itself.
    if let Ok(reply) = &presences
        && calls > 1
    {
        let found = reply.body.iter().map(user_key);
        let unrequested = found.filter(|key| key.as_ref().is_none_or(|key| !keys.contains(key)));
        let access_log = &context.request.access_log;
        access_log.unmatched_answers(unrequested.count());
    }
    Arc::new(SharedResult {
        presences,
        bytes_per_id: bytes.div_ceil(count.max(1)),
        calls,
        _lease: context.request.memory,
    })
}
