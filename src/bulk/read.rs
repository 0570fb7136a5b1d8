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
use crate::error::{Failure, Violation};
use crate::operation::{self, Operation, RestRequest};
use crate::proto::v1::{
    GetUsersPresenceBulkRequest, GetUsersPresenceBulkResponse,
    GetUsersPresencesPurecloudBulkRequest, GetUsersPresencesPurecloudBulkResponse, UcUserPresence,
};
use crate::upstream::{ResponseHead, Upstream, UpstreamResponse};
pub(super) use assemble::{BatchResult, BulkResult, assemble};
pub use coalesce::BatchCoalescer;
use collect::{BatchOutcome, collect, correlation_id};
use plan::{Dispatch, Plan, PlannedBatch};

/// A read of many users' presences.
pub(crate) trait BulkRead: Operation + Clone {
    /// A request for users of this source, without ids.
    fn with_source(source: String) -> Self;
    fn ids(&self) -> &[String];
    fn take_ids(&mut self) -> Vec<String>;
    fn allow_partial_results(&self) -> bool;
    /// The same request for other ids.
    fn with_ids(&self, ids: Vec<String>) -> Self;
    fn presences(response: Self::Response) -> Vec<UcUserPresence>;
    fn response(result: BulkResult) -> Self::Response;

    /// Encodes the same request for other ids, without a copy of them.
    fn encode_with(&self, ids: &mut Vec<String>) -> Result<RestRequest, Vec<Violation>> {
        let mut request = self.with_ids(mem::take(ids));
        let encoded = operation::encode(&request);
        *ids = request.take_ids();
        encoded
    }
}

macro_rules! bulk_read {
    ($request:ident, $response:ident, $($source:ident)?) => {
        impl Bulk for $request {
            async fn fan_out(
                self,
                context: &CallContext,
                bulk: &BulkContext,
            ) -> Result<UpstreamResponse<$response>, Failure> {
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

            fn with_ids(&self, ids: Vec<String>) -> Self {
                Self {
                    ids,
                    ..self.clone()
                }
            }

            fn presences(response: $response) -> Vec<UcUserPresence> {
                response.presences
            }

            fn response(result: BulkResult) -> $response {
                $response {
                    presences: result.presences,
                    missing_ids: result.missing_ids,
                    failures: result.failures,
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

async fn read_bulk<O: BulkRead>(
    request: O,
    context: &CallContext,
    bulk: &BulkContext,
) -> Result<UpstreamResponse<O::Response>, Failure> {
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

    let (template, batches) = plan.dispatch(context, bulk)?;
    let sender = BatchSender {
        template,
        context,
        bulk,
        rejected: OnceLock::new(),
    };
    let outcomes = batches.into_iter().map(|batch| sender.send(batch));
    let outcomes = stream::iter(outcomes).buffer_unordered(bulk.limits.concurrency);
    let batches = collect::<O>(outcomes, partial).await?;

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
        body: O::response(result),
        correlation_id,
        head: ResponseHead::default(),
    })
}

/// Reads the users of one batch; returns the presences that the vendor has, each with
/// the id of the request.
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
    let response = context.forward(upstream, &request).await;
    let presences = response.map(|response| response.map(O::presences));
    let (presences, unmatched) = BatchResult::new(ids, presences).into_presences()?;
    context
        .request
        .access_log
        .add_unmatched_presences(unmatched);
    Ok(presences)
}

/// Sends the batches of one call.
struct BatchSender<'a, O> {
    template: O,
    context: &'a CallContext,
    bulk: &'a BulkContext,
    /// The failure of a batch whose token was rejected. Further batches would be
    /// rejected as well and are not sent.
    rejected: OnceLock<Failure>,
}

impl<'a, O: BulkRead> BatchSender<'a, O> {
    async fn send(
        &self,
        (index, mut ids, dispatch): PlannedBatch,
    ) -> (usize, Vec<String>, BatchOutcome<'a>) {
        if let Some(failure) = self.rejected.get() {
            return (index, ids, BatchOutcome::Decoded(Err(failure.clone())));
        }
        let batch = self.context.batch(index, ids.len());
        let outcome = match dispatch {
            Dispatch::Own(request) => match self.send_own(request, &mut ids, &batch).await {
                Ok(response) => BatchOutcome::Received(batch, response),
                Err(failure) => BatchOutcome::decoded(batch, Err(failure)),
            },
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

    async fn send_own(
        &self,
        request: Option<RestRequest>,
        ids: &mut Vec<String>,
        batch: &CallContext,
    ) -> Result<UpstreamResponse, Failure> {
        let request = match request {
            Some(request) => request,
            None => self.template.encode_with(ids)?,
        };
        self.bulk.upstream.send(&request, &batch.request).await
    }
}
