//! Bulk reads without a limit: ids in as they come, results out as batches end.
//!
//! What is held of a stream is one message of its ids, and so many batches as
//! are sent at once: results that are not taken keep further ones from being
//! asked for.

mod fetch;
mod window;

use std::time::Duration;

use futures_util::stream::{FuturesUnordered, Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::read::BulkRead;
use super::{BulkContext, BulkLimits};
use crate::context::CallContext;
use crate::error::{Error, Failure, Violation};
use crate::memory::MemoryLease;
use crate::operation;
use crate::proto::v1::{BulkReadFailure, StreamProgress, UcUserPresence};
use fetch::send;
use window::Window;

/// A message of the caller's.
#[derive(Debug, Clone, Default)]
pub struct StreamRequest {
    /// The source, where the message names one.
    pub source: String,
    /// The ids of users.
    pub ids: Vec<String>,
    /// Whether results may come in any order.
    pub unordered: bool,
}

/// A message to the caller.
#[derive(Debug, Default)]
pub struct StreamResponse {
    /// The presences that were read.
    pub presences: Vec<UcUserPresence>,
    /// The ids that the vendor answered nothing for.
    pub missing_ids: Vec<String>,
    /// The ids that could not be read.
    pub failures: Vec<BulkReadFailure>,
    /// What has become of all ids up to now.
    pub progress: StreamProgress,
}

/// A batch that has ended.
#[derive(Debug)]
struct Done {
    number: u64,
    /// What was asked.
    ids: Vec<String>,
    /// How many of them were found.
    found: usize,
    results: StreamResponse,
    /// Why the whole stream cannot go on, where this batch met with that.
    ends: Option<Ends>,
    /// What of the memory for messages the results hold.
    _held: MemoryLease,
}

/// Why a stream ends before all is answered.
#[derive(Debug)]
enum Ends {
    /// What is under way would fail as well.
    AtOnce(Failure),
    /// What is under way is still answered.
    AfterThese(Failure),
}

/// How long a stream may take for its first id: the vendor has not seen the
/// token before, and any text may be one.
const FIRST: Duration = Duration::from_secs(10);

/// How long the last message of a stream that failed may take to be handed
/// out: whoever takes nothing is not waited for any longer.
const LAST: Duration = Duration::from_secs(5);

/// Reads the presences of all ids that are asked, and hands the results out,
/// until nothing more is asked and all is answered.
///
/// Whatever the end is, each id that was taken is named once in what is handed
/// out, if the caller takes it.
///
/// # Errors
///
/// What ends the stream as a whole: a refused token, the deadline, a drain, a
/// wrong message, and a caller who keeps the gateway waiting for too long.
pub(crate) async fn read<O: BulkRead>(
    session: &CallContext,
    bulk: &BulkContext,
    asked: impl Stream<Item = Result<StreamRequest, Failure>> + Unpin,
    out: &mpsc::Sender<StreamResponse>,
) -> Result<(), Failure> {
    let mut window = Window::default();
    let end = lead::<O>(session, bulk, asked, out, &mut window).await;
    session.record_bulk(window.batches(), window.received());
    if let Some(last) = window.last(end.as_ref().err()) {
        let _ = timeout(LAST, out.send(last)).await;
    }
    end
}

async fn lead<O: BulkRead>(
    session: &CallContext,
    bulk: &BulkContext,
    mut asked: impl Stream<Item = Result<StreamRequest, Failure>> + Unpin,
    out: &mpsc::Sender<StreamResponse>,
    window: &mut Window,
) -> Result<(), Failure> {
    let limits = bulk.limits;
    let deadline = &session.request.deadline;
    let mut first = First::<O>::default();
    let mut under_way = FuturesUnordered::new();
    let (mut is_whole, mut ends) = (false, None::<Failure>);
    // When the caller last did something, or something was last done for it.
    let mut moved = Instant::now();
    loop {
        let has_room = window.unsettled() < limits.concurrency && ends.is_none();
        if has_room
            && let Some(read) = &first.read
            && let Some(batch) = window.next_batch(is_whole)
        {
            let call = operation::encode(&read.with_ids(batch.ids.clone()));
            under_way.push(send::<O>(session, &bulk.upstream, call, batch));
            continue;
        }
        let has_results = window.has_results();
        let is_over = under_way.is_empty() && !has_results;
        if is_over && is_whole && window.is_empty() {
            return Ok(());
        }
        if is_over && let Some(why) = ends {
            return Err(why);
        }
        // While the vendor is asked, it is not the caller who is waited for.
        let is_waiting = under_way.is_empty() || has_results;
        let leaves = window.leaves().filter(|_| has_room);
        let (idle, why): (_, fn(Duration) -> Error) = match window.received() {
            0 if limits.stream_idle > FIRST => (FIRST, Error::StreamUnused),
            _ => (limits.stream_idle, Error::StreamIdle),
        };
        tokio::select! {
            biased;
            // With what it ends with already, where that is so.
            () = deadline.expired() => return Err(ends.unwrap_or_else(|| Error::DeadlineExceeded.into())),
            _ = deadline.drain().begun(), if ends.is_none() => {
                ends = Some(Error::StreamEnding.into());
            },
            taken = out.reserve(), if has_results => {
                // Nobody is there any more where it cannot be handed out.
                let Ok(taken) = taken else { return Ok(()) };
                if let Some(results) = window.next_results() {
                    taken.send(results);
                }
            }
            Some(mut done) = under_way.next() => {
                let end = done.ends.take();
                window.settle(done);
                match end {
                    Some(Ends::AtOnce(why)) => return Err(why),
                    Some(Ends::AfterThese(why)) => ends = ends.or(Some(why)),
                    None => {}
                }
            }
            message = asked.next(), if window.wants_more() && !is_whole && ends.is_none() => {
                match message {
                    None => is_whole = true,
                    Some(message) => {
                        let message = message?;
                        first.check(&message, limits)?;
                        let held = session.request.memory.sub_lease();
                        let bytes = message.ids.iter().map(String::len).sum();
                        // It is here already, and no longer than its ids wait.
                        let held = held.reserve(bytes).is_ok().then_some(held);
                        window.take(message, held);
                    }
                }
            }
            () = until(leaves), if leaves.is_some() => {}
            () = sleep_until(moved + idle), if is_waiting => {
                return Err(why(idle).into());
            }
        }
        moved = Instant::now();
    }
}

async fn until(moment: Option<Instant>) {
    if let Some(moment) = moment {
        sleep_until(moment).await;
    }
}

/// What the first message of a stream settles for the whole.
struct First<O> {
    /// The read, without ids.
    read: Option<O>,
    source: String,
    unordered: bool,
}

impl<O> Default for First<O> {
    fn default() -> Self {
        Self {
            read: None,
            source: String::new(),
            unordered: false,
        }
    }
}

impl<O: BulkRead> First<O> {
    /// Checks a message, the first one or one after it.
    fn check(&mut self, message: &StreamRequest, limits: BulkLimits) -> Result<(), Error> {
        let wrong = |field: &str, what: String| Error::Invalid(vec![Violation::new(field, what)]);
        let (count, max) = (message.ids.len(), limits.max_ids);
        if count > max {
            let what = format!(
                "must have at most {max} elements in one message (the gateway's --max-bulk-ids); \
                 it has {count}; send several messages"
            );
            return Err(wrong("ids", what));
        }
        if self.read.is_none() {
            let read = O::at(message.source.clone());
            operation::check(&read)?;
            self.read = Some(read);
            self.source.clone_from(&message.source);
            self.unordered = message.unordered;
        }
        let holds = "must be what the first message of the stream has, or be left out";
        if !message.source.is_empty() && message.source != self.source {
            return Err(wrong("source_id", holds.to_owned()));
        }
        if message.unordered && !self.unordered {
            return Err(wrong("unordered", holds.to_owned()));
        }
        Ok(())
    }
}
