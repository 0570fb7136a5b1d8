//! One batch of a stream, from its request to its results.

use super::window::Batch;
use super::{Done, Results};
use crate::batch::read::{Answered, BulkRead, glue};
use crate::error::Error;
use crate::operation::Call;
use crate::session::Session;
use crate::upstream::{Reserved, Terms};

/// Sends a batch as `call`; what is wrong with single ids is a part of the
/// results already.
pub(super) async fn send<O: BulkRead>(
    session: &Session,
    call: Result<Call, Error>,
    batch: Batch,
) -> Done {
    // Its own account: a stream as a whole would hold more and more.
    let held = session.terms.held.briefly();
    let Batch { number, ids, wrong } = batch;
    let mut done = Done {
        number,
        ids: ids.clone(),
        found: 0,
        results: Results {
            failures: wrong,
            ..Results::default()
        },
        refused: None,
        _held: held.clone(),
    };
    if ids.is_empty() {
        return done;
    }
    let session = Session {
        upstream: session.upstream.clone(),
        merging: None,
        terms: Terms {
            held,
            reserved: Reserved::default(),
            ..session.terms.clone()
        },
    };
    let answer = match call {
        Err(error) => Err(error.into()),
        Ok(call) => {
            let index = usize::try_from(number).unwrap_or(usize::MAX);
            let batch = session.batch(index, ids.len());
            let answer = batch.send::<O>(&call).await;
            batch.ended(&answer);
            answer
        }
    };
    let failure = answer.as_ref().err();
    done.refused = failure
        .filter(|failure| failure.error.is_unauthenticated())
        .cloned();
    let count = ids.len();
    let answer = answer.map(|served| O::presences(served.response));
    let glued = glue(vec![Answered { ids, answer }]);
    session.terms.record.unmatched_answers(glued.unmatched);
    let failed: usize = glued.failures.iter().map(|failure| failure.ids.len()).sum();
    done.found = count - glued.missing_ids.len() - failed;
    done.results.presences = glued.presences;
    done.results.missing_ids = glued.missing_ids;
    done.results.failures.extend(glued.failures);
    done
}
