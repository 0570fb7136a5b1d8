//! One notification channel: which connection it has or builds, and which topics it
//! subscribes. It has no socket and sends nothing: it takes what happened, and returns
//! what to do.

mod connection;
mod subscription;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::backoff::Backoff;
use super::vendor::Channel;
use crate::error::Failure;
use crate::telemetry::ResyncReason;

/// The most topics of a channel, by the vendor's own streaming client.
pub(super) const MAX_TOPICS: usize = 1000;

/// How long the first of several new topics waits for the others.
const LINGER: Duration = Duration::from_millis(20);

/// How long a topic that nobody watches any more stays, so that callers that come and
/// go cost few requests.
const UNSUBSCRIBE_DELAY: Duration = Duration::from_secs(30);

/// How long users wait for notifications before they are polled.
pub(super) const POLL_AFTER: Duration = Duration::from_secs(10);

/// A number for each connection of a token.
pub(super) type Generation = u64;

/// What the task must do for the channel.
#[derive(Debug, PartialEq)]
pub(super) enum Action {
    /// Make a channel.
    Create,
    /// Open a connection to this address.
    Open(String),
    /// Subscribe these topics of the channel with this id, in place of all others if
    /// `replaces`.
    Subscribe {
        channel: String,
        users: Vec<Arc<str>>,
        replaces: bool,
    },
}

/// What has changed for users of the channel.
#[derive(Debug, Default)]
pub(super) struct Effect {
    /// Notifications come from now on: read these users, for this reason.
    pub covered: Vec<Arc<str>>,
    pub reason: ResyncReason,
    /// Notifications may have been lost.
    pub lost: Vec<Arc<str>>,
    /// Users whose topics the vendor rejects.
    pub rejected: Vec<(Arc<str>, Failure)>,
    /// The connection that the channel does not need any more.
    pub replaced: Option<Generation>,
    /// The token is not accepted: all watches end.
    pub unauthenticated: Option<Failure>,
}

/// What is being built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Build {
    /// Nothing: there is a connection, or nobody needs one.
    Nothing,
    /// A connection, from this moment.
    Waiting(Instant),
    Creating,
    Opening,
    /// The first subscription of this connection.
    Subscribing(Generation),
}

/// A subscription that the vendor has not answered yet. There is never a second one.
#[derive(Debug)]
struct Writing {
    users: Vec<Arc<str>>,
    /// Whether its connection has ended meanwhile.
    is_obsolete: bool,
}

/// One channel of a token.
#[derive(Debug)]
pub(super) struct ChannelSlot {
    /// How long users wait for notifications before they are polled.
    poll_after: Duration,
    /// The users whose topics the channel must have.
    users: HashSet<Arc<str>>,
    /// The topics that it has.
    subscribed: HashSet<Arc<str>>,
    /// The topics that an answer of the vendor left out, until another one has them.
    unconfirmed: HashSet<Arc<str>>,
    /// The topics that the vendor does not take, until the next connection: others must
    /// not fail with them.
    untaken: HashSet<Arc<str>>,
    build: Build,
    channel: Option<Channel>,
    /// The connection whose notifications come.
    live: Option<(Generation, Instant)>,
    /// When the channel, and its connection with it, is replaced.
    replace_at: Option<Instant>,
    /// When the users are read again although there was no gap.
    refresh_at: Option<Instant>,
    /// When the topics are written again; the topics that are being written.
    write_at: Option<Instant>,
    writing: Option<Writing>,
    /// Since when users wait for notifications.
    missing_since: Option<Instant>,
    backoff: Backoff,
    attempts: u32,
    is_refused: bool,
    /// Why users are read when the next connection is live.
    resync: ResyncReason,
    /// Why there are no notifications.
    pub why: Option<Failure>,
}

impl ChannelSlot {
    pub(super) fn new(poll_after: Duration) -> Self {
        Self {
            poll_after,
            users: HashSet::new(),
            subscribed: HashSet::new(),
            unconfirmed: HashSet::new(),
            untaken: HashSet::new(),
            build: Build::Nothing,
            channel: None,
            live: None,
            replace_at: None,
            refresh_at: None,
            write_at: None,
            writing: None,
            missing_since: None,
            backoff: Backoff::default(),
            attempts: 0,
            is_refused: false,
            resync: ResyncReason::default(),
            why: None,
        }
    }

    /// Adds a user, if there is room.
    pub(super) fn add(&mut self, user: &Arc<str>, now: Instant) -> bool {
        if self.users.len() >= MAX_TOPICS {
            return false;
        }
        self.users.insert(Arc::clone(user));
        if !self.covers(user) {
            self.missing_since.get_or_insert(now);
        }
        if !self.subscribed.contains(user) {
            self.write_soon(now + LINGER);
        }
        true
    }

    /// Removes a user whom nobody watches any more.
    pub(super) fn remove(&mut self, user: &str, now: Instant) {
        if self.users.remove(user) {
            self.unconfirmed.remove(user);
            self.untaken.remove(user);
            self.write_soon(now + UNSUBSCRIBE_DELAY);
        }
    }

    pub(super) fn has(&self, user: &str) -> bool {
        self.users.contains(user)
    }

    /// Whether notifications of the user come.
    pub(super) fn covers(&self, user: &str) -> bool {
        self.live.is_some() && self.subscribed.contains(user)
    }

    /// Whether the user is read from time to time in place of notifications.
    pub(super) fn polls(&self, user: &str, now: Instant) -> bool {
        let is_given_up = self.unconfirmed.contains(user) || self.untaken.contains(user);
        is_given_up || self.polls_missing(now) && self.has(user) && !self.covers(user)
    }

    /// Whether any user is.
    pub(super) fn polls_any(&self, now: Instant) -> bool {
        let has_given_up = !self.unconfirmed.is_empty() || !self.untaken.is_empty();
        has_given_up || self.polls_missing(now) && self.is_missing_any()
    }

    /// Whether users without notifications have waited long enough for them.
    fn polls_missing(&self, now: Instant) -> bool {
        let since = self.missing_since;
        self.is_refused || since.is_some_and(|since| since + self.poll_after <= now)
    }

    fn is_missing_any(&self) -> bool {
        self.users.iter().any(|user| {
            !self.covers(user) && !self.unconfirmed.contains(user) && !self.untaken.contains(user)
        })
    }

    pub(super) fn users(&self) -> impl Iterator<Item = &Arc<str>> {
        self.users.iter()
    }

    /// How many topics the channel has.
    pub(super) fn topics(&self) -> usize {
        if self.live.is_some() {
            self.subscribed.len()
        } else {
            0
        }
    }

    /// What to do now.
    pub(super) fn act(&mut self, now: Instant) -> Option<Action> {
        if self.missing_since.is_some() && !self.is_missing_any() {
            self.missing_since = None;
        }
        if self.users.is_empty() {
            // The connection stays for the users who may come next; nothing is built.
            return None;
        }
        match self.build {
            Build::Nothing if self.live.is_none() => Some(self.build()),
            Build::Nothing if self.replace_at.is_some_and(|at| at <= now) => {
                self.replace_at = None;
                self.channel = None;
                Some(self.build())
            }
            Build::Nothing => self.write(now),
            Build::Subscribing(_) if self.writing.is_none() => self.subscribe_all(),
            Build::Waiting(at) if at <= now => Some(self.build()),
            _ => None,
        }
    }

    /// When [`Self::act`] has something to do next, or users begin to be polled. What is
    /// due already waits for something else, whose end wakes the task.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        if self.users.is_empty() {
            return None;
        }
        let build = match self.build {
            Build::Waiting(at) => Some(at),
            _ => None,
        };
        let write = self.write_at.filter(|_| {
            self.build == Build::Nothing && self.live.is_some() && self.writing.is_none()
        });
        let replace = self.replace_at.filter(|_| self.build == Build::Nothing);
        let refresh = self.refresh_at.filter(|_| self.live.is_some());
        let poll = self.missing_since.map(|since| since + self.poll_after);
        let times = [build, write, replace, refresh, poll].into_iter().flatten();
        times.filter(|&at| at > now).min()
    }

    pub(super) fn is_connected(&self) -> bool {
        self.live.is_some()
    }

    pub(super) fn is_live(&self, generation: Generation) -> bool {
        self.live.is_some_and(|(live, _)| live == generation)
    }
}

/// Whether the vendor would answer the same request in the same way.
fn is_final(failure: &Failure) -> bool {
    let status = failure.error.response().map(|response| response.status);
    let is_final = status.is_some_and(|status| (400..500).contains(&status));
    is_final && !matches!(status, Some(404 | 408 | 410 | 429))
}
