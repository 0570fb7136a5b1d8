//! The bulk write.

mod plan;
mod report;

use std::ops::Range;

use futures_util::stream::{FuturesUnordered, StreamExt};

use super::{Bulk, BulkLimits};
use crate::error::{Error, Failure};
use crate::operation;
use crate::proto::v1::{PutUsersPresencesBulkRequest, PutUsersPresencesBulkResponse, UserPresence};
use crate::session::{Served, Session};
use plan::Plan;

type Request = PutUsersPresencesBulkRequest;
type Answer = Result<Served<PutUsersPresencesBulkResponse>, Failure>;

/// What became of a batch, the updates at these positions of the request.
struct Outcome {
    updates: Range<usize>,
    answer: Answer,
}

impl Bulk for Request {
    /// Sends the updates in batches that hold a user once each.
    ///
    /// The batches begin in the order of the request, several at a time, but
    /// never one with a user of whom an earlier batch has not been answered:
    /// the vendor would keep whichever update came last. After a failure none
    /// begins; those in flight are awaited, since they change something.
    async fn fan_out(self, session: &Session, limits: BulkLimits) -> Answer {
        limits.check("body", self.body.len())?;
        if self.body.is_empty() {
            return session.forward(&self).await;
        }
        // As a whole, so that an update is named by its place in the request.
        operation::check(&self)?;
        let plan = Plan::of(&self.body)?;
        let partial = self.allow_partial_results;
        let ids = plan::ids(&self.body);
        if !partial {
            session
                .upstream
                .reserve(&session.terms, plan.batches.len())?;
        }
        session.bulk::<Self>(plan.batches.len(), ids.len());
        let outcomes = send(self, &plan, session, limits).await;
        if partial {
            report::partial(outcomes, &ids)
        } else {
            report::whole(outcomes)
        }
    }
}

/// Sends the batches of a plan; gives what became of each, in their order.
async fn send(
    request: Request,
    plan: &Plan,
    session: &Session,
    limits: BulkLimits,
) -> Vec<Outcome> {
    let mut updates = request.body.into_iter();
    let mut answers: Vec<Option<Answer>> = plan.batches.iter().map(|_| None).collect();
    let mut in_flight = FuturesUnordered::new();
    let mut running: Vec<usize> = Vec::new();
    let mut next = 0;
    // Set by the first failure: whether time had run out by then.
    let mut stopped: Option<bool> = None;
    loop {
        while stopped.is_none()
            && next < plan.batches.len()
            && running.len() < limits.concurrency
            && !running
                .iter()
                .any(|&earlier| plan.share_a_user(earlier, next))
        {
            let number = next;
            let body = updates.by_ref().take(plan.batches[number].len()).collect();
            let batch = Request {
                body,
                ..Request::default()
            };
            in_flight.push(async move {
                let session = session.batch(number, batch.body.len());
                let answer = session.forward(&batch).await;
                session.ended(&answer);
                (number, answer)
            });
            running.push(number);
            next += 1;
        }
        let Some((number, mut answer)) = in_flight.next().await else {
            break;
        };
        if let Err(failure) = &mut answer {
            failure.error.begin_at(plan.batches[number].start);
        }
        running.retain(|&other| other != number);
        if answer.is_err() {
            stopped.get_or_insert_with(|| session.terms.deadline.has_passed());
        }
        // It met the deadline before it was sent.
        let unsent = matches!(&answer, Err(failure) if matches!(failure.error, Error::Expired));
        answers[number] = Some(answer).filter(|_| !unsent);
    }
    let expired = stopped.unwrap_or_default();
    let not_tried = || Err(Error::NotTried { expired }.into());
    let answers = answers
        .into_iter()
        .map(|answer| answer.unwrap_or_else(not_tried));
    let batches = plan.batches.iter().cloned().zip(answers);
    batches
        .map(|(updates, answer)| Outcome { updates, answer })
        .collect()
}

/// Joins the batches' answers, in their order.
fn presences(answers: impl Iterator<Item = PutUsersPresencesBulkResponse>) -> Vec<UserPresence> {
    answers.flat_map(|answer| answer.presences).collect()
}
