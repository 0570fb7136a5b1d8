//! Bulk reads of one token and source that meet share batches.
//!
//! A batch is open for a moment before it is sent. What it is answered with is
//! handed to each call by the ids that it asked, and a refusal that may be about
//! one id is found out by asking for each call apart.

mod collected;

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use super::BulkRead;
use super::assemble::user;
use crate::bulk::key;
use crate::clock::Clock;
use crate::context::CallContext;
use crate::deadline::Deadline;
use crate::error::{Error, Failure};
use crate::memory::MemoryLease;
use crate::operation;
use crate::proto::v1::UcUserPresence;
use crate::telemetry::MERGED;
use crate::token_key::TokenKey;
use crate::upstream::singleflight::{
    QueueNotice, SharedRequest, WeakSharedRequest, caused_by_peers,
};
use crate::upstream::{Reply, RequestContext, Upstream};
use collected::CollectedBatch;

/// The batches that are open. Clones are the same ones.
#[derive(Debug, Clone)]
pub struct BatchCoalescer {
    window: Duration,
    clock: Clock,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    open: HashMap<Kind, Open>,
}

/// What the calls of a batch have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind {
    token: TokenKey,
    /// The request without ids.
    path: String,
    is_repeated: bool,
}

/// A batch that is open for more calls.
struct Open {
    number: u64,
    /// The token itself: keys are hashes, and no answer may reach another's.
    authorization: HeaderValue,
    gathered: Arc<CollectedBatch>,
    flight: WeakSharedRequest<Arc<Outcome>>,
}

impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Open").finish_non_exhaustive()
    }
}

/// What a batch came to.
struct Outcome {
    answer: Result<Reply<Vec<UcUserPresence>>, Failure>,
    /// How many bytes of the answer an id has.
    bytes_each: usize,
    calls: usize,
    _held: MemoryLease,
}

/// A call's part of a batch that it shares.
pub(super) struct Part {
    pub ids: Vec<String>,
    flight: SharedRequest<Arc<Outcome>>,
}

impl BatchCoalescer {
    /// Batches that leave when nobody has joined them for so long.
    ///
    /// # Errors
    ///
    /// If there can be no thread for its clock.
    pub fn new(window: Duration) -> io::Result<Self> {
        Ok(Self {
            window,
            clock: Clock::start()?,
            state: Arc::default(),
        })
    }

    /// Puts ids of a call, less than a batch of them, into the batch that is
    /// open, and what does not fit there into another.
    pub(super) fn join<O: BulkRead>(
        &self,
        read: &O,
        session: &CallContext,
        upstream: &Upstream,
        ids: Vec<String>,
    ) -> Result<Vec<Part>, Error> {
        let terms = &session.request;
        let kind = Kind {
            token: terms.caller.key(),
            path: operation::encode(read)?.path_and_query,
            is_repeated: terms.is_retry,
        };
        let mut ids = VecDeque::from(ids);
        let mut parts = Vec::new();
        let mut state = self.state();
        let mut closed = None;
        if let Some(open) = state.open.get(&kind)
            && open.authorization == terms.caller.authorization()
            && let Some(flight) = open.flight.join(&terms.deadline)
        {
            let (own, is_full) = open.gathered.add(&mut ids);
            if is_full {
                closed = state.open.remove(&kind);
            }
            parts.push(Part { ids: own, flight });
        }
        let ticket = terms.reservations.take();
        if ids.is_empty() {
            drop(state);
            terms.access_log.scope().request_saved(MERGED);
        } else {
            let request = RequestContext {
                memory: terms.memory.sub_lease(),
                reservations: ticket.into(),
                ..terms.clone()
            };
            let opened = self.open(
                &mut state,
                kind,
                read,
                session.with_request(request),
                upstream,
                ids,
            );
            drop(state);
            parts.push(opened);
        }
        drop(closed);
        // Not under the lock: what ends with the last of its calls asks for it.
        parts.retain(|part| !part.ids.is_empty());
        Ok(parts)
    }

    fn open<O: BulkRead>(
        &self,
        state: &mut State,
        kind: Kind,
        read: &O,
        session: CallContext,
        upstream: &Upstream,
        mut ids: VecDeque<String>,
    ) -> Part {
        let number = state.next;
        state.next += 1;
        let gathered = Arc::new(CollectedBatch::default());
        let (ids, _) = gathered.add(&mut ids);
        let batch = OpenBatch {
            merging: self.clone(),
            kind: kind.clone(),
            number,
        };
        let authorization = session.request.caller.authorization();
        let own = session.request.deadline.clone();
        let flight = SharedRequest::new(&own, |deadline, wait| {
            lead::<O>(
                batch,
                Arc::clone(&gathered),
                read.clone(),
                session,
                upstream.clone(),
                deadline,
                wait,
            )
        });
        if let Some(joinable) = flight.downgrade() {
            let open = Open {
                number,
                authorization,
                gathered,
                flight: joinable,
            };
            // One that was full, or of a token that only looks the same.
            let replaced = state.open.insert(kind, open);
            drop(replaced);
        }
        Part { ids, flight }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

/// A batch that is open, until this is dropped.
struct OpenBatch {
    merging: BatchCoalescer,
    kind: Kind,
    number: u64,
}

impl Drop for OpenBatch {
    fn drop(&mut self) {
        let mut state = self.merging.state();
        let is_it = state.open.get(&self.kind);
        if is_it.is_some_and(|open| open.number == self.number) {
            let closed = state.open.remove(&self.kind);
            drop(state);
            drop(closed);
        }
    }
}

/// Sends a batch when it is full, or nobody joins it any more.
async fn lead<O: BulkRead>(
    batch: OpenBatch,
    gathered: Arc<CollectedBatch>,
    read: O,
    mut session: CallContext,
    upstream: Upstream,
    deadline: Deadline,
    wait: QueueNotice,
) -> Arc<Outcome> {
    let BatchCoalescer { window, clock, .. } = &batch.merging;
    let wait_until = |moment: Instant| clock.wait_until(moment.into_std());
    tokio::select! {
        () = gathered.rests_for(*window, wait_until) => {}
        () = gathered.is_full() => {}
    }
    // From here on, nobody joins it.
    drop(batch);
    let (ids, keys) = gathered.take();
    session.request.deadline = deadline;
    let count = ids.len();
    let mut bytes = 0;
    let answer = async {
        let call = operation::encode(&read.with_ids(ids))?;
        let reply = upstream.send_shared(&call, &session.request, &wait).await?;
        bytes = reply.body.len();
        session.decode::<O>(reply)
    };
    let answer = answer.await.map(|reply| reply.map(O::presences));
    let calls = gathered.calls();
    if let Ok(served) = answer.as_ref()
        && calls > 1
    {
        let is_stranger =
            |presence: &&UcUserPresence| user(presence).is_none_or(|user| !keys.contains(&user));
        let strangers = served.body.iter().filter(is_stranger).count();
        session.request.access_log.unmatched_answers(strangers);
    }
    Arc::new(Outcome {
        answer,
        bytes_each: bytes.div_ceil(count.max(1)),
        calls,
        _held: session.request.memory,
    })
}

impl Part {
    /// Waits for the answer, and takes from it what was asked.
    pub(super) async fn answer<O: BulkRead>(
        self,
        read: &O,
        session: &CallContext,
        upstream: &Upstream,
    ) -> Result<Reply<Vec<UcUserPresence>>, Failure> {
        let Self { ids, flight } = self;
        let landed = flight.result(&session.request.deadline).await?;
        let served = match &landed.answer {
            Ok(served) => served,
            Err(failure) => {
                let is_apart = landed.calls > 1 && is_of_ids(&failure.error);
                if is_apart || caused_by_peers(&failure.error, &session.request.deadline) {
                    let call = operation::encode(&read.with_ids(ids))?;
                    let served = session.send::<O>(upstream, &call).await?;
                    return Ok(served.map(O::presences));
                }
                return Err(failure.clone());
            }
        };
        let held = session
            .request
            .memory
            .reserve(landed.bytes_each * ids.len());
        held.map_err(|_| Error::MemoryExhausted)?;
        if landed.calls == 1 {
            return Ok(served.clone());
        }
        let own: HashSet<String> = ids.iter().map(|id| key(id)).collect();
        let is_own =
            |presence: &&UcUserPresence| user(presence).is_some_and(|user| own.contains(&user));
        Ok(Reply {
            body: served.body.iter().filter(is_own).cloned().collect(),
            correlation_id: served.correlation_id.clone(),
        })
    }
}

/// Whether a refusal may be about single ids, and not about the token, its
/// pace, or the vendor.
fn is_of_ids(error: &Error) -> bool {
    let status = error.fault().map(|fault| fault.status);
    status.is_some_and(|status| (400..500).contains(&status) && !matches!(status, 401 | 408 | 429))
}
