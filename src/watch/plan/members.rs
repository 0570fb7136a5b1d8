//! Which users the task does something for: those who are watched, and to a lesser
//! extent those whom nobody watches any more and who are kept for a while. These keep
//! their notifications, and are neither read nor polled.

use std::sync::Arc;

use tokio::time::Instant;

use super::Plan;
use crate::proto::v1::user_presence_change::Cause;
use crate::watch::mailbox::Currency;
use crate::watch::shared::Inner;

impl Plan {
    /// Assigns new users to channels, and keeps or removes those whom nobody watches.
    pub(super) fn take_members(&mut self, inner: &mut Inner, now: Instant) {
        for user in std::mem::take(&mut inner.state.left) {
            if inner.state.is_watched(&user) {
                continue;
            }
            if self.is_covered(&user) && inner.state.keep(&user, now) {
                // What that read finds may be older than a gap that comes meanwhile.
                if self.reads.forget(&user) {
                    inner.state.set_stale(&user);
                }
            } else {
                self.remove(inner, &user, now);
            }
        }
        while let Some(user) = inner.state.remove_expired(now) {
            self.remove(inner, &user, now);
        }
        for user in std::mem::take(&mut inner.state.joined) {
            if !inner.state.is_watched(&user) {
                continue;
            }
            if !self.slots.iter().any(|slot| slot.has(&user)) && !self.assign(&user, now) {
                self.unassigned.insert(Arc::clone(&user));
                self.poll_at
                    .get_or_insert(now + self.settings.limits.poll_interval);
            }
            // One who was kept may be current.
            if inner.state.currency(&user) == Some(Currency::Stale) {
                let cause = cause_of_read(inner, &user);
                self.reads.want(&user, cause, now);
            }
        }
        if self.slots.is_empty() {
            return;
        }
        for user in std::mem::take(&mut self.unassigned) {
            while !self.assign(&user, now) {
                let Some(kept) = inner.state.make_room(now) else {
                    self.unassigned.insert(user);
                    break;
                };
                self.remove(inner, &kept, now);
            }
        }
    }

    fn assign(&mut self, user: &Arc<str>, now: Instant) -> bool {
        self.slots.iter_mut().any(|slot| slot.add(user, now))
    }

    /// Removes a user whom nobody watches.
    pub(super) fn remove(&mut self, inner: &mut Inner, user: &Arc<str>, now: Instant) {
        inner.state.remove(user);
        self.reads.forget(user);
        self.unassigned.remove(user);
        self.slots
            .iter_mut()
            .for_each(|slot| slot.remove(user, now));
    }

    /// Wants users to be read at this time, to whom something may have happened. Those whom
    /// nobody watches are read when somebody does again. Returns whether any of them was
    /// known.
    pub(super) fn resync(
        &mut self,
        inner: &mut Inner,
        users: &[Arc<str>],
        at: Instant,
        now: Instant,
    ) -> bool {
        let mut is_resync = false;
        for user in users {
            inner.state.set_stale(user);
            if inner.state.is_watched(user) {
                is_resync |= inner.state.is_known(user);
                let cause = cause_of_read(inner, user);
                self.reads.want_at(user, cause, at, now);
            }
        }
        is_resync
    }
}

fn cause_of_read(inner: &Inner, user: &str) -> Cause {
    if inner.state.is_known(user) {
        Cause::Resync
    } else {
        Cause::Snapshot
    }
}
