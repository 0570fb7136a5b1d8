//! The bulk write.

mod plan;
mod report;

use std::collections::HashSet;

use futures_util::stream::{FuturesUnordered, StreamExt};

use super::{Bulk, BulkContext, key};
use crate::context::CallContext;
use crate::deadline::Deadline;
use crate::error::{Error, Failure, NotTried};
use crate::operation;
use crate::proto::v1::{
    MutableUserPresence, PutUsersPresencesBulkRequest, PutUsersPresencesBulkResponse, UserPresence,
};
use crate::upstream::Reply;
use plan::Plan;

type Request = PutUsersPresencesBulkRequest;
type Answer = Result<Reply<PutUsersPresencesBulkResponse>, Failure>;

/// What became of the updates at these positions of the request, in their order.
struct Outcome {
    positions: Vec<usize>,
    answer: Answer,
}

impl Bulk for Request {
    /// Sends the updates in batches that hold a user once each.
    ///
    /// The batches begin in the order of the request, several at a time, but
    /// never one with a user of whom an earlier batch has not been answered:
    /// the vendor would keep whichever update came last.
    ///
    /// All or nothing, none begins after a failure. In partial results, a
    /// failure that does not hold for the whole call stops no other batch; but
    /// the later updates of users whose outcome is unknown are not sent. Those
    /// in flight are awaited in either case, since they change something.
    async fn fan_out(self, session: &CallContext, bulk: &BulkContext) -> Answer {
        if self.body.is_empty() {
            return session.forward(&bulk.upstream, &self).await;
        }
        // As a whole, so that an update is named by its place in the request.
        operation::check(&self)?;
        let plan = Plan::of(&self.body)?;
        let partial = self.allow_partial_results;
        let ids = plan::ids(&self.body);
        if !partial {
            bulk.upstream
                .reserve(&session.request, plan.batches.len())?;
        }
        session.record_bulk(plan.batches.len(), ids.len());
        let outcomes = send(self, &plan, session, bulk).await;
        if partial {
            report::partial(outcomes, &ids)
        } else {
            report::whole(outcomes)
        }
    }
}

/// Sends the batches of a plan; gives what became of each, in their order, and
/// then what was not sent.
async fn send(
    request: Request,
    plan: &Plan,
    session: &CallContext,
    bulk: &BulkContext,
) -> Vec<Outcome> {
    let (partial, deadline) = (request.allow_partial_results, &session.request.deadline);
    let mut updates = request.body.into_iter().enumerate();
    let mut outcomes: Vec<Outcome> = Vec::new();
    let mut in_flight = FuturesUnordered::new();
    let mut running: Vec<usize> = Vec::new();
    let mut next = 0;
    // Why no batch begins any more.
    let mut stopped: Option<NotTried> = None;
    // The users whose earlier update may still be applied, and the positions
    // of what is not sent because of that.
    let mut uncertain: HashSet<String> = HashSet::new();
    let mut withheld: Vec<usize> = Vec::new();
    let mut unsent: Vec<usize> = Vec::new();
    loop {
        while stopped.is_none()
            && next < plan.batches.len()
            && running.len() < bulk.limits.concurrency
            && !running
                .iter()
                .any(|&earlier| plan.share_a_user(earlier, next))
        {
            let number = next;
            next += 1;
            let batch = updates.by_ref().take(plan.batches[number].len());
            let (kept, sent): (Vec<_>, Vec<_>) =
                batch.partition(|(_, update)| uncertain.contains(&user(update)));
            withheld.extend(kept.into_iter().map(|(position, _)| position));
            if sent.is_empty() {
                continue;
            }
            let (positions, body): (Vec<_>, _) = sent.into_iter().unzip();
            let batch = Request {
                body,
                ..Request::default()
            };
            in_flight.push(async move {
                let session = session.batch(number, batch.body.len());
                let answer = session.forward(&bulk.upstream, &batch).await;
                session.finish(&answer);
                (number, positions, answer)
            });
            running.push(number);
        }
        let Some((number, positions, mut answer)) = in_flight.next().await else {
            break;
        };
        running.retain(|&other| other != number);
        if let Err(failure) = &mut answer {
            failure.error.locate(&positions);
            let why = match partial {
                false if deadline.is_expired() => Some(NotTried::DeadlineExceeded),
                false => Some(NotTried::CallFailed),
                true => stops(&failure.error, deadline),
            };
            stopped = stopped.or(why);
            if failure.error.is_outcome_unknown() {
                uncertain.extend(plan.users(number).iter().cloned());
            }
            // It met the deadline before it was sent.
            if matches!(failure.error, Error::DeadlineExceeded) {
                unsent.extend(positions);
                continue;
            }
        }
        outcomes.push(Outcome { positions, answer });
    }
    outcomes.sort_unstable_by_key(|outcome| outcome.positions.first().copied());
    unsent.extend(updates.map(|(position, _)| position));
    unsent.sort_unstable();
    let not_tried = [
        (NotTried::OutcomeUnknown, withheld),
        (stopped.unwrap_or(NotTried::CallFailed), unsent),
    ];
    outcomes.extend(
        not_tried
            .into_iter()
            .filter(|(_, positions)| !positions.is_empty())
            .map(|(why, positions)| Outcome {
                positions,
                answer: Err(Error::NotTried(why).into()),
            }),
    );
    outcomes
}

/// Why a failure of one batch holds for those that were not sent; `None` where
/// it does not.
///
/// The order of one user's updates needs no more: what was refused is not
/// applied later. That goes for every answer but 502 and 504, by the contract
/// of errors, and so for 500 and 503.
fn stops(error: &Error, deadline: &Deadline) -> Option<NotTried> {
    let is_limited = error.fault().is_some_and(|fault| fault.status == 429);
    let is_late = || {
        error
            .retry_delay()
            .is_some_and(|delay| delay >= deadline.remaining())
    };
    match error {
        _ if deadline.is_expired() => Some(NotTried::DeadlineExceeded),
        // No later request of this token's, or of this process's, has its turn.
        Error::RateLimited(_) | Error::Draining => Some(NotTried::CallFailed),
        error if error.is_unauthenticated() || is_limited && is_late() => {
            Some(NotTried::CallFailed)
        }
        _ => None,
    }
}

/// The user of an update, as users are compared.
fn user(update: &MutableUserPresence) -> String {
    key(update.id.as_deref().unwrap_or_default())
}

/// Joins the batches' answers, in their order.
fn presences(answers: impl Iterator<Item = PutUsersPresencesBulkResponse>) -> Vec<UserPresence> {
    answers.flat_map(|answer| answer.presences).collect()
}
