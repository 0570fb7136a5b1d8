//! Bulk reads.

mod assemble;
mod coalesce;
mod dispatch;
mod outcome;

use std::sync::OnceLock;

use futures_util::stream::{self, StreamExt};

use super::{BATCH, Bulk, BulkContext, distinct};
use crate::context::CallContext;
use crate::error::Failure;
use crate::operation::{self, Operation};
use crate::proto::v1::{
    BulkReadFailure, GetUsersPresenceBulkRequest, GetUsersPresenceBulkResponse,
    GetUsersPresencesPurecloudBulkRequest, GetUsersPresencesPurecloudBulkResponse, UcUserPresence,
};
use crate::upstream::Reply;
pub(super) use assemble::{BatchResult, BulkResult, glue};
pub use coalesce::BatchCoalescer;
use dispatch::{Dispatch, check, shared};
use outcome::{BatchOutcome, answers, correlation_id};

/// A read of many users' presences.
pub(crate) trait BulkRead: Operation + Clone {
    /// The read of a source, without ids.
    fn at(source: String) -> Self;
    fn ids(&self) -> &[String];
    fn allow_partial_results(&self) -> bool;
    /// The same read for other ids.
    fn with_ids(&self, ids: Vec<String>) -> Self;
    fn presences(response: Self::Response) -> Vec<UcUserPresence>;
    fn response(glued: BulkResult) -> Self::Response;
}

macro_rules! bulk_read {
    ($request:ident, $response:ident, $($source:ident)?) => {
        impl Bulk for $request {
            async fn fan_out(
                self,
                session: &CallContext,
                bulk: &BulkContext,
            ) -> Result<Reply<$response>, Failure> {
                read(&self, session, bulk).await
            }
        }

        impl BulkRead for $request {
            fn at(_source: String) -> Self {
                Self {
                    $($source: _source,)?
                    ..Self::default()
                }
            }

            fn ids(&self) -> &[String] {
                &self.ids
            }

            fn allow_partial_results(&self) -> bool {
                self.allow_partial_results
            }

            fn with_ids(&self, ids: Vec<String>) -> Self {
                Self {
                    ids,
                    ..self.clone()
                }
            }

            fn presences(response: $response) -> Vec<UcUserPresence> {
                response.presences
            }

            fn response(glued: BulkResult) -> $response {
                let BulkResult {
                    presences,
                    missing_ids,
                    failures,
                    ..
                } = glued;
                $response {
                    presences,
                    missing_ids,
                    failures,
                }
            }
        }
    };
}

bulk_read!(
    GetUsersPresenceBulkRequest,
    GetUsersPresenceBulkResponse,
    source_id
);
bulk_read!(
    GetUsersPresencesPurecloudBulkRequest,
    GetUsersPresencesPurecloudBulkResponse,
);

async fn read<O: BulkRead>(
    request: &O,
    session: &CallContext,
    bulk: &BulkContext,
) -> Result<Reply<O::Response>, Failure> {
    if request.ids().is_empty() {
        return session.forward(&bulk.upstream, request).await;
    }
    let ids = distinct(request.ids());
    let bare = request.with_ids(Vec::new());
    // All that can be wrong before any is sent: such a request costs nothing.
    let first = if ids.len() == request.ids().len() && ids.len() <= BATCH {
        operation::encode(request)?
    } else {
        check(request)?;
        operation::encode(&bare.with_ids(ids.iter().take(BATCH).cloned().collect()))?
    };
    let batches: Vec<_> = ids.chunks(BATCH).map(<[String]>::to_vec).collect();

    let partial = request.allow_partial_results();
    // A single one may be saved, or waits for its own turn.
    if !partial && batches.len() > 1 {
        bulk.upstream.reserve(&session.request, batches.len())?;
    }
    session.record_bulk(batches.len(), ids.len());
    let batches = shared(first, batches, &bare, session, bulk)?;
    let parts = batches
        .iter()
        .filter(|(asking, _)| matches!(asking, Dispatch::Together(_)));
    let parts = parts.count();
    // A refused token is refused for each batch: one refusal stops the others.
    let refused = OnceLock::new();
    let mut calls: Vec<_> = batches
        .into_iter()
        .enumerate()
        .map(|(index, (asking, ids))| {
            let (refused, bare) = (&refused, &bare);
            async move {
                let got = if let Some(failure) = refused.get() {
                    BatchOutcome::Read(Err(Failure::clone(failure)))
                } else {
                    let batch = session.batch(index, ids.len());
                    match asking {
                        Dispatch::Alone(call) => {
                            let sent = async {
                                // On its turn, while others are waited for.
                                let call = match call {
                                    Some(call) => call,
                                    None => operation::encode(&bare.with_ids(ids.clone()))?,
                                };
                                bulk.upstream.send(&call, &batch.request).await
                            };
                            match sent.await {
                                Ok(reply) => BatchOutcome::Reply(batch, reply),
                                Err(failure) => BatchOutcome::read(batch, Err(failure)),
                            }
                        }
                        Dispatch::Together(part) => {
                            let answer = part.answer(bare, &batch, &bulk.upstream).await;
                            BatchOutcome::read(batch, answer)
                        }
                    }
                };
                if let BatchOutcome::Read(Err(failure)) = &got
                    && failure.error.is_unauthenticated()
                {
                    let _ = refused.set(failure.clone());
                }
                (index, ids, got)
            }
        })
        .collect();

    // What others may wait for is led from the beginning.
    calls.rotate_right(parts);
    let calls = stream::iter(calls).buffer_unordered(bulk.limits.concurrency);
    let mut answered = answers::<O>(calls, partial).await?;
    answered.sort_unstable_by_key(|answered| answered.index);
    let correlation_id = correlation_id(&answered);

    if let Some(failure) = refused.into_inner()
        && answered.iter().all(|answered| answered.is_failure)
    {
        return Err(failure);
    }
    let placed = answered.into_iter().map(|answered| answered.placed);
    let glued = glue(placed.collect());
    session
        .request
        .access_log
        .unmatched_answers(glued.unmatched);
    Ok(Reply {
        body: O::response(glued),
        correlation_id,
    })
}

fn failure(ids: Vec<String>, failure: Failure) -> BulkReadFailure {
    BulkReadFailure {
        ids,
        status: Some(failure.into_rpc_status()),
    }
}
