//! Coalesces bulk reads of one token and source that arrive close together: one
//! batch takes the ids of several calls. `upstream/coalesce.rs` does the same
//! with single reads.
//!
//! A batch stays open for a short time before it is sent, and calls add their
//! ids to it. Each call gets the presences of its own ids. If the vendor rejects
//! the batch with an error that may concern a single id, each call sends its own
//! ids again.

mod joined;
mod pending;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use parking_lot::Mutex;

use crate::context::CallContext;
use crate::operation::RequestTemplate;
use crate::telemetry::MERGED;
use crate::token_key::TokenKey;
use crate::upstream::singleflight::{SharedRequest, WeakSharedRequest};
use crate::upstream::{RequestContext, Upstream};
pub(super) use joined::JoinedBatch;
use joined::{CoalescedResult, run_batch};
use pending::PendingBatch;

/// The registry of open batches. Clones share it.
#[derive(Debug, Clone)]
pub struct BatchCoalescer {
    window: Duration,
    open: Arc<Mutex<HashMap<BatchKey, OpenBatch>>>,
}

/// What the calls of a batch have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct BatchKey {
    token: TokenKey,
    /// The request without ids.
    path: String,
    is_client_retry: bool,
}

/// A batch that calls can join.
#[derive(Debug)]
struct OpenBatch {
    /// The token itself: keys are hashes, and no response may reach another token.
    authorization: HeaderValue,
    pending: Arc<PendingBatch>,
    request: WeakSharedRequest<Arc<CoalescedResult>>,
}

impl BatchCoalescer {
    /// A coalescer that sends a batch once no call has joined it for `window`.
    #[must_use]
    pub fn new(window: Duration) -> Self {
        Self {
            window,
            open: Arc::default(),
        }
    }

    /// Adds the ids of a call, fewer than a full batch, to the open batch; ids
    /// that do not fit there open another one. Returns the batches that the call
    /// has joined, each with the call's ids in it.
    pub(super) fn join(
        &self,
        template: &RequestTemplate,
        context: &CallContext,
        upstream: &Upstream,
        ids: Vec<String>,
    ) -> Vec<(JoinedBatch, Vec<String>)> {
        let request = &context.request;
        let key = BatchKey {
            token: request.caller.key(),
            path: template.path().to_owned(),
            is_client_retry: request.is_client_retry,
        };
        let mut ids = VecDeque::from(ids);
        let mut joined = Vec::new();
        let mut open = self.open.lock();
        let mut closed = None;
        if let Some(batch) = open.get(&key)
            && batch.authorization == request.caller.authorization()
            && let Some(shared) = batch.request.join(&request.deadline)
        {
            let (own, is_full) = batch.pending.add(&mut ids);
            if is_full {
                closed = open.remove(&key);
            }
            joined.push((JoinedBatch(shared), own));
        }
        let reservations = request.reservations.take();
        if ids.is_empty() {
            drop(open);
            request.access_log.telemetry().request_saved(MERGED);
        } else {
            let context = context.with_request(RequestContext {
                memory: request.memory.sub_lease(),
                reservations: reservations.into(),
                ..request.clone()
            });
            let pending = Arc::new(PendingBatch::default());
            let (own, _) = pending.add(&mut ids);
            let guard = OpenGuard {
                coalescer: self.clone(),
                key: key.clone(),
                pending: Arc::clone(&pending),
            };
            let shared = SharedRequest::new(&request.deadline, |deadline, queue_status| {
                let (template, upstream) = (template.clone(), upstream.clone());
                run_batch(guard, template, context, upstream, deadline, queue_status)
            });
            let batch = OpenBatch {
                authorization: request.caller.authorization(),
                pending,
                request: shared.downgrade(),
            };
            // Replaces a full batch, or one of another token with the same hash.
            closed = closed.or(open.insert(key, batch));
            drop(open);
            joined.push((JoinedBatch(shared), own));
        }
        // After the lock is released: dropping the last handle of a batch drops
        // its `OpenGuard`, which takes the lock.
        drop(closed);
        joined.retain(|(_, ids)| !ids.is_empty());
        joined
    }
}

/// Keeps a batch open until it is dropped.
struct OpenGuard {
    coalescer: BatchCoalescer,
    key: BatchKey,
    pending: Arc<PendingBatch>,
}

impl Drop for OpenGuard {
    fn drop(&mut self) {
        let mut open = self.coalescer.open.lock();
        let batch = open.get(&self.key);
        if batch.is_some_and(|batch| Arc::ptr_eq(&batch.pending, &self.pending)) {
            let closed = open.remove(&self.key);
            drop(open);
            drop(closed);
        }
    }
}
