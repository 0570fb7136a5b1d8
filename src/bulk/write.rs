//! The bulk write: sends batches so that the updates of one user are applied in
//! their order, and reports the outcome of each update.

mod plan;
mod report;

use futures_util::stream::{FuturesUnordered, StreamExt};

use super::id_key::{IdKey, IdSet};
use super::{Bulk, BulkContext};
use crate::context::CallContext;
use crate::deadline::Deadline;
use crate::error::{Error, Failure, NotTried};
use crate::operation;
use crate::proto::EncodedMessage;
use crate::proto::v1::{
    MutableUserPresence, PutUsersPresencesBulkRequest, PutUsersPresencesBulkResponse,
};
use crate::upstream::UpstreamResponse;
use plan::Batch;

type Request = PutUsersPresencesBulkRequest;
type WriteResult = Result<UpstreamResponse<PutUsersPresencesBulkResponse>, Failure>;

/// The outcome of the updates at these positions of the request.
struct UpdateOutcome {
    /// In ascending order.
    positions: Vec<usize>,
    result: WriteResult,
}

impl Bulk for Request {
    /// Sends the updates in batches that contain each user at most once.
    ///
    /// Batches start in the order of the request, several at a time. A batch waits
    /// for earlier batches that contain one of its users: the vendor keeps the
    /// update that arrives last.
    ///
    /// Without partial results, no batch starts after a failure. With partial
    /// results, a failure stops further batches only if they would fail as well;
    /// but later updates of users whose outcome is unknown are not sent. Batches
    /// in flight are awaited in either case, because they change something.
    async fn fan_out(
        self,
        context: &CallContext,
        bulk: &BulkContext,
    ) -> Result<UpstreamResponse<EncodedMessage>, Failure> {
        if self.body.is_empty() {
            return context.forward(&bulk.upstream, &self).await;
        }
        // Check the whole request, so that violations name positions in it.
        operation::check(&self)?;
        let batches = plan::batches(&self.body)?;
        let partial = self.allow_partial_results;
        let ids = self.body.iter().map(|update| update.id.clone());
        let ids: Vec<String> = ids.map(Option::unwrap_or_default).collect();
        let reserved = bulk.upstream.reserve(&context.request, batches.len());
        let reserved = reserved.await;
        // With partial results, those that fit are sent: each batch asks by itself.
        if !partial {
            reserved?;
        }
        context.record_bulk(batches.len(), ids.len());
        let outcomes = send(self, &batches, context, bulk).await;
        let result = if partial {
            report::partial(outcomes, &ids)
        } else {
            report::all_or_nothing(outcomes)
        };
        Ok(result?.map(|message| EncodedMessage::of(&message)))
    }
}

/// Sends the batches. Returns the outcomes of the batches in their
/// order, followed by the updates that were not sent.
async fn send(
    request: Request,
    batches: &[Batch],
    context: &CallContext,
    bulk: &BulkContext,
) -> Vec<UpdateOutcome> {
    let (partial, deadline) = (request.allow_partial_results, &context.request.deadline);
    let mut updates = request.body.into_iter().enumerate();
    let mut outcomes: Vec<UpdateOutcome> = Vec::new();
    let mut in_flight = FuturesUnordered::new();
    let mut in_flight_batches: Vec<usize> = Vec::new();
    let mut next = 0;
    // Set when no further batch starts: the reason.
    let mut stopped: Option<NotTried> = None;
    // The users with an update that may still be applied, and the positions of
    // their later updates, which are not sent for that reason.
    let mut unknown_users = IdSet::default();
    let mut withheld: Vec<usize> = Vec::new();
    let mut unsent: Vec<usize> = Vec::new();
    loop {
        while stopped.is_none()
            && next < batches.len()
            && in_flight_batches.len() < bulk.limits.concurrency
            && !in_flight_batches
                .iter()
                .any(|&earlier| !batches[earlier].users.is_disjoint(&batches[next].users))
        {
            let number = next;
            next += 1;
            let batch = updates.by_ref().take(batches[number].positions.len());
            let (held_back, sent): (Vec<_>, Vec<_>) =
                batch.partition(|(_, update)| unknown_users.contains(&user_key(update)));
            withheld.extend(held_back.into_iter().map(|(position, _)| position));
            if sent.is_empty() {
                continue;
            }
            let (positions, body): (Vec<_>, _) = sent.into_iter().unzip();
            let request = Request {
                body,
                ..Request::default()
            };
            in_flight.push(async move {
                let batch = context.batch(number, request.body.len());
                let result = batch.forward(&bulk.upstream, &request).await;
                batch.finish(&result);
                let result = result.map(|response| response.map(|message| message.decode()));
                (number, positions, result)
            });
            in_flight_batches.push(number);
        }
        let Some((number, positions, mut result)) = in_flight.next().await else {
            break;
        };
        in_flight_batches.retain(|&other| other != number);
        if let Err(failure) = &mut result {
            failure.error.set_sent_positions(&positions);
            stopped = stopped.or(match partial {
                false if deadline.is_expired() => Some(NotTried::DeadlineExceeded),
                false => Some(NotTried::CallFailed),
                true => stop_reason(&failure.error, deadline),
            });
            if failure.error.is_outcome_unknown() {
                unknown_users.extend(batches[number].users.iter().cloned());
            }
            // The deadline passed before the batch was sent.
            if matches!(failure.error, Error::DeadlineExceeded(_)) {
                unsent.extend(positions);
                continue;
            }
        }
        outcomes.push(UpdateOutcome { positions, result });
    }
    outcomes.sort_unstable_by_key(|outcome| outcome.positions.first().copied());
    unsent.extend(updates.map(|(position, _)| position));
    unsent.sort_unstable();
    let not_tried = [
        (NotTried::OutcomeUnknown, withheld),
        (stopped.unwrap_or(NotTried::CallFailed), unsent),
    ];
    let not_tried = not_tried
        .into_iter()
        .filter(|(_, positions)| !positions.is_empty());
    outcomes.extend(not_tried.map(|(reason, positions)| UpdateOutcome {
        positions,
        result: Err(Error::NotTried(reason).into()),
    }));
    outcomes
}

/// Why no batch may start after this failure of another one; `None` if further
/// batches may succeed.
///
/// A failure does not endanger the order of one user's updates: a rejected
/// update is never applied later. By the contract of errors, every status but
/// 502 and 504 is a rejection, including 500 and 503.
fn stop_reason(error: &Error, deadline: &Deadline) -> Option<NotTried> {
    let is_throttled = error
        .response()
        .is_some_and(|response| response.status == 429);
    let is_late = |delay| delay >= deadline.remaining();
    let retry_is_late = || error.retry_delay().is_some_and(is_late);
    match error {
        _ if deadline.is_expired() => Some(NotTried::DeadlineExceeded),
        // Later requests of this token, or of this process, would fail as well.
        Error::RateLimited { .. } | Error::Draining => Some(NotTried::CallFailed),
        error if error.is_unauthenticated() || is_throttled && retry_is_late() => {
            Some(NotTried::CallFailed)
        }
        _ => None,
    }
}

/// The key of the user whose presence is updated.
fn user_key(update: &MutableUserPresence) -> IdKey {
    IdKey::of(update.id.as_deref().unwrap_or_default())
}
