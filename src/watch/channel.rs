//! One notification channel: which connection it has or builds, and which topics it
//! subscribes. It has no socket and sends nothing: it takes what happened, and returns
//! what to do.

mod connection;
mod refusals;
mod subscription;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::backoff::Backoff;
use super::vendor::Channel;
use crate::error::Failure;
use crate::telemetry::ResyncReason;
use crate::watch::users::UserSet;
use refusals::Refusals;
use subscription::Topics;

/// The most topics of a channel, by the vendor's own streaming client.
pub(super) const MAX_TOPICS: usize = 1000;

/// How long the first of several new topics waits for the others.
const LINGER: Duration = Duration::from_millis(20);

/// How long the topic of a user who was removed stays, so that few requests remove those
/// of all.
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

/// A channel that the vendor has made.
#[derive(Debug, Clone)]
struct OwnChannel {
    channel: Channel,
    /// When another one takes its place.
    replace_at: Instant,
    /// How many connections to it in succession could not be made, or did not last.
    failures: u32,
}

/// What is being built.
#[derive(Debug)]
enum Build {
    /// Nothing: there is a connection, or nobody needs one.
    Nothing,
    /// A connection from this moment, to this channel or to a new one.
    Waiting(Instant, Option<OwnChannel>),
    Creating,
    Opening(OwnChannel),
    /// The first subscription of this connection.
    Subscribing(Generation, OwnChannel),
}

/// The connection whose notifications come. What the vendor has confirmed belongs to it:
/// of the next one, nothing is known before its own first answer.
#[derive(Debug)]
struct Live {
    generation: Generation,
    since: Instant,
    channel: OwnChannel,
    topics: Topics,
}

/// A subscription that the vendor has not answered yet. There is never a second one.
#[derive(Debug)]
struct Writing {
    /// The connection that it is for.
    generation: Generation,
    users: Vec<Arc<str>>,
    replaces: bool,
}

/// One channel of a token.
#[derive(Debug)]
pub(super) struct ChannelSlot {
    /// How long users wait for notifications before they are polled.
    poll_after: Duration,
    /// The users whose topics the channel must have.
    users: UserSet,
    build: Build,
    live: Option<Live>,
    /// The connection whose end the vendor has announced.
    closing: Option<Generation>,
    /// When the users are read again although there was no gap.
    refresh_at: Option<Instant>,
    /// When the topics are compared with the users; not before this, after a failure; the
    /// topics that are being written.
    write_at: Option<Instant>,
    write_not_before: Option<Instant>,
    writing: Option<Writing>,
    refusals: Refusals,
    /// Since when users wait for notifications.
    missing_since: Option<Instant>,
    /// The delays of connections, and of subscriptions of one that lasts.
    backoff: Backoff,
    write_backoff: Backoff,
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
            users: UserSet::default(),
            build: Build::Nothing,
            live: None,
            closing: None,
            refresh_at: None,
            write_at: None,
            write_not_before: None,
            writing: None,
            refusals: Refusals::default(),
            missing_since: None,
            backoff: Backoff::default(),
            write_backoff: Backoff::default(),
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
            self.write_soon(now + LINGER);
        }
        true
    }

    /// Removes a user whom nobody watches any more.
    pub(super) fn remove(&mut self, user: &str, now: Instant) {
        if self.users.remove(user) {
            self.refusals.forget(user);
            if let Some(live) = &mut self.live {
                live.topics.forget(user);
            }
            self.write_soon(now + UNSUBSCRIBE_DELAY);
        }
    }

    pub(super) fn has(&self, user: &str) -> bool {
        self.users.contains(user)
    }

    /// Whether notifications of the user come.
    pub(super) fn covers(&self, user: &str) -> bool {
        let live = self.live.as_ref();
        live.is_some_and(|live| live.topics.permitted.contains(user))
    }

    /// Whether the user is read from time to time in place of notifications.
    pub(super) fn polls(&self, user: &str, now: Instant) -> bool {
        let is_open = self.has(user) && !self.covers(user);
        is_open && (self.has_given_up(user) || self.polls_missing(now))
    }

    /// Whether any user is.
    pub(super) fn polls_any(&self, now: Instant) -> bool {
        let live = self.live.as_ref();
        let has_given_up = live.is_some_and(|live| live.topics.has_given_up_any());
        has_given_up || self.polls_missing(now) && self.missing().next().is_some()
    }

    /// Whether users without notifications have waited long enough for them.
    fn polls_missing(&self, now: Instant) -> bool {
        let since = self.missing_since;
        self.is_refused || since.is_some_and(|since| since + self.poll_after <= now)
    }

    /// The users who wait for notifications.
    fn missing(&self) -> impl Iterator<Item = &Arc<str>> {
        let is_missing = |user: &&Arc<str>| !self.covers(user) && !self.has_given_up(user);
        self.users.iter().filter(is_missing)
    }

    /// Whether the user waits for no answer of the vendor.
    fn has_given_up(&self, user: &str) -> bool {
        let live = self.live.as_ref();
        live.is_some_and(|live| live.topics.has_given_up(user))
    }

    pub(super) fn users(&self) -> impl Iterator<Item = &Arc<str>> {
        self.users.iter()
    }

    /// How many topics the channel has.
    pub(super) fn topics(&self) -> usize {
        let live = self.live.as_ref();
        live.map_or(0, |live| live.topics.permitted.len())
    }

    /// What to do now.
    pub(super) fn act(&mut self, now: Instant) -> Option<Action> {
        if self.missing_since.is_some() && self.missing().next().is_none() {
            self.missing_since = None;
        }
        if self.users.is_empty() {
            return None;
        }
        self.build(now).or_else(|| self.write(now))
    }

    /// When [`Self::act`] has something to do next, or users begin to be polled, or are
    /// to be read.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        let live = self.live.as_ref();
        if self.users.is_empty() {
            return self.write_at.filter(|&at| at > now);
        }
        let build = match &self.build {
            Build::Nothing => live.map(|live| live.channel.replace_at),
            Build::Waiting(at, _) => Some(*at),
            _ => None,
        };
        let write = self.write_at.filter(|_| self.writing.is_none());
        let refresh = self.refresh_at.filter(|_| live.is_some());
        let poll = self.missing_since.map(|since| since + self.poll_after);
        let times = [build, write, refresh, poll].into_iter().flatten();
        // What is due already waits for something else, whose end wakes the task.
        times.filter(|&at| at > now).min()
    }

    pub(super) fn is_connected(&self) -> bool {
        self.live.is_some()
    }

    pub(super) fn is_live(&self, generation: Generation) -> bool {
        let live = self.live.as_ref();
        live.is_some_and(|live| live.generation == generation)
    }

    /// Whether this connection waits for its first subscription.
    fn is_subscribing(&self, generation: Generation) -> bool {
        matches!(self.build, Build::Subscribing(of, _) if of == generation)
    }
}

/// Whether the vendor would answer the same request in the same way.
fn is_final(failure: &Failure) -> bool {
    let status = failure.error.response().map(|response| response.status);
    let is_final = status.is_some_and(|status| (400..500).contains(&status));
    is_final && !matches!(status, Some(404 | 408 | 410 | 429))
}
