//! What one watch has not sent to its caller yet.
//!
//! It is bounded by the number of users: a user who changes again before the caller
//! reads keeps its place, and the caller gets the latest presence. So does the state.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::Notify;

use super::presence::Latest;
use crate::error::Failure;
use crate::proto::v1::user_presence_change::Cause;
use crate::proto::v1::watch_state::Mode;
use crate::proto::v1::{BulkReadFailure, WatchState};

/// How current the presence of a user is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Currency {
    /// Notifications come, and the user was read since they do.
    Live,
    /// There was a gap, and the user was not read since.
    Stale,
    /// The user is read from time to time.
    Polled,
    /// The user cannot be watched.
    Failed,
}

/// A user of a watch.
#[derive(Debug)]
pub(super) struct WatchedUser {
    /// The key of the user in the state of the token.
    pub key: Arc<str>,
    /// The id as the caller wrote it.
    pub id: String,
    /// The version of the presence that the caller has; 0 for none.
    sent: u64,
    /// Why the next one comes, while the user is in the queue.
    queued: Option<Cause>,
    is_missing_sent: bool,
    is_failed: bool,
}

/// Something to send, in the order in which it came up.
#[derive(Debug)]
enum Item {
    User(u32),
    State,
    Missing(Vec<u32>),
    Failure(BulkReadFailure),
}

/// What the caller gets next.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// The latest presence of this user.
    Presence(u32, Cause),
    State(WatchState),
    Missing(Vec<String>),
    Failure(BulkReadFailure),
}

/// A watch, as the state of its token sees it.
#[derive(Debug)]
pub(super) struct Mailbox {
    pub users: Vec<WatchedUser>,
    queue: VecDeque<Item>,
    /// How many users are of each currency.
    counts: [usize; 4],
    /// The state that the caller has, or that is in the queue.
    state: Option<WatchState>,
    /// Why the watch ends, if it does.
    end: Option<Failure>,
    /// Why the last user failed, if all have.
    all_failed: Option<Failure>,
    pub changed: Arc<Notify>,
}

impl Mailbox {
    /// A watch of these users, none of whom was read yet.
    pub(super) fn new(users: Vec<(Arc<str>, String)>) -> Self {
        let users = users.into_iter().map(|(key, id)| WatchedUser {
            key,
            id,
            sent: 0,
            queued: None,
            is_missing_sent: false,
            is_failed: false,
        });
        let users: Vec<WatchedUser> = users.collect();
        let mut counts = [0; 4];
        counts[Currency::Stale as usize] = users.len();
        Self {
            users,
            queue: VecDeque::new(),
            counts,
            state: None,
            end: None,
            all_failed: None,
            changed: Arc::default(),
        }
    }

    /// Queues the latest presence of a user, unless the caller has it. Returns whether it
    /// replaces one that the caller does not get.
    pub(super) fn offer(&mut self, index: u32, version: u64, cause: Cause) -> bool {
        let Some(user) = self.users.get_mut(index as usize) else {
            return false;
        };
        if user.is_failed || user.sent == version {
            return false;
        }
        // A poll or a notification may be the first to find a presence that was there.
        let is_first = user.sent == 0 && !user.is_missing_sent;
        let cause = if is_first { Cause::Snapshot } else { cause };
        if user.queued.replace(cause).is_some() {
            return true;
        }
        self.queue.push_back(Item::User(index));
        self.changed.notify_one();
        false
    }

    /// Queues that the vendor has no presence of these users.
    pub(super) fn offer_missing(&mut self, indexes: &[u32]) {
        let mut missing = Vec::new();
        for &index in indexes {
            if let Some(user) = self.users.get_mut(index as usize)
                && user.sent == 0
                && !user.is_failed
                && !std::mem::replace(&mut user.is_missing_sent, true)
            {
                missing.push(index);
            }
        }
        if !missing.is_empty() {
            self.queue.push_back(Item::Missing(missing));
            self.changed.notify_one();
        }
    }

    /// Queues that these users cannot be watched. The caller gets nothing more of them.
    pub(super) fn offer_failure(&mut self, indexes: &[u32], failure: &Failure) {
        let mut ids = Vec::new();
        for &index in indexes {
            if let Some(user) = self.users.get_mut(index as usize)
                && !std::mem::replace(&mut user.is_failed, true)
            {
                ids.push(user.id.clone());
            }
        }
        if !ids.is_empty() {
            let status = Some(failure.clone().into_rpc_status());
            self.queue
                .push_back(Item::Failure(BulkReadFailure { ids, status }));
            if self.users.iter().all(|user| user.is_failed) {
                self.all_failed = Some(failure.clone());
            }
            self.changed.notify_one();
        }
    }

    /// Records that the presence of one user has become more or less current. A user that
    /// has failed does not count.
    pub(super) fn recount(&mut self, index: u32, from: Currency, to: Currency) {
        let user = self.users.get(index as usize);
        if user.is_none_or(|user| user.is_failed) {
            return;
        }
        self.counts[from as usize] = self.counts[from as usize].saturating_sub(1);
        self.counts[to as usize] += 1;
    }

    /// How current the watch is.
    pub(super) fn mode(&self) -> Mode {
        if self.counts[Currency::Stale as usize] > 0 {
            Mode::Resyncing
        } else if self.counts[Currency::Polled as usize] > 0 {
            Mode::Polling
        } else {
            Mode::Live
        }
    }

    /// Queues the state if it has changed. The first read is no change: the caller
    /// expects it.
    pub(super) fn offer_state(&mut self, why: Option<&Failure>) {
        if self.all_failed.is_some() {
            return;
        }
        let mode = self.mode();
        let why = why.filter(|_| mode != Mode::Live);
        let status = why.map(|failure| failure.clone().into_rpc_status());
        let is_known = match &self.state {
            None => mode == Mode::Resyncing && status.is_none(),
            Some(state) => {
                let code = |state: &WatchState| state.status.as_ref().map(|status| status.code);
                let new = status.as_ref().map(|status| status.code);
                state.mode() == mode && code(state) == new
            }
        };
        if !is_known {
            self.set_state(WatchState {
                mode: mode.into(),
                status,
            });
        }
    }

    /// Queues the state again.
    pub(super) fn repeat_state(&mut self) {
        let state = self.state.take().unwrap_or_else(|| WatchState {
            mode: self.mode().into(),
            status: None,
        });
        self.set_state(state);
    }

    fn set_state(&mut self, state: WatchState) {
        self.state = Some(state);
        // Behind the presences that came before it: `LIVE` follows them.
        self.queue.retain(|item| !matches!(item, Item::State));
        self.queue.push_back(Item::State);
        self.changed.notify_one();
    }

    /// Ends the watch.
    pub(super) fn end(&mut self, failure: Failure) {
        self.end.get_or_insert(failure);
        self.changed.notify_one();
    }

    /// Why the watch has ended: at once, or when its caller has all of it and no user is
    /// left.
    pub(super) fn ended(&self) -> Option<&Failure> {
        let all_failed = self.all_failed.as_ref();
        self.end
            .as_ref()
            .or(all_failed.filter(|_| self.queue.is_empty()))
    }

    /// Whether there is nothing to send.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Takes what the caller gets next. `latest` is the presence of a user that is known.
    pub(super) fn pop<'a>(
        &mut self,
        latest: impl Fn(&str) -> Option<&'a Latest>,
    ) -> Option<Outgoing> {
        while let Some(item) = self.queue.pop_front() {
            match item {
                Item::User(index) => {
                    let user = &mut self.users[index as usize];
                    let cause = user.queued.take();
                    // That of a user that has failed since is before the failure.
                    if let Some(cause) = cause
                        && let Some(latest) = latest(&user.key)
                        && latest.version != user.sent
                    {
                        user.sent = latest.version;
                        return Some(Outgoing::Presence(index, cause));
                    }
                }
                Item::State => return self.state.clone().map(Outgoing::State),
                Item::Missing(indexes) => {
                    // Some may have a presence by now, which the caller has.
                    let users = indexes.iter().map(|&index| &self.users[index as usize]);
                    let users = users.filter(|user| user.sent == 0);
                    let ids: Vec<String> = users.map(|user| user.id.clone()).collect();
                    if !ids.is_empty() {
                        return Some(Outgoing::Missing(ids));
                    }
                }
                Item::Failure(failure) => return Some(Outgoing::Failure(failure)),
            }
        }
        None
    }
}
