//! Coalesces single reads: identical concurrent reads of one token become one
//! request. `bulk/read/coalesce.rs` does the same with the ids of bulk reads.
//!
//! A read does not join a request that was sent before the response to a write
//! of its token, so that callers read what they wrote.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use http::HeaderValue;
use parking_lot::Mutex;

use super::response::decoded_size;
use super::sender::Sender;
use super::singleflight::{SharedRequest, WeakSharedRequest, caused_by_peers};
use super::{RequestContext, UpstreamResponse};
use crate::error::{Error, Failure};
use crate::memory::MemoryLease;
use crate::operation::RestRequest;
use crate::telemetry::SHARED;
use crate::token_key::TokenKey;

/// The concurrent reads of each token. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct ReadCoalescer(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    next_number: u64,
    tokens: HashMap<TokenKey, HashMap<Read, Entry>, RandomState>,
}

/// What makes two reads of one token identical.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Read {
    rpc: &'static str,
    path_and_query: String,
    is_client_retry: bool,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    /// The token itself: keys are hashes, and no response may reach another token.
    authorization: HeaderValue,
    request: WeakSharedRequest<Arc<Outcome>>,
}

/// The result of a read, and the memory that it takes.
#[derive(Debug)]
struct Outcome {
    result: Result<UpstreamResponse, Failure>,
    _lease: MemoryLease,
}

/// Removes the reads of a token from the coalescer when it is dropped, which is
/// when a write has its response: a read that starts after a write must not
/// return a result from before it.
#[must_use]
pub(super) struct InvalidateOnDrop {
    reads: ReadCoalescer,
    token: TokenKey,
}

impl Drop for InvalidateOnDrop {
    fn drop(&mut self) {
        let removed = self.reads.0.lock().tokens.remove(&self.token);
        // After the lock is released: the last handle of a request drops its
        // `Registration`, which takes the lock.
        drop(removed);
    }
}

/// Removes a read from the coalescer when it is dropped.
#[derive(Debug)]
struct Registration {
    reads: ReadCoalescer,
    token: TokenKey,
    read: Read,
    number: u64,
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut state = self.reads.0.lock();
        let Some(reads) = state.tokens.get_mut(&self.token) else {
            return;
        };
        let entry = reads.get(&self.read);
        if entry.is_some_and(|entry| entry.number == self.number) {
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
    /// A guard for a write of this token.
    pub(super) fn invalidate_on_drop(&self, token: TokenKey) -> InvalidateOnDrop {
        InvalidateOnDrop {
            reads: self.clone(),
            token,
        }
    }

    /// Joins an identical read that is in flight, or sends this one.
    pub(super) async fn send(
        &self,
        sender: &Sender,
        request: &RestRequest,
        context: &RequestContext,
    ) -> Result<UpstreamResponse, Failure> {
        loop {
            let shared = self.join_or_start(sender, request, context);
            let outcome = shared.result(&context.deadline).await?;
            // The last call to take the outcome drops its lease here, and
            // reserves the same memory for itself below.
            let result = Arc::try_unwrap(outcome)
                .map_or_else(|outcome| outcome.result.clone(), |outcome| outcome.result);
            match result {
                Err(failure) if caused_by_peers(&failure.error, &context.deadline) => {}
                Err(mut failure) => {
                    failure.error.set_time_limit(context.deadline.limit());
                    return Err(failure);
                }
                Ok(response) => {
                    let (memory, len) = (&context.memory, response.body.len());
                    let decoded = decoded_size(request.spec, &response.body);
                    memory
                        .reserve(len)
                        .and_then(|()| memory.reserve_excess(decoded, len))
                        .map_err(|_| Error::MemoryExhausted)?;
                    return Ok(response);
                }
            }
        }
    }

    fn join_or_start(
        &self,
        sender: &Sender,
        request: &RestRequest,
        context: &RequestContext,
    ) -> SharedRequest<Arc<Outcome>> {
        let read = Read {
            rpc: request.spec.rpc,
            path_and_query: request.path_and_query.clone(),
            is_client_retry: context.is_client_retry,
        };
        let (token, authorization) = (context.caller.key(), context.caller.authorization());
        let mut state = self.0.lock();
        let entry = state.tokens.get(&token).and_then(|reads| reads.get(&read));
        let joined = entry
            .filter(|entry| entry.authorization == authorization)
            .and_then(|entry| entry.request.join(&context.deadline));
        if let Some(joined) = joined {
            drop(state);
            // The call makes one request less than it reserved.
            drop(context.reservations.take());
            context.access_log.telemetry().request_saved(SHARED);
            return joined;
        }
        let number = state.next_number;
        state.next_number += 1;
        let registration = Registration {
            reads: self.clone(),
            token,
            read: read.clone(),
            number,
        };
        let shared = SharedRequest::new(&context.deadline, |deadline, queue_status| {
            let (sender, request) = (sender.clone(), request.clone());
            let memory = context.memory.sub_lease();
            let context = RequestContext {
                deadline,
                memory: memory.clone(),
                reservations: context.reservations.take().into(),
                ..context.clone()
            };
            async move {
                let result = sender
                    .send_observed(&request, &context, &queue_status)
                    .await;
                drop(registration);
                Arc::new(Outcome {
                    result,
                    _lease: memory,
                })
            }
        });
        let entry = Entry {
            number,
            authorization,
            request: shared.downgrade(),
        };
        let replaced = state.tokens.entry(token).or_default().insert(read, entry);
        drop(state);
        drop(replaced);
        shared
    }
}
