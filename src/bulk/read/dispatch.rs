//! How the batches of a bulk read are asked for.

use super::BulkRead;
use super::coalesce::Part;
use crate::bulk::{BATCH, BulkContext};
use crate::context::CallContext;
use crate::error::Failure;
use crate::operation::{self, RestRequest};

/// How a batch is asked for.
pub(super) enum Dispatch {
    /// By a call that is made in time, where it is not made yet.
    Alone(Option<RestRequest>),
    /// With batches of other calls.
    Together(Part),
}

/// How each batch is asked for: what is less than a whole one together with
/// those of others, where that is wanted.
pub(super) fn shared<O: BulkRead>(
    first: RestRequest,
    mut batches: Vec<Vec<String>>,
    bare: &O,
    session: &CallContext,
    bulk: &BulkContext,
) -> Result<Vec<(Dispatch, Vec<String>)>, Failure> {
    let merging = bulk.coalescer.as_ref();
    let rest = merging.zip(batches.pop_if(|ids| merging.is_some() && ids.len() < BATCH));
    let mut first = Some(first);
    let alone = |ids| (Dispatch::Alone(first.take()), ids);
    let mut asking: Vec<_> = batches.into_iter().map(alone).collect();
    if let Some((merging, ids)) = rest {
        let parts = merging.join(bare, session, &bulk.upstream, ids)?;
        asking.extend(parts.into_iter().map(|part| {
            let ids = part.ids.clone();
            (Dispatch::Together(part), ids)
        }));
    }
    Ok(asking)
}

/// Checks the ids of a request that is sent in parts, so that one that is
/// wrong is named by its place in the whole.
pub(super) fn check<O: BulkRead>(request: &O) -> Result<(), Failure> {
    let mut ids = request.ids().iter();
    // Most are right, and what names the wrong ones takes far longer.
    if ids.any(|id| operation::wrong_element(id).is_some()) {
        operation::check(request)?;
    }
    Ok(())
}
