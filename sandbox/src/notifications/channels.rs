//! Which channels there are, and which of them gets which event.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::time::Instant;

use super::channel::{Channel, GOING_AWAY};
use super::link::{Frame, Link};
use super::topic::Topic;
use crate::api_error::ApiError;
use crate::bounds::{MAX_CHANNELS, MAX_TOPICS, full};
use crate::ids;

/// The most channels of a token **[A]**.
const TOKEN_CHANNELS: usize = 20;

/// The most topics of a channel **[A]**.
pub(crate) const CHANNEL_TOPICS: usize = 1000;

/// One that gets the events of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subscriber {
    pub(crate) channel: Arc<str>,
    /// The user's id as it was subscribed.
    pub(crate) user: Arc<str>,
}

/// All channels.
#[derive(Debug, Default)]
pub(crate) struct Channels {
    by_id: HashMap<Arc<str>, Channel>,
    /// The subscribers of presences, by user.
    by_user: HashMap<String, Vec<Subscriber>>,
    /// How many topics all channels have.
    topics: usize,
    /// How many channels were ever made.
    made: u64,
}

impl Channels {
    /// Makes a channel of a token; the error is 409 if there are too many of all tokens.
    pub(crate) fn create(
        &mut self,
        token: u64,
        label: &str,
        now: Instant,
    ) -> Result<&mut Channel, ApiError> {
        self.remove_expired(now);
        let own = self.by_id.values().filter(|channel| channel.token == token);
        if own.clone().count() >= TOKEN_CHANNELS {
            let idlest = own.min_by_key(|one| (one.link.is_some(), one.used, one.number));
            if let Some(idlest) = idlest.map(|channel| channel.id.clone()) {
                self.remove(&idlest);
            }
        }
        if self.by_id.len() >= MAX_CHANNELS {
            return Err(full(MAX_CHANNELS, "notification channels"));
        }
        let id: Arc<str> = format!("streaming-0-{}", ids::fresh()).into();
        let channel = Channel::new(id.clone(), token, label, self.made, now);
        self.made += 1;
        Ok(self.by_id.entry(id).insert_entry(channel).into_mut())
    }

    /// A channel that has not expired.
    pub(crate) fn get(&mut self, id: &str, now: Instant) -> Option<&mut Channel> {
        if self.by_id.get(id)?.expiry <= now {
            self.remove(id);
        }
        self.by_id.get_mut(id)
    }

    /// A channel of this token, or 404. One of another token is not there either **[C]**.
    pub(crate) fn find(
        &mut self,
        id: &str,
        token: u64,
        now: Instant,
    ) -> Result<&mut Channel, ApiError> {
        let own = self.get(id, now).filter(|channel| channel.token == token);
        own.ok_or_else(|| ApiError::not_found("Channel", id))
    }

    /// The hash of a channel's token, if it is there.
    pub(crate) fn token(&self, id: &str) -> Option<u64> {
        self.by_id.get(id).map(|channel| channel.token)
    }

    /// The label of a channel's token, if it is there.
    pub(crate) fn label(&self, id: &str) -> Option<String> {
        self.by_id.get(id).map(|channel| channel.label.clone())
    }

    /// All channels, oldest first.
    pub(crate) fn all(&self) -> Vec<&Channel> {
        let mut all: Vec<&Channel> = self.by_id.values().collect();
        all.sort_by_key(|channel| channel.number);
        all
    }

    /// Adds topics to a channel, or replaces those that it has, and lets it live on.
    pub(crate) fn subscribe(
        &mut self,
        id: &str,
        topics: Vec<Topic>,
        replace: bool,
        now: Instant,
    ) -> Result<(), ApiError> {
        let Some(channel) = self.get(id, now) else {
            return Err(ApiError::not_found("Channel", id));
        };
        let mut wanted = if replace {
            BTreeMap::new()
        } else {
            channel.topics.clone()
        };
        wanted.extend(topics.into_iter().map(|topic| (topic.name.clone(), topic)));
        let (before, after) = (channel.topics.len(), wanted.len());
        if after > CHANNEL_TOPICS {
            let message =
                format!("A channel has no more than {CHANNEL_TOPICS} topics, not {after}.");
            return Err(ApiError::new(400, "bad.request", &message));
        }
        if self.topics - before + after > MAX_TOPICS {
            return Err(full(MAX_TOPICS, "topics of all channels"));
        }
        self.set_topics(id, wanted);
        if let Some(channel) = self.by_id.get_mut(id) {
            channel.used = now;
            channel.live(channel.lifetime, now);
        }
        Ok(())
    }

    /// Removes all topics of a channel. It does not live longer by that **[C]**.
    pub(crate) fn unsubscribe(&mut self, id: &str) {
        self.set_topics(id, BTreeMap::new());
    }

    /// Removes a channel, and closes its socket.
    pub(crate) fn remove(&mut self, id: &str) {
        self.end(id, [Frame::Close(GOING_AWAY)]);
        self.by_id.remove(id);
    }

    /// Removes the topics of a channel, and ends its connection with these frames.
    pub(crate) fn end(&mut self, id: &str, last: impl IntoIterator<Item = Frame>) {
        self.unsubscribe(id);
        if let Some(channel) = self.by_id.get_mut(id) {
            channel.disconnect(last);
        }
    }

    /// Connects a channel. Its connection before, if there is one, is closed: there is one
    /// for a channel **[A]**; that the later one stays is an inference **[C]**.
    pub(crate) fn connect(&mut self, id: &str, now: Instant) -> Option<Arc<Link>> {
        let channel = self.get(id, now)?;
        channel.disconnect([Frame::Close(GOING_AWAY)]);
        channel.used = now;
        let link = Arc::new(Link::default());
        channel.link = Some(link.clone());
        Some(link)
    }

    /// Forgets a connection that has ended, unless another one replaced it.
    pub(crate) fn disconnected(&mut self, id: &str, link: &Arc<Link>, now: Instant) {
        let Some(channel) = self.by_id.get_mut(id) else {
            return;
        };
        if channel
            .link
            .as_ref()
            .is_some_and(|own| Arc::ptr_eq(own, link))
        {
            channel.lost += link.lost();
            channel.link = None;
            channel.used = now;
        }
    }

    /// Those that get the events of a user's presence.
    pub(crate) fn subscribers(&self, user: &str) -> Vec<Subscriber> {
        let found = self.by_user.get(&user.to_ascii_lowercase());
        found.cloned().unwrap_or_default()
    }

    /// Removes all channels, and closes their sockets.
    pub(crate) fn clear(&mut self) {
        let ids: Vec<Arc<str>> = self.by_id.keys().cloned().collect();
        for id in ids {
            self.remove(&id);
        }
    }

    fn remove_expired(&mut self, now: Instant) {
        let expired = self.by_id.values().filter(|channel| channel.expiry <= now);
        let expired: Vec<Arc<str>> = expired.map(|channel| channel.id.clone()).collect();
        for id in expired {
            self.remove(&id);
        }
    }

    fn set_topics(&mut self, id: &str, wanted: BTreeMap<String, Topic>) {
        let Some(channel) = self.by_id.get_mut(id) else {
            return;
        };
        let before = std::mem::replace(&mut channel.topics, wanted);
        self.topics = self.topics - before.len() + channel.topics.len();
        for topic in before.values().filter(|topic| topic.is_of_presence) {
            let key = topic
                .user
                .as_deref()
                .unwrap_or_default()
                .to_ascii_lowercase();
            if let Some(subscribers) = self.by_user.get_mut(&key) {
                subscribers.retain(|subscriber| *subscriber.channel != *id);
                if subscribers.is_empty() {
                    self.by_user.remove(&key);
                }
            }
        }
        for topic in channel.topics.values().filter(|topic| topic.is_of_presence) {
            let Some(user) = topic.user.as_deref() else {
                continue;
            };
            let subscriber = Subscriber {
                channel: channel.id.clone(),
                user: user.into(),
            };
            let subscribers = self.by_user.entry(user.to_ascii_lowercase()).or_default();
            // A combined topic and a single one bring an event once.
            if !subscribers.contains(&subscriber) {
                subscribers.push(subscriber);
            }
        }
    }
}
