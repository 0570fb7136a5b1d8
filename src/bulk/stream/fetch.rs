//! The trip of a stream's batch to the vendor and back.

use std::time::Duration;

use tokio::time::sleep;

use super::window::Batch;
use super::{Done, Ends, StreamResponse};
use crate::bulk::read::{BatchResult, BulkRead, glue};
use crate::context::CallContext;
use crate::error::Error;
use crate::operation::RestRequest;
use crate::upstream::{RequestContext, Reservations, Upstream};

/// What the answer to a batch is expected to have, in bytes. Most have less.
const EXPECTED: usize = 32 * 1024;

/// How long it takes until it is looked for room again.
const NO_ROOM: Duration = Duration::from_millis(50);

/// Waits until there is memory for an answer: to ask for one that cannot be
/// taken would cost the token a request.
async fn has_room(session: &CallContext) -> Result<(), Error> {
    let drain = session.request.deadline.drain();
    while session.request.memory.prereserve(EXPECTED).is_err() {
        tokio::select! {
            () = sleep(NO_ROOM) => {}
            _ = drain.begun() => return Err(Error::Draining),
        }
    }
    Ok(())
}

/// Sends a batch as `call`; what is wrong with single ids is a part of the
/// results already.
pub(super) async fn send<O: BulkRead>(
    session: &CallContext,
    upstream: &Upstream,
    call: Result<RestRequest, Error>,
    batch: Batch,
) -> Done {
    // Its own account: a stream as a whole would hold more and more.
    let held = session.request.memory.sub_lease();
    let Batch { number, ids, wrong } = batch;
    let mut done = Done {
        number,
        ids: ids.clone(),
        found: 0,
        results: StreamResponse {
            failures: wrong,
            ..StreamResponse::default()
        },
        ends: None,
        _held: held.clone(),
    };
    if ids.is_empty() {
        return done;
    }
    let session = session.with_request(RequestContext {
        memory: held,
        reservations: Reservations::default(),
        ..session.request.clone()
    });
    let has_room = has_room(&session).await;
    let answer = match call.and_then(|call| has_room.map(|()| call)) {
        Err(error) => Err(error.into()),
        Ok(call) => {
            let index = usize::try_from(number).unwrap_or(usize::MAX);
            let batch = session.batch(index, ids.len());
            let answer = batch.send::<O>(upstream, &call).await;
            batch.finish(&answer);
            answer
        }
    };
    session.request.memory.release_unused();
    done.ends = answer
        .as_ref()
        .err()
        .and_then(|failure| match &failure.error {
            error if error.is_unauthenticated() => Some(Ends::AtOnce(failure.clone())),
            // Nor will any that comes after it have its turn in time.
            Error::RateLimited(_) => Some(Ends::AfterThese(failure.clone())),
            _ => None,
        });
    let count = ids.len();
    let answer = answer.map(|served| O::presences(served.body));
    let glued = glue(vec![BatchResult::new(ids, answer)]);
    session
        .request
        .access_log
        .unmatched_answers(glued.unmatched);
    let failed: usize = glued.failures.iter().map(|failure| failure.ids.len()).sum();
    done.found = count - glued.missing_ids.len() - failed;
    done.results.presences = glued.presences;
    done.results.missing_ids = glued.missing_ids;
    done.results.failures.extend(glued.failures);
    done
}
