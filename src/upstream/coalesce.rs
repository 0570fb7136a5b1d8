//! Identical reads of one token that are under way together are one request.
//!
//! A read joins none that was sent before a write of its token was answered,
//! so that everybody reads what they wrote.

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderValue;
use parking_lot::{Mutex, MutexGuard};

use super::response::becomes;
use super::sender::Sender;
use super::singleflight::{QueueNotice, SharedRequest, WeakSharedRequest, caused_by_peers};
use super::{Reply, RequestContext};
use crate::credentials::Caller;
use crate::deadline::Deadline;
use crate::error::{Error, Failure};
use crate::memory::MemoryLease;
use crate::operation::RestRequest;
use crate::telemetry::SHARED;
use crate::token_key::TokenKey;

/// The reads that are under way, by their tokens. Clones are the same ones.
#[derive(Debug, Clone, Default)]
pub(super) struct ReadCoalescer(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    next: u64,
    tokens: HashMap<TokenKey, HashMap<Read, Entry>>,
}

/// What makes two reads of one token the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Read {
    rpc: &'static str,
    path_and_query: String,
    is_repeated: bool,
}

struct Entry {
    number: u64,
    /// The token itself: keys are hashes, and no answer may reach another's.
    authorization: HeaderValue,
    flight: WeakSharedRequest<Arc<Outcome>>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry").finish_non_exhaustive()
    }
}

/// What a read came to, and what of the memory for answers that holds.
#[derive(Debug)]
struct Outcome {
    answer: Result<Reply, Failure>,
    held: MemoryLease,
}

/// A write under way; from its end on, no read joins one that was sent before.
#[derive(Debug)]
pub(super) struct WriteBarrier {
    reads: ReadCoalescer,
    token: TokenKey,
}

impl Drop for WriteBarrier {
    fn drop(&mut self) {
        let forgotten = self.reads.state().tokens.remove(&self.token);
        // Not under the lock: what ends with the last of its calls asks for it.
        drop(forgotten);
    }
}

/// A read that is known, until this is dropped.
#[derive(Debug)]
struct Registration {
    reads: ReadCoalescer,
    token: TokenKey,
    read: Read,
    number: u64,
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut state = self.reads.state();
        let Some(reads) = state.tokens.get_mut(&self.token) else {
            return;
        };
        if reads
            .get(&self.read)
            .is_some_and(|entry| entry.number == self.number)
        {
            let entry = reads.remove(&self.read);
            if reads.is_empty() {
                state.tokens.remove(&self.token);
            }
            drop(state);
            drop(entry);
        }
    }
}

impl ReadCoalescer {
    /// A write of this token, which begins now.
    pub(super) fn write(&self, token: TokenKey) -> WriteBarrier {
        WriteBarrier {
            reads: self.clone(),
            token,
        }
    }

    /// Sends a read, or waits for the same one that is under way.
    pub(super) async fn send(
        &self,
        sender: &Sender,
        call: &RestRequest,
        terms: &RequestContext,
    ) -> Result<Reply, Failure> {
        loop {
            let flight = self.flight(sender, call, terms);
            let landed = flight.result(&terms.deadline).await?;
            let answer = match Arc::try_unwrap(landed) {
                // What it held is given back, for the call's own account.
                Ok(Outcome { answer, held }) => {
                    drop(held);
                    answer
                }
                Err(landed) => landed.answer.clone(),
            };
            match answer {
                // The time of others ran out.
                Err(failure) if caused_by_peers(&failure.error, &terms.deadline) => {}
                Err(failure) => return Err(failure),
                Ok(reply) => {
                    let (spec, body) = (call.spec, &reply.body);
                    let is_held = terms.memory.reserve(body.len()).and_then(|()| {
                        terms.memory.reserve_excess(becomes(spec, body), body.len())
                    });
                    is_held.map_err(|_| Error::MemoryExhausted)?;
                    return Ok(reply);
                }
            }
        }
    }

    fn flight(
        &self,
        sender: &Sender,
        call: &RestRequest,
        terms: &RequestContext,
    ) -> SharedRequest<Arc<Outcome>> {
        let read = Read {
            rpc: call.spec.rpc,
            path_and_query: call.path_and_query.clone(),
            is_repeated: terms.is_retry,
        };
        let token = terms.caller.key();
        let mut state = self.state();
        let known = state.tokens.get(&token).and_then(|reads| reads.get(&read));
        let joined = known
            .filter(|known| is_same(&known.authorization, &terms.caller))
            .and_then(|known| known.flight.join(&terms.deadline));
        if let Some(joined) = joined {
            drop(state);
            // The turn that was reserved for it is not needed.
            drop(terms.reservations.take());
            terms.access_log.scope().request_saved(SHARED);
            return joined;
        }
        let number = state.next;
        state.next += 1;
        let known = Registration {
            reads: self.clone(),
            token,
            read: read.clone(),
            number,
        };
        let (sender, call, terms) = (sender.clone(), call.clone(), terms.clone());
        let (authorization, deadline) = (terms.caller.authorization(), terms.deadline.clone());
        let flight = SharedRequest::new(&deadline, |deadline, wait| {
            lead(known, sender, call, terms, deadline, wait)
        });
        let replaced = flight.downgrade().and_then(|joinable| {
            let entry = Entry {
                number,
                authorization,
                flight: joinable,
            };
            state.tokens.entry(token).or_default().insert(read, entry)
        });
        drop(state);
        drop(replaced);
        flight
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }
}

/// Sends a read for all calls that wait for it. It is known until it ends.
fn lead(
    known: Registration,
    sender: Sender,
    call: RestRequest,
    terms: RequestContext,
    deadline: Deadline,
    wait: QueueNotice,
) -> impl Future<Output = Arc<Outcome>> + Send {
    let held = terms.memory.sub_lease();
    let terms = RequestContext {
        deadline,
        memory: held.clone(),
        reservations: terms.reservations.take().into(),
        ..terms
    };
    async move {
        let answer = sender.send_shared(&call, &terms, &wait).await;
        // Nobody joins what has landed.
        drop(known);
        Arc::new(Outcome { answer, held })
    }
}

fn is_same(authorization: &HeaderValue, caller: &Caller) -> bool {
    *authorization == caller.authorization()
}
