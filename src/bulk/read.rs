//! Bulk reads: plans the batches, sends them, collects their outcomes, and
//! assembles the response.

mod assemble;
mod coalesce;
mod collect;
mod plan;

use std::mem;
use std::sync::OnceLock;

use futures_util::stream::{self, StreamExt};

use super::{Bulk, BulkContext};
use crate::context::CallContext;
use crate::error::Failure;
use crate::operation::{self, Operation, RequestTemplate};
use crate::proto::EncodedMessage;
use crate::proto::v1::{
    GetUsersPresenceBulkRequest, GetUsersPresencesPurecloudBulkRequest, UcUserPresence,
};
use crate::upstream::{ResponseHead, Upstream, UpstreamResponse};
pub(super) use assemble::{BatchResult, assemble};
pub use coalesce::BatchCoalescer;
pub(super) use collect::presences;
use collect::{BatchOutcome, collect, correlation_id};
use plan::{Dispatch, Plan, PlannedBatch};

/// A read of many users' presences.
pub(crate) trait BulkRead: Operation + Clone {
    /// A request for users of this source, without ids.
    fn with_source(source: String) -> Self;
    fn ids(&self) -> &[String];
    fn take_ids(&mut self) -> Vec<String>;
    fn allow_partial_results(&self) -> bool;
}

macro_rules! bulk_read {
    ($request:ident, $($source:ident)?) => {
        impl Bulk for $request {
            async fn fan_out(
                self,
                context: &CallContext,
                bulk: &BulkContext,
            ) -> Result<UpstreamResponse<EncodedMessage>, Failure> {
                read_bulk(self, context, bulk).await
            }
        }

        impl BulkRead for $request {
            fn with_source(_source: String) -> Self {
                Self {
                    $($source: _source,)?
                    ..Self::default()
                }
            }

            fn ids(&self) -> &[String] {
                &self.ids
            }

            fn take_ids(&mut self) -> Vec<String> {
                mem::take(&mut self.ids)
            }

            fn allow_partial_results(&self) -> bool {
                self.allow_partial_results
            }
        }
    };
}

bulk_read!(GetUsersPresenceBulkRequest, source_id);
bulk_read!(GetUsersPresencesPurecloudBulkRequest,);

async fn read_bulk<O: BulkRead>(
    request: O,
    context: &CallContext,
    bulk: &BulkContext,
) -> Result<UpstreamResponse<EncodedMessage>, Failure> {
    if request.ids().is_empty() {
        return context.forward(&bulk.upstream, &request).await;
    }
    let partial = request.allow_partial_results();
    let plan = Plan::new(request)?;
    // A single batch is not reserved: it may be coalesced into another call's
    // request, and reserves its place itself if it is not.
    if plan.batches.len() > 1 {
        let batches = plan.batches.len();
        let reserved = bulk.upstream.reserve(&context.request, batches).await;
        // With partial results, those that fit are sent: each batch asks by itself.
        if !partial {
            reserved?;
        }
    }
    context.record_bulk(plan.batches.len(), plan.ids());

    let (template, batches) = plan.dispatch(context, bulk);
    let sender = BatchSender {
        template,
        context,
        bulk,
        rejected: OnceLock::new(),
    };
    let outcomes = batches.into_iter().map(|batch| sender.send(batch));
    let outcomes = stream::iter(outcomes).buffer_unordered(bulk.limits.concurrency);
    let batches = collect(O::SPEC, outcomes, partial).await?;

    if let Some(failure) = sender.rejected.into_inner()
        && batches.iter().all(|batch| batch.failure.is_some())
    {
        return Err(failure);
    }
    let correlation_id = correlation_id(&batches);
    let result = assemble(batches);
    let access_log = &context.request.access_log;
    access_log.add_unmatched_presences(result.unmatched);
    Ok(UpstreamResponse {
        body: result.response.encode(),
        correlation_id,
        head: ResponseHead::default(),
    })
}

/// Reads the users of one batch; returns the presences that the vendor has, each with
/// the id of the request. It shares no response with other reads, which may have begun
/// earlier.
///
/// # Errors
///
/// If the request fails.
pub(crate) async fn read_batch<O: BulkRead>(
    context: &CallContext,
    upstream: &Upstream,
    request: O,
) -> Result<Vec<(String, UcUserPresence)>, Failure> {
    let ids = request.ids().to_vec();
    let request = operation::encode(&request)?;
    let response = upstream.send_unshared(&request, &context.request).await;
    let response = response.and_then(|response| context.decode(request.spec, response));
    let batch = BatchResult::new(ids.into(), response.map(presences));
    let (presences, unmatched) = batch.into_presences()?;
    context
        .request
        .access_log
        .add_unmatched_presences(unmatched);
    Ok(presences)
}

/// Sends the batches of one call.
struct BatchSender<'a> {
    template: RequestTemplate,
    context: &'a CallContext,
    bulk: &'a BulkContext,
    /// The failure of a batch whose token was rejected. Further batches would be
    /// rejected as well and are not sent.
    rejected: OnceLock<Failure>,
}

impl<'a> BatchSender<'a> {
    async fn send(
        &self,
        (index, ids, dispatch): PlannedBatch,
    ) -> (usize, Vec<String>, BatchOutcome<'a>) {
        if let Some(failure) = self.rejected.get() {
            return (index, ids, BatchOutcome::Decoded(Err(failure.clone())));
        }
        let batch = self.context.batch(index, ids.len());
        let outcome = match dispatch {
            Dispatch::Own => {
                let request = self.template.with(&ids);
                match self.bulk.upstream.send(&request, &batch.request).await {
                    Ok(response) => BatchOutcome::Received(batch, response),
                    Err(failure) => BatchOutcome::decoded(batch, Err(failure)),
                }
            }
            Dispatch::Coalesced(joined) => {
                let upstream = &self.bulk.upstream;
                let presences = joined.fetch(&self.template, &ids, &batch, upstream).await;
                BatchOutcome::decoded(batch, presences)
            }
        };
        if let BatchOutcome::Decoded(Err(failure)) = &outcome
            && failure.error.is_unauthenticated()
        {
            let _ = self.rejected.set(failure.clone());
        }
        (index, ids, outcome)
    }
}
