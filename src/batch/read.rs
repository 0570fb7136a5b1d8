//! Bulk reads.

mod glue;
mod merge;

use std::collections::VecDeque;
use std::sync::OnceLock;

use futures_util::FutureExt;
use futures_util::stream::{self, Stream, StreamExt};
use tokio::task::yield_now;

use super::{BATCH, Bulk, BulkLimits, distinct};
use crate::error::Failure;
use crate::operation::{self, Call, Operation};
use crate::proto::v1::{
    BulkReadFailure, GetUsersPresenceBulkRequest, GetUsersPresenceBulkResponse,
    GetUsersPresencesPurecloudBulkRequest, GetUsersPresencesPurecloudBulkResponse, UcUserPresence,
};
use crate::session::{self, Served, Session};
use crate::upstream::Reply;
pub(super) use glue::{Glued, glue};
pub use merge::Merging;
use merge::Part;

/// A read of many users' presences.
pub(crate) trait BulkRead: Operation + Clone {
    /// The read of a source, without ids.
    fn at(source: String) -> Self;
    fn ids(&self) -> &[String];
    fn allow_partial_results(&self) -> bool;
    /// The same read for other ids.
    fn with_ids(&self, ids: Vec<String>) -> Self;
    fn presences(response: Self::Response) -> Vec<UcUserPresence>;
    fn response(glued: Glued) -> Self::Response;
}

macro_rules! bulk_read {
    ($request:ident, $response:ident, $($source:ident)?) => {
        impl Bulk for $request {
            async fn fan_out(
                self,
                session: &Session,
                limits: BulkLimits,
            ) -> Result<Served<$response>, Failure> {
                read(&self, session, limits).await
            }
        }

        impl BulkRead for $request {
            fn at(_source: String) -> Self {
                Self {
                    $($source: _source,)?
                    ..Self::default()
                }
            }

            fn ids(&self) -> &[String] {
                &self.ids
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

            fn response(glued: Glued) -> $response {
                let Glued {
                    presences,
                    missing_ids,
                    failures,
                    ..
                } = glued;
                $response {
                    presences,
                    missing_ids,
                    failures,
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

/// The ids that one call upstream asks for, and what came of it.
pub(super) struct Batch<A> {
    pub ids: Vec<String>,
    pub answer: A,
}

pub(super) type Answered = Batch<Result<Vec<UcUserPresence>, Failure>>;

async fn read<O: BulkRead>(
    request: &O,
    session: &Session,
    limits: BulkLimits,
) -> Result<Served<O::Response>, Failure> {
    limits.check("ids", request.ids().len())?;
    if request.ids().is_empty() {
        return session.forward(request).await;
    }
    let ids = distinct(request.ids());
    let bare = request.with_ids(Vec::new());
    // All of them before any is sent: a request that is wrong costs nothing.
    let batches = if ids.len() <= BATCH && ids.len() == request.ids().len() {
        vec![(operation::encode(request)?, ids.clone())]
    } else {
        // As a whole, so that an id is named by its place in the request.
        operation::check(request)?;
        let batches = ids.chunks(BATCH).map(<[String]>::to_vec);
        batches
            .map(|ids| Ok((operation::encode(&bare.with_ids(ids.clone()))?, ids)))
            .collect::<Result<_, Failure>>()?
    };

    let partial = request.allow_partial_results();
    // A single one may be saved, or waits for its own turn.
    if !partial && batches.len() > 1 {
        session.upstream.reserve(&session.terms, batches.len())?;
    }
    session.bulk::<O>(batches.len(), ids.len());
    let batches = shared(batches, &bare, session)?;
    let parts = batches
        .iter()
        .filter(|(asking, _)| matches!(asking, Asking::Together(_)));
    let parts = parts.count();
    // A refused token is refused for each batch: one refusal stops the others.
    let refused = OnceLock::new();
    let mut calls: Vec<_> = batches
        .into_iter()
        .enumerate()
        .map(|(index, (asking, ids))| {
            let (refused, bare) = (&refused, &bare);
            async move {
                let got = if let Some(failure) = refused.get() {
                    Got::Read(Err(Failure::clone(failure)))
                } else {
                    let batch = session.batch(index, ids.len());
                    match asking {
                        Asking::Alone(call) => {
                            match batch.upstream.send(&call, &batch.terms).await {
                                Ok(reply) => Got::Reply(batch, reply),
                                Err(failure) => Got::read(batch, Err(failure)),
                            }
                        }
                        Asking::Together(part) => {
                            let answer = part.answer(bare, &batch).await;
                            Got::read(batch, answer)
                        }
                    }
                };
                if let Got::Read(Err(failure)) = &got
                    && failure.error.is_unauthenticated()
                {
                    let _ = refused.set(failure.clone());
                }
                (index, ids, got)
            }
        })
        .collect();

    // What others may wait for is led from the beginning.
    calls.rotate_right(parts);
    let calls = stream::iter(calls).buffer_unordered(limits.concurrency);
    let mut answered = answers::<O>(calls, partial).await?;
    answered.sort_unstable_by_key(|(index, _)| *index);
    let correlation_id = correlation_id(answered.iter().map(|(_, batch)| &batch.answer));

    if let Some(failure) = refused.into_inner()
        && answered.iter().all(|(_, batch)| batch.answer.is_err())
    {
        return Err(failure);
    }
    let answered = answered
        .into_iter()
        .map(|(_, Batch { ids, answer })| Batch {
            ids,
            answer: answer.map(|served| served.response),
        });
    let glued = glue(answered.collect());
    session.terms.record.unmatched_answers(glued.unmatched);
    Ok(Served {
        response: O::response(glued),
        correlation_id,
    })
}

/// Reads the answers to batches as they come; in partial results, also where
/// there are failures.
async fn answers<'a, O: BulkRead>(
    mut calls: impl Stream<Item = (usize, Vec<String>, Got<'a>)> + Unpin,
    partial: bool,
) -> Result<Vec<(usize, Batch<Answer>)>, Failure> {
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
            Some(Some((_, _, Got::Read(Err(failure))))) if !partial => return Err(failure),
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
                    answer => answered.push((index, Batch { ids, answer })),
                }
                // What else has come may be on its way to here.
                yield_now().await;
            }
            None if is_over => return Ok(answered),
            None => {}
        }
    }
}

type Answer = Result<Served<Vec<UcUserPresence>>, Failure>;

/// What comes of a batch.
enum Got<'a> {
    /// An answer that is to be read.
    Reply(session::Batch<'a>, Reply),
    Read(Answer),
}

impl<'a> Got<'a> {
    /// What a batch has come to.
    fn read(batch: session::Batch<'a>, answer: Answer) -> Self {
        batch.ended(&answer);
        Self::Read(answer)
    }

    fn answer<O: BulkRead>(self) -> Answer {
        match self {
            Self::Read(answer) => answer,
            Self::Reply(batch, reply) => {
                let answer = batch.read::<O>(reply);
                let answer = answer.map(|served| served.map(O::presences));
                batch.ended(&answer);
                answer
            }
        }
    }
}

/// How a batch is asked for.
enum Asking {
    Alone(Call),
    /// With batches of other calls.
    Together(Part),
}

/// How each batch is asked for: what is less than a whole one together with
/// those of others, where that is wanted.
fn shared<O: BulkRead>(
    mut batches: Vec<(Call, Vec<String>)>,
    bare: &O,
    session: &Session,
) -> Result<Vec<(Asking, Vec<String>)>, Failure> {
    let merging = session.merging.as_ref();
    let rest = merging.zip(batches.pop_if(|(_, ids)| merging.is_some() && ids.len() < BATCH));
    let alone = |(call, ids)| (Asking::Alone(call), ids);
    let mut asking: Vec<_> = batches.into_iter().map(alone).collect();
    if let Some((merging, (_, ids))) = rest {
        let parts = merging.join(bare, session, ids)?;
        asking.extend(parts.into_iter().map(|part| {
            let ids = part.ids.clone();
            (Asking::Together(part), ids)
        }));
    }
    Ok(asking)
}

/// The correlation id of the first batch that failed, else of the last.
fn correlation_id<'a, T: 'a>(
    answers: impl DoubleEndedIterator<Item = &'a Result<Served<T>, Failure>> + Clone,
) -> Option<http::HeaderValue> {
    let mut failed = answers.clone().filter_map(|answer| answer.as_ref().err());
    failed
        .find_map(|failure| failure.correlation_id.clone())
        .or_else(|| {
            answers
                .rev()
                .find_map(|answer| answer.as_ref().ok()?.correlation_id.clone())
        })
}

fn failure(ids: Vec<String>, failure: Failure) -> BulkReadFailure {
    BulkReadFailure {
        ids,
        status: Some(failure.into_rpc_status()),
    }
}
