//! The answers to the batches of a bulk read, as they come.

use std::collections::VecDeque;

use futures_util::FutureExt;
use futures_util::stream::{Stream, StreamExt};
use http::HeaderValue;
use tokio::task::yield_now;

use super::{BatchResult, BulkRead};
use crate::context::BatchContext;
use crate::error::Failure;
use crate::proto::v1::UcUserPresence;
use crate::upstream::Reply;

/// Reads the answers to batches as they come; in partial results, also where
/// there are failures.
pub(super) async fn answers<'a, O: BulkRead>(
    mut calls: impl Stream<Item = (usize, Vec<String>, BatchOutcome<'a>)> + Unpin,
    partial: bool,
) -> Result<Vec<Answered>, Failure> {
    let mut answered = Vec::new();
    let (mut unread, mut is_over) = (VecDeque::new(), false);
    loop {
        // What has come is taken before any of it is read: in its place, the
        // next batch is asked for, and the vendor takes longer than reading.
        let come = match calls.next().now_or_never() {
            None if unread.is_empty() => Some(calls.next().await),
            come => come,
        };
        match come {
            // Returning drops the stream, and with it what is in flight.
            Some(Some((_, _, BatchOutcome::Read(Err(failure))))) if !partial => {
                return Err(failure);
            }
            Some(Some(sent)) => {
                unread.push_back(sent);
                continue;
            }
            Some(None) => is_over = true,
            None => {}
        }
        match unread.pop_front() {
            Some((index, ids, got)) => {
                match got.answer::<O>() {
                    Err(failure) if !partial => return Err(failure),
                    answer => answered.push(Answered::new(index, ids, answer)),
                }
                // What else has come may be on its way to here.
                yield_now().await;
            }
            None if is_over => return Ok(answered),
            None => {}
        }
    }
}

pub(super) type Answer = Result<Reply<Vec<UcUserPresence>>, Failure>;

/// A batch that was answered.
pub(super) struct Answered {
    pub index: usize,
    pub placed: BatchResult,
    correlation_id: Option<HeaderValue>,
    pub is_failure: bool,
}

impl Answered {
    fn new(index: usize, ids: Vec<String>, answer: Answer) -> Self {
        let is_failure = answer.is_err();
        let (answer, correlation_id) = match answer {
            Ok(reply) => (Ok(reply.body), reply.correlation_id),
            Err(failure) => {
                let correlation_id = failure.correlation_id.clone();
                (Err(failure), correlation_id)
            }
        };
        Self {
            index,
            placed: BatchResult::new(ids, answer),
            correlation_id,
            is_failure,
        }
    }
}

/// What comes of a batch.
pub(super) enum BatchOutcome<'a> {
    /// An answer that is to be read.
    Reply(BatchContext<'a>, Reply),
    Read(Answer),
}

impl<'a> BatchOutcome<'a> {
    /// What a batch has come to.
    pub(super) fn read(batch: BatchContext<'a>, answer: Answer) -> Self {
        batch.finish(&answer);
        Self::Read(answer)
    }

    fn answer<O: BulkRead>(self) -> Answer {
        match self {
            Self::Read(answer) => answer,
            Self::Reply(batch, reply) => {
                let answer = batch.decode::<O>(reply);
                let answer = answer.map(|reply| reply.map(O::presences));
                batch.finish(&answer);
                answer
            }
        }
    }
}

/// The correlation id of the first batch that failed, else of the last.
pub(super) fn correlation_id(answered: &[Answered]) -> Option<HeaderValue> {
    let of = |answered: &Answered| answered.correlation_id.clone();
    let mut failed = answered.iter().filter(|answered| answered.is_failure);
    failed
        .find_map(of)
        .or_else(|| answered.iter().rev().find_map(of))
}
