//! Bulk reads without a size limit: the caller streams ids, the gateway streams
//! results as batches complete.
//!
//! A stream holds in memory one message of ids and as many batches as may be in
//! flight. A caller that does not take results delays further batches.

mod fetch;
mod state;

use std::time::Duration;

use futures_util::stream::{FuturesUnordered, Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::read::BulkRead;
use super::{BulkContext, BulkLimits, BulkReadResponse};
use crate::context::CallContext;
use crate::error::{Error, Failure, Violation, Waiting};
use crate::operation::RequestTemplate;
use crate::proto::v1::StreamUsersPresenceBulkRequest;
use fetch::fetch;
use state::StreamState;

/// The request message of both streams, which differ only in whether the path of
/// the REST request contains the source.
pub(crate) type StreamRequest = StreamUsersPresenceBulkRequest;

/// Why a stream ends before all ids are read.
#[derive(Debug)]
enum Abort {
    /// Batches in flight would fail too and are cancelled.
    Now(Failure),
    /// Batches in flight are completed first.
    AfterInFlight(Failure),
}

/// How long a stream may take to send its first id. Until then the vendor has
/// not checked the token, so an arbitrary text may hold the stream open.
const FIRST_ID_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the gateway tries to deliver the last message of a failed stream to a
/// caller that reads none.
const FINAL_RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Reads all ids from `requests` and sends the results to `responses`, until
/// `requests` ends and all of its ids are read.
///
/// However the stream ends, each received id is reported exactly once, if the
/// caller reads the messages.
///
/// # Errors
///
/// If the whole stream fails: a rejected token, the deadline, a drain, an invalid
/// message, an exhausted rate limit, or an idle caller.
pub(crate) async fn serve_stream<O: BulkRead>(
    context: &CallContext,
    bulk: &BulkContext,
    requests: impl Stream<Item = Result<StreamRequest, Failure>> + Unpin,
    responses: &mpsc::Sender<BulkReadResponse>,
) -> Result<(), Failure> {
    let mut state = StreamState::default();
    let result = run::<O>(context, bulk, requests, responses, &mut state).await;
    context.record_bulk(state.batches(), state.received());
    if let Some(last) = state.final_response(result.as_ref().err()) {
        let _ = timeout(FINAL_RESPONSE_TIMEOUT, responses.send(last)).await;
    }
    result
}

async fn run<O: BulkRead>(
    context: &CallContext,
    bulk: &BulkContext,
    mut requests: impl Stream<Item = Result<StreamRequest, Failure>> + Unpin,
    responses: &mpsc::Sender<BulkReadResponse>,
    state: &mut StreamState,
) -> Result<(), Failure> {
    let limits = bulk.limits;
    let deadline = &context.request.deadline;
    let mut parameters = None::<Parameters>;
    let mut in_flight = FuturesUnordered::new();
    let (mut is_half_closed, mut abort) = (false, None::<Failure>);
    // When the caller, the gateway or the vendor last made progress.
    let mut last_activity = Instant::now();
    loop {
        let may_start = state.undelivered() < limits.concurrency && abort.is_none();
        if may_start
            && let Some(parameters) = &parameters
            && let Some(batch) = state.start_batch(is_half_closed)
        {
            let request = parameters.template.with(&batch.ids);
            in_flight.push(fetch(context, bulk, request, batch));
            continue;
        }
        let has_results = state.has_results();
        let is_idle = in_flight.is_empty() && !has_results;
        if is_idle && is_half_closed && state.is_drained() {
            return Ok(());
        }
        if is_idle && let Some(failure) = abort {
            return Err(failure);
        }
        // The idle timeout runs only while the next step is up to the caller.
        let waits_for_caller = in_flight.is_empty() || has_results;
        let linger_end = state.linger_end().filter(|_| may_start);
        let (idle_timeout, idle_error): (_, fn(Duration) -> Error) = match state.received() {
            0 if limits.stream_idle > FIRST_ID_TIMEOUT => (FIRST_ID_TIMEOUT, Error::StreamUnused),
            _ => (limits.stream_idle, Error::StreamIdle),
        };
        tokio::select! {
            biased;
            () = deadline.expired() => {
                let passed = || Error::DeadlineExceeded(deadline.passed(Waiting::Results));
                return Err(abort.unwrap_or_else(|| passed().into()));
            }
            _ = deadline.drain().begun(), if abort.is_none() => {
                abort = Some(Error::StreamEnding.into());
            }
            permit = responses.reserve(), if has_results => {
                // The caller is gone if the channel is closed.
                let Ok(permit) = permit else { return Ok(()) };
                if let Some(results) = state.deliver_first() {
                    permit.send(results);
                }
            }
            Some((batch, aborts)) = in_flight.next() => {
                state.complete(batch);
                match aborts {
                    Some(Abort::Now(failure)) => return Err(failure),
                    Some(Abort::AfterInFlight(failure)) => abort = abort.or(Some(failure)),
                    None => {}
                }
            }
            message = requests.next(), if state.has_room() && !is_half_closed && abort.is_none() => {
                match message {
                    None => is_half_closed = true,
                    Some(message) => {
                        let message = message?;
                        Parameters::check::<O>(&mut parameters, &message, limits)?;
                        let lease = context.request.memory.sub_lease();
                        let bytes = message.ids.iter().map(String::len).sum();
                        // The message is in memory already, so it is not rejected
                        // if there is no room for it.
                        let lease = lease.reserve(bytes).is_ok().then_some(lease);
                        state.add(message, lease);
                    }
                }
            }
            () = sleep_until(linger_end.unwrap_or(last_activity)), if linger_end.is_some() => {}
            () = sleep_until(last_activity + idle_timeout), if waits_for_caller => {
                return Err(idle_error(idle_timeout).into());
            }
        }
        last_activity = Instant::now();
    }
}

/// The parameters of a stream, which its first message sets.
struct Parameters {
    /// The request without ids.
    template: RequestTemplate,
    source_id: String,
    unordered: bool,
}

impl Parameters {
    /// Checks a message. The first one sets the parameters.
    fn check<O: BulkRead>(
        parameters: &mut Option<Self>,
        message: &StreamRequest,
        limits: BulkLimits,
    ) -> Result<(), Error> {
        let invalid = |field: &str, description: String| {
            Err(Error::Invalid(vec![Violation::new(field, description)]))
        };
        let (count, max) = (message.ids.len(), limits.max_ids);
        if count > max {
            let description = format!(
                "must have at most {max} elements in one message (the gateway's --max-bulk-ids); \
                 it has {count}; send several messages"
            );
            return invalid("ids", description);
        }
        let Some(fixed) = parameters else {
            let request = O::with_source(message.source_id.clone());
            *parameters = Some(Self {
                template: RequestTemplate::new(&request)?,
                source_id: message.source_id.clone(),
                unordered: message.unordered,
            });
            return Ok(());
        };
        let unchanged = "must have the value of the stream's first message, or be left out";
        if !message.source_id.is_empty() && message.source_id != fixed.source_id {
            return invalid("source_id", unchanged.to_owned());
        }
        if message.unordered && !fixed.unordered {
            return invalid("unordered", unchanged.to_owned());
        }
        Ok(())
    }
}
