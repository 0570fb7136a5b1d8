//! Hands each call its share of a coalesced batch.

use std::collections::HashSet;
use std::sync::Arc;

use super::super::assemble::user_key;
use super::super::collect::Presences;
use super::leader::SharedResult;
use crate::bulk::id_key;
use crate::bulk::read::BulkRead;
use crate::context::CallContext;
use crate::error::Error;
use crate::operation;
use crate::proto::v1::UcUserPresence;
use crate::upstream::singleflight::{SharedRequest, caused_by_peers};
use crate::upstream::{Reply, Upstream};

/// A call's share of a batch.
pub(in crate::bulk::read) struct BatchShare(pub(super) SharedRequest<Arc<SharedResult>>);

impl BatchShare {
    /// Waits for the batch and returns the presences of `ids`, the call's own.
    pub(in crate::bulk::read) async fn fetch<O: BulkRead>(
        self,
        template: &O,
        ids: &[String],
        context: &CallContext,
        upstream: &Upstream,
    ) -> Presences {
        let deadline = &context.request.deadline;
        let shared = self.0.result(deadline).await?;
        let reply = match &shared.presences {
            Ok(reply) => reply,
            Err(failure) => {
                let may_succeed_alone = shared.calls > 1 && may_concern_one_id(&failure.error);
                if may_succeed_alone || caused_by_peers(&failure.error, deadline) {
                    let request = operation::encode(&template.with_ids(ids.to_vec()))?;
                    return Ok(context
                        .send::<O>(upstream, &request)
                        .await?
                        .map(O::presences));
                }
                return Err(failure.clone());
            }
        };
        let (memory, bytes) = (&context.request.memory, shared.bytes_per_id * ids.len());
        memory.reserve(bytes).map_err(|_| Error::MemoryExhausted)?;
        if shared.calls == 1 {
            return Ok(reply.clone());
        }
        let own: HashSet<String> = ids.iter().map(|id| id_key(id)).collect();
        let is_own =
            |presence: &&UcUserPresence| user_key(presence).is_some_and(|key| own.contains(&key));
        Ok(Reply {
            body: reply.body.iter().filter(is_own).cloned().collect(),
            correlation_id: reply.correlation_id.clone(),
        })
    }
}

/// Whether an error may concern single ids, rather than the token, its rate
/// limit, or the vendor as a whole.
fn may_concern_one_id(error: &Error) -> bool {
    let status = error.fault().map(|fault| fault.status);
    status.is_some_and(|status| (400..500).contains(&status) && !matches!(status, 401 | 408 | 429))
}
