//! One channel.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::link::{Frame, Link};
use super::topic::Topic;

/// How long a channel lives after it was made, or last subscribed **[A]**.
pub(crate) const LIFETIME: Duration = Duration::from_hours(24);

/// The code with which the socket of a channel is closed that is replaced, removed or
/// expired. It is not known which one the vendor has; 1001 was seen **[B]**.
pub(crate) const GOING_AWAY: u16 = 1001;

/// A channel.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) id: Arc<str>,
    /// The hash of its token.
    pub(crate) token: u64,
    /// The label of its token.
    pub(crate) label: String,
    /// By name.
    pub(super) topics: BTreeMap<String, Topic>,
    /// How long it lives after a subscription.
    pub(super) lifetime: Duration,
    pub(crate) expires: Timestamp,
    pub(crate) expiry: Instant,
    /// When it was used last.
    pub(super) used: Instant,
    /// Its place in the order of creation.
    pub(super) number: u64,
    /// Its connection, if there is one.
    pub(crate) link: Option<Arc<Link>>,
    /// How many events it was given while it was connected, and how many were lost.
    pub(crate) events: u64,
    pub(super) lost: u64,
}

impl Channel {
    /// A channel that was just made.
    pub(super) fn new(id: Arc<str>, token: u64, label: &str, number: u64, now: Instant) -> Self {
        let mut channel = Self {
            id,
            token,
            label: label.to_owned(),
            topics: BTreeMap::new(),
            lifetime: LIFETIME,
            expires: Timestamp::MAX,
            expiry: now,
            used: now,
            number,
            link: None,
            events: 0,
            lost: 0,
        };
        channel.live(LIFETIME, now);
        channel
    }

    /// How many topics it has.
    pub(crate) fn topic_count(&self) -> usize {
        self.topics.len()
    }

    /// The names of its topics.
    pub(crate) fn topics(&self) -> impl Iterator<Item = &str> {
        self.topics.keys().map(String::as_str)
    }

    /// Whether it has a topic of this user.
    pub(crate) fn is_about(&self, user: &str) -> bool {
        let mut users = self.topics.values().filter_map(|topic| topic.user.as_ref());
        users.any(|of| of.eq_ignore_ascii_case(user))
    }

    /// How many events it did not bring to its client.
    pub(crate) fn lost(&self) -> u64 {
        self.lost + self.link.as_ref().map_or(0, |link| link.lost())
    }

    /// Counts an event that is lost.
    pub(crate) fn lose(&mut self) {
        self.lost += 1;
    }

    /// Lives for this time from now on.
    pub(crate) fn live(&mut self, lifetime: Duration, now: Instant) {
        self.lifetime = lifetime;
        self.expiry = now + lifetime;
        let left = SignedDuration::try_from(lifetime).unwrap_or(SignedDuration::MAX);
        self.expires = Timestamp::now()
            .saturating_add(left)
            .unwrap_or(Timestamp::MAX);
    }

    /// Ends its connection with these frames.
    pub(super) fn disconnect(&mut self, last: impl IntoIterator<Item = Frame>) {
        if let Some(link) = self.link.take() {
            self.lost += link.lost();
            for frame in last {
                link.push(frame);
            }
        }
    }
}
