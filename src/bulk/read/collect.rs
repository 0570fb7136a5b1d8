//! Collects the outcomes of batches as they arrive.

use std::collections::VecDeque;

use futures_util::FutureExt;
use futures_util::stream::{Stream, StreamExt};
use http::HeaderValue;
use tokio::task::yield_now;

use super::BatchResult;
use crate::bulk::presence::EncodedPresence;
use crate::context::BatchContext;
use crate::error::Failure;
use crate::operation::Spec;
use crate::proto::EncodedMessage;
use crate::upstream::UpstreamResponse;

/// The presences of one batch.
pub(super) type Presences = Result<UpstreamResponse<Vec<EncodedPresence>>, Failure>;

/// The presences of a response.
pub(in crate::bulk) fn presences(
    response: UpstreamResponse<EncodedMessage>,
) -> UpstreamResponse<Vec<EncodedPresence>> {
    response.map(|message| EncodedPresence::all(&message))
}

/// The outcome of a batch.
pub(super) enum BatchOutcome<'a> {
    /// A response that is not decoded yet.
    Received(BatchContext<'a>, UpstreamResponse),
    Decoded(Presences),
}

/// Collects all batches, in the order of the call. Without `partial`, returns the
/// first failure, and cancels the batches in flight.
pub(super) async fn collect<'a>(
    spec: &'static Spec,
    mut outcomes: impl Stream<Item = (usize, Vec<String>, BatchOutcome<'a>)> + Unpin,
    partial: bool,
) -> Result<Vec<BatchResult>, Failure> {
    let mut collected = Vec::new();
    let (mut undecoded, mut is_complete) = (VecDeque::new(), false);
    loop {
        // Take everything that has arrived before decoding any of it: that starts
        // the next batches, and the vendor takes longer than decoding.
        let arrived = match outcomes.next().now_or_never() {
            None if undecoded.is_empty() => Some(outcomes.next().await),
            arrived => arrived,
        };
        match arrived {
            // Returning drops the stream, which cancels the batches in flight.
            Some(Some((_, _, BatchOutcome::Decoded(Err(failure))))) if !partial => {
                return Err(failure);
            }
            Some(Some(outcome)) => {
                undecoded.push_back(outcome);
                continue;
            }
            Some(None) => is_complete = true,
            None => {}
        }
        match undecoded.pop_front() {
            Some((index, ids, outcome)) => {
                match outcome.decode(spec) {
                    Err(failure) if !partial => return Err(failure),
                    presences => collected.push((index, BatchResult::new(ids.into(), presences))),
                }
                // Let connections deliver what has arrived in the meantime.
                yield_now().await;
            }
            None if is_complete => break,
            None => {}
        }
    }
    collected.sort_unstable_by_key(|&(index, _)| index);
    Ok(collected.into_iter().map(|(_, batch)| batch).collect())
}

/// The correlation id of the first batch that failed, else of the last batch.
pub(super) fn correlation_id(batches: &[BatchResult]) -> Option<HeaderValue> {
    let id = |batch: &BatchResult| batch.correlation_id.clone();
    let mut failed = batches.iter().filter(|batch| batch.failure.is_some());
    failed
        .find_map(id)
        .or_else(|| batches.iter().rev().find_map(id))
}

impl<'a> BatchOutcome<'a> {
    /// The outcome of a batch that is finished.
    pub(super) fn decoded(batch: BatchContext<'a>, presences: Presences) -> Self {
        batch.finish(&presences);
        Self::Decoded(presences)
    }

    fn decode(self, spec: &'static Spec) -> Presences {
        match self {
            Self::Decoded(presences) => presences,
            Self::Received(batch, response) => {
                let presences = batch.decode(spec, response).map(presences);
                batch.finish(&presences);
                presences
            }
        }
    }
}
