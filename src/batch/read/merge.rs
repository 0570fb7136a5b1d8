//! Bulk reads of one token and source that meet share batches.
//!
//! A batch is open for a moment before it is sent. What it is answered with is
//! handed to each call by the ids that it asked, and a refusal that may be about
//! one id is found out by asking for each call apart.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::glue::user;
use super::{BATCH, BulkRead};
use crate::batch::key;
use crate::credentials::TokenKey;
use crate::deadline::Deadline;
use crate::error::{Error, Failure};
use crate::memory::Held;
use crate::operation;
use crate::proto::v1::UcUserPresence;
use crate::session::{Served, Session};
use crate::telemetry::MERGED;
use crate::upstream::flight::{Flight, Joinable, Wait, is_of_others};
use crate::upstream::{Reserved, Terms};

/// For how many windows a batch is open at most, while calls come that are
/// less than one apart: clients send what belongs together one after the other.
const MOST_WINDOWS: u32 = 10;

/// By how much a timer is late on average: its clock has milliseconds.
const LATE: Duration = Duration::from_micros(500);

/// The batches that are open. Clones are the same ones.
#[derive(Debug, Clone)]
pub struct Merging {
    window: Duration,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    open: HashMap<Kind, Open>,
}

/// What the calls of a batch have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind {
    token: TokenKey,
    /// The request without ids.
    path: String,
    is_repeated: bool,
}

/// A batch that is open for more calls.
struct Open {
    number: u64,
    /// The token itself: keys are hashes, and no answer may reach another's.
    authorization: HeaderValue,
    gathered: Arc<Gathered>,
    flight: Joinable<Arc<Landed>>,
}

impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Open").finish_non_exhaustive()
    }
}

/// What a batch asks for.
#[derive(Debug, Default)]
struct Gathered {
    ids: Mutex<Ids>,
    /// How many calls are in it.
    calls: AtomicUsize,
    is_full: Notify,
}

#[derive(Debug, Default)]
struct Ids {
    list: Vec<String>,
    keys: HashSet<String>,
    /// When the last call joined.
    joined: Option<Instant>,
}

/// What a batch came to.
struct Landed {
    answer: Result<Served<Vec<UcUserPresence>>, Failure>,
    /// How many bytes of the answer an id has.
    bytes_each: usize,
    calls: usize,
    _held: Held,
}

/// A call's part of a batch that it shares.
pub(super) struct Part {
    pub ids: Vec<String>,
    flight: Flight<Arc<Landed>>,
}

impl Merging {
    /// Batches that leave when nobody has joined them for so long.
    #[must_use]
    pub fn new(window: Duration) -> Self {
        let state = Arc::default();
        Self { window, state }
    }

    /// Puts ids of a call, less than a batch of them, into the batch that is
    /// open, and what does not fit there into another.
    pub(super) fn join<O: BulkRead>(
        &self,
        read: &O,
        session: &Session,
        ids: Vec<String>,
    ) -> Result<Vec<Part>, Error> {
        let terms = &session.terms;
        let kind = Kind {
            token: terms.caller.key(),
            path: operation::encode(read)?.path_and_query,
            is_repeated: terms.is_repeated,
        };
        let mut ids = VecDeque::from(ids);
        let mut parts = Vec::new();
        let mut state = self.state();
        let mut closed = None;
        if let Some(open) = state.open.get(&kind)
            && open.authorization == terms.caller.authorization()
            && let Some(flight) = open.flight.join(&terms.deadline)
        {
            let (own, is_full) = open.gathered.add(&mut ids);
            if is_full {
                closed = state.open.remove(&kind);
            }
            parts.push(Part { ids: own, flight });
        }
        let ticket = terms.reserved.take();
        if ids.is_empty() {
            drop(state);
            terms.record.scope().request_saved(MERGED);
        } else {
            let opened = self.open(&mut state, kind, read, session, ids, ticket.into());
            drop(state);
            parts.push(opened);
        }
        drop(closed);
        // Not under the lock: what ends with the last of its calls asks for it.
        parts.retain(|part| !part.ids.is_empty());
        Ok(parts)
    }

    fn open<O: BulkRead>(
        &self,
        state: &mut State,
        kind: Kind,
        read: &O,
        session: &Session,
        mut ids: VecDeque<String>,
        reserved: Reserved,
    ) -> Part {
        let number = state.next;
        state.next += 1;
        let gathered = Arc::new(Gathered::default());
        let (ids, _) = gathered.add(&mut ids);
        let batch = OpenBatch {
            merging: self.clone(),
            kind: kind.clone(),
            number,
        };
        let held = session.terms.held.briefly();
        let session = Session {
            upstream: session.upstream.clone(),
            merging: None,
            terms: Terms {
                held: held.clone(),
                reserved,
                ..session.terms.clone()
            },
        };
        let authorization = session.terms.caller.authorization();
        let own = session.terms.deadline.clone();
        let flight = Flight::new(&own, |deadline, wait| {
            lead::<O>(
                batch,
                Arc::clone(&gathered),
                read.clone(),
                session,
                deadline,
                wait,
                held,
            )
        });
        if let Some(joinable) = flight.joinable() {
            let open = Open {
                number,
                authorization,
                gathered,
                flight: joinable,
            };
            // One that was full, or of a token that only looks the same.
            let replaced = state.open.insert(kind, open);
            drop(replaced);
        }
        Part { ids, flight }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A batch that is open, until this is dropped.
struct OpenBatch {
    merging: Merging,
    kind: Kind,
    number: u64,
}

impl Drop for OpenBatch {
    fn drop(&mut self) {
        let mut state = self.merging.state();
        let is_it = state.open.get(&self.kind);
        if is_it.is_some_and(|open| open.number == self.number) {
            let closed = state.open.remove(&self.kind);
            drop(state);
            drop(closed);
        }
    }
}

impl Gathered {
    /// Waits until nobody has joined for so long, and not for ever.
    async fn rests_for(&self, window: Duration) {
        let latest = Instant::now() + window * MOST_WINDOWS;
        let window = window.saturating_sub(LATE);
        loop {
            let joined = self.ids().joined.unwrap_or(latest);
            let leaves = (joined + window).min(latest);
            if leaves <= Instant::now() {
                return;
            }
            sleep_until(leaves).await;
        }
    }

    fn ids(&self) -> MutexGuard<'_, Ids> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds ids as far as they fit; gives those that are in it, and whether it
    /// is full.
    fn add(&self, ids: &mut VecDeque<String>) -> (Vec<String>, bool) {
        let mut gathered = self.ids();
        let mut own = Vec::new();
        while let Some(id) = ids.front() {
            let key = key(id);
            if !gathered.keys.contains(&key) {
                if gathered.list.len() >= BATCH {
                    break;
                }
                gathered.list.push(id.clone());
                gathered.keys.insert(key);
            }
            own.extend(ids.pop_front());
        }
        if !own.is_empty() {
            self.calls.fetch_add(1, Relaxed);
            gathered.joined = Some(Instant::now());
        }
        let is_full = gathered.list.len() >= BATCH;
        if is_full {
            self.is_full.notify_one();
        }
        (own, is_full)
    }
}

/// Sends a batch when it is full, or nobody joins it any more.
async fn lead<O: BulkRead>(
    batch: OpenBatch,
    gathered: Arc<Gathered>,
    read: O,
    session: Session,
    deadline: Deadline,
    wait: Wait,
    held: Held,
) -> Arc<Landed> {
    tokio::select! {
        () = gathered.rests_for(batch.merging.window) => {}
        () = gathered.is_full.notified() => {}
    }
    // From here on, nobody joins it.
    drop(batch);
    let (ids, keys) = {
        let mut ids = gathered.ids();
        (std::mem::take(&mut ids.list), std::mem::take(&mut ids.keys))
    };
    let mut session = session;
    session.terms.deadline = deadline;
    let count = ids.len();
    let mut bytes = 0;
    let answer = async {
        let call = operation::encode(&read.with_ids(ids))?;
        let reply = session
            .upstream
            .send_for(&call, &session.terms, &wait)
            .await?;
        bytes = reply.body.len();
        session.read::<O>(reply)
    };
    let answer = answer.await.map(|served| Served {
        response: O::presences(served.response),
        correlation_id: served.correlation_id,
    });
    let calls = gathered.calls.load(Relaxed);
    if let Ok(served) = answer.as_ref()
        && calls > 1
    {
        let is_stranger =
            |presence: &&UcUserPresence| user(presence).is_none_or(|user| !keys.contains(&user));
        let strangers = served.response.iter().filter(is_stranger).count();
        session.terms.record.unmatched_answers(strangers);
    }
    Arc::new(Landed {
        answer,
        bytes_each: bytes.div_ceil(count.max(1)),
        calls,
        _held: held,
    })
}

impl Part {
    /// Waits for the answer, and takes from it what was asked.
    pub(super) async fn answer<O: BulkRead>(
        self,
        read: &O,
        session: &Session,
    ) -> Result<Served<Vec<UcUserPresence>>, Failure> {
        let Self { ids, flight } = self;
        let landed = flight.landed(&session.terms.deadline).await?;
        let served = match &landed.answer {
            Ok(served) => served,
            Err(failure) => {
                let is_apart = landed.calls > 1 && is_of_ids(&failure.error);
                if is_apart || is_of_others(&failure.error, &session.terms.deadline) {
                    let call = operation::encode(&read.with_ids(ids))?;
                    let served = session.send::<O>(&call).await?;
                    return Ok(served.map(O::presences));
                }
                return Err(failure.clone());
            }
        };
        let held = session.terms.held.take(landed.bytes_each * ids.len());
        held.map_err(|_| Error::NoMemory)?;
        if landed.calls == 1 {
            return Ok(served.clone());
        }
        let own: HashSet<String> = ids.iter().map(|id| key(id)).collect();
        let is_own =
            |presence: &&UcUserPresence| user(presence).is_some_and(|user| own.contains(&user));
        Ok(Served {
            response: served.response.iter().filter(is_own).cloned().collect(),
            correlation_id: served.correlation_id.clone(),
        })
    }
}

/// Whether a refusal may be about single ids, and not about the token, its
/// pace, or the vendor.
fn is_of_ids(error: &Error) -> bool {
    let status = error.fault().map(|fault| fault.status);
    status.is_some_and(|status| (400..500).contains(&status) && !matches!(status, 401 | 408 | 429))
}

#[cfg(test)]
mod tests {
    use tokio::time::{pause, sleep};

    use super::*;

    const WINDOW: Duration = Duration::from_millis(100);

    /// How long a batch is open that so many calls join, so far apart.
    async fn open_for(calls: usize, apart: Duration) -> u128 {
        let (gathered, begun) = (Gathered::default(), Instant::now());
        let join = |number: usize| gathered.add(&mut VecDeque::from([number.to_string()]));
        join(0);
        let joining = async {
            for number in 1..calls {
                sleep(apart).await;
                join(number);
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = joining => {}
            () = gathered.rests_for(WINDOW) => {}
        }
        begun.elapsed().as_millis()
    }

    #[tokio::test]
    async fn a_batch_waits_once_for_others_and_longer_while_they_come_but_not_for_ever() {
        pause();
        let apart = Duration::from_millis;
        for (calls, every, expected) in [
            (1, 1, 100),
            (2, 95, 195),
            (2, 105, 100),
            (4, 50, 250),
            (40, 50, 1000),
        ] {
            let open = open_for(calls, apart(every)).await;
            // Each timer is a millisecond late or so.
            let is_right = (expected..expected + 10).contains(&open);
            assert!(is_right, "{open} ms for {calls} calls, {every} ms apart");
        }
    }

    #[test]
    fn ids_are_added_once_until_the_batch_is_full() {
        let gathered = Gathered::default();
        let ids = |range: std::ops::Range<usize>| -> VecDeque<String> {
            range.map(|number| format!("Id-{number}")).collect()
        };
        let mut first = ids(0..30);
        assert_eq!(gathered.add(&mut first), (Vec::from(ids(0..30)), false));
        let mut same = VecDeque::from(["ID-3".to_owned()]);
        assert_eq!(gathered.add(&mut same), (vec!["ID-3".to_owned()], false));
        let mut more = ids(25..60);
        assert_eq!(gathered.add(&mut more), (Vec::from(ids(25..50)), true));
        assert_eq!(more, ids(50..60));
        assert_eq!(gathered.add(&mut more), (Vec::new(), true));
        assert_eq!(gathered.calls.load(Relaxed), 3);
        assert_eq!(gathered.ids().list.len(), BATCH);
    }
}
