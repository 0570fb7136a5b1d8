//! What happens to channels: their texts, with the faults of the rules that match.

#[cfg(test)]
mod tests;

use serde_json::Value;
use tokio::time::Instant;

use super::channel::GOING_AWAY;
use super::channels::Subscriber;
use super::event::{self, Event, SystemTopic};
use super::link::{Frame, Link};
use crate::misbehave::STRANGER;
use crate::misbehave::notification::{Action, NotificationPlan, On, Raw};
use crate::misbehave::rules::{Occasion, Rules};
use crate::state::State;

/// The code with which the socket of a revoked token is closed **[C]**.
const NORMAL: u16 = 1000;

/// Text that is not JSON, although it begins like it.
const GARBAGE: &str = "{\"topicName\": \u{fffd}garbage\u{7f}]]>";

impl State {
    /// Announces a presence that has changed.
    pub(crate) fn announce(&mut self, user: &str, source: &str, correlation: &str) {
        let subscribers = self.channels.subscribers(user);
        if subscribers.is_empty() {
            return;
        }
        let Some(event) = Event::of(self, user, source, correlation) else {
            return;
        };
        for Subscriber { channel, user } in subscribers {
            let now = Instant::now();
            let Some(known) = self.channels.get(&channel, now) else {
                continue;
            };
            let Some(link) = known.link.clone() else {
                known.lose();
                continue;
            };
            known.events += 1;
            let occasion = Occasion {
                on: On::Event,
                channel: &channel,
                token: known.token,
            };
            let is_it = |id: &str| id.eq_ignore_ascii_case(&event.user);
            match self.rules.notification(occasion, is_it) {
                None => link.push(Frame::Text(event.text(&user))),
                Some(plan) => self.carry_out(&channel, &plan, Some(event.value(&user))),
            }
        }
    }

    /// Sends a heartbeat to a channel.
    pub(crate) fn heartbeat(&mut self, channel: &str) {
        self.send(channel, On::Heartbeat, event::heartbeat());
    }

    /// Answers a ping of a channel's client.
    pub(crate) fn pong(&mut self, channel: &str) {
        self.send(channel, On::Pong, event::pong());
    }

    /// Applies the rules for a socket that was opened.
    pub(crate) fn opened(&mut self, channel: &str) {
        if let Some(plan) = self.faults(channel, On::Connect) {
            self.carry_out(channel, &plan, None);
        }
    }

    /// Applies rules to the channels that are there. Returns to how many.
    pub(crate) fn apply_now(&mut self, rules: Vec<Rules>) -> usize {
        let mut applied = 0;
        for mut rule in rules {
            let any = rule.need_no_connection();
            let all = self.channels.all();
            let some = all.into_iter().filter(|one| any || one.link.is_some());
            let ids: Vec<_> = some.map(|channel| channel.id.clone()).collect();
            for id in ids {
                let Some(channel) = self.channels.get(&id, Instant::now()) else {
                    continue;
                };
                let occasion = Occasion {
                    on: On::Now,
                    channel: &id,
                    token: channel.token,
                };
                if let Some(plan) = rule.notification(occasion, |user| channel.is_about(user)) {
                    self.carry_out(&id, &plan, None);
                    applied += 1;
                }
            }
        }
        applied
    }

    /// The faults of a channel on an occasion that is about all of it.
    pub(crate) fn faults(&mut self, channel: &str, on: On) -> Option<NotificationPlan> {
        let known = self.channels.get(channel, Instant::now())?;
        let occasion = Occasion {
            on,
            channel,
            token: known.token,
        };
        self.rules
            .notification(occasion, |user| known.is_about(user))
    }

    fn send(&mut self, channel: &str, on: On, text: Value) {
        if let Some(plan) = self.faults(channel, on) {
            self.carry_out(channel, &plan, Some(text));
            return;
        }
        let known = self.channels.get(channel, Instant::now());
        if let Some(link) = known.and_then(|known| known.link.clone()) {
            link.push(Frame::Text(text.to_string()));
        }
    }

    /// Carries out the faults of a channel, with the text that is about to be sent.
    fn carry_out(&mut self, channel: &str, plan: &NotificationPlan, text: Option<Value>) {
        let now = Instant::now();
        let Some(known) = self.channels.get(channel, now) else {
            return;
        };
        let token = known.token;
        if text.is_some() && plan.has(&Action::Drop) {
            known.lose();
        }
        if let Some(link) = known.link.clone() {
            let queue = Queue {
                link: &link,
                plan,
                now,
            };
            queue.texts(text);
            for action in &plan.actions {
                queue.action(action, channel);
            }
        }
        if plan.has(&Action::NoLongerSubscribed) {
            self.channels.unsubscribe(channel);
        }
        if plan.has(&Action::Expire) {
            self.channels.remove(channel);
        }
        if plan.has(&Action::TokenRevoked) {
            self.revoke(token);
        }
    }

    /// Rejects a token from now on, and ends its channels. Each socket gets its
    /// text and is closed **[A: the topic; C: the rest]**.
    fn revoke(&mut self, token: u64) {
        self.revoked.add(token);
        let all = self.channels.all();
        let own = all.into_iter().filter(|channel| channel.token == token);
        let ids: Vec<_> = own.map(|channel| channel.id.clone()).collect();
        for id in ids {
            let text = event::system_message(SystemTopic::TokenRevoked, &id);
            let last = [Frame::Text(text.to_string()), Frame::Close(NORMAL)];
            self.channels.end(&id, last);
        }
    }
}

/// Queues the frames of a plan.
struct Queue<'a> {
    link: &'a Link,
    plan: &'a NotificationPlan,
    now: Instant,
}

impl Queue<'_> {
    /// Queues the text at hand, or what comes instead of it.
    fn texts(&self, text: Option<Value>) {
        let raw = self.plan.actions.iter().find_map(|action| match action {
            Action::Raw(raw) => Some(*raw),
            _ => None,
        });
        let frame = match (text, raw) {
            (Some(text), raw) => {
                let text = self.changed(text).to_string();
                raw.map_or_else(|| Frame::Text(text.clone()), |raw| replaced(raw, &text))
            }
            (None, Some(raw)) => replaced(raw, ""),
            (None, None) => return,
        };
        if self.plan.has(&Action::Drop) {
            return;
        }
        if self.plan.has(&Action::Duplicate) {
            self.push(frame.clone());
        }
        if self.plan.has(&Action::Swap) && self.plan.delay.is_zero() {
            self.link.hold(frame);
        } else {
            self.push(frame);
        }
    }

    fn changed(&self, text: Value) -> Value {
        let changes = self.plan.actions.iter().filter_map(|action| match action {
            Action::Change(change) => Some(change),
            _ => None,
        });
        changes.fold(text, |text, change| change.apply(text))
    }

    /// Queues what an action sends besides.
    fn action(&self, action: &Action, channel: &str) {
        let message = |kind| Frame::Text(event::system_message(kind, channel).to_string());
        match action {
            Action::Stranger => {
                self.push(Frame::Text(Event::stranger().text(STRANGER)));
            }
            Action::SocketClosing(after) => {
                self.push(message(SystemTopic::SocketClosing));
                let due = self.now + self.plan.delay + *after;
                self.link.push_at(due, Frame::Close(GOING_AWAY));
            }
            Action::NoLongerSubscribed => self.push(message(SystemTopic::NoLongerSubscribed)),
            Action::Silence(length) => self.push(Frame::Silence(*length)),
            Action::Close(code) => self.push(Frame::Close(*code)),
            Action::Cut => self.push(Frame::Cut),
            _ => {}
        }
    }

    fn push(&self, frame: Frame) {
        if self.plan.delay.is_zero() {
            self.link.push(frame);
        } else {
            self.link.push_at(self.now + self.plan.delay, frame);
        }
    }
}

/// What comes instead of a text.
fn replaced(raw: Raw, text: &str) -> Frame {
    match raw {
        Raw::Garbage => Frame::Text(GARBAGE.to_owned()),
        Raw::HalfJson => Frame::Text(text[..text.floor_char_boundary(text.len() / 2)].to_owned()),
        Raw::Empty => Frame::Text(String::new()),
        Raw::Binary => Frame::Binary(text.as_bytes().to_vec()),
        Raw::Huge(bytes) => Frame::Huge(bytes),
    }
}
