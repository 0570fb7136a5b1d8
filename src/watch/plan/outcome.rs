//! What follows for the users of a token from what has happened.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;

use super::Plan;
use crate::error::Failure;
use crate::proto::v1::user_presence_change::Cause;
use crate::upstream::ConnectError;
use crate::watch::channel::{Effect, Generation};
use crate::watch::mailbox::Currency;
use crate::watch::shared::Inner;
use crate::watch::task::BatchUser;
use crate::watch::vendor::{Channel, Presences, Subscribed};

impl Plan {
    /// Takes over a new channel.
    pub(in crate::watch) fn created(
        &mut self,
        inner: &mut Inner,
        slot: usize,
        result: Result<Channel, Failure>,
        now: Instant,
    ) {
        let effect = self.slots[slot].created(result, now);
        self.apply(inner, effect, now);
    }

    /// Takes over a new connection, and returns its number.
    pub(in crate::watch) fn opened(
        &mut self,
        inner: &mut Inner,
        slot: usize,
        now: Instant,
    ) -> Generation {
        let generation = self.next_generation;
        self.next_generation += 1;
        let effect = self.slots[slot].opened(Ok(generation), now);
        self.apply(inner, effect, now);
        generation
    }

    /// Takes over that a connection could not be opened.
    pub(in crate::watch) fn not_opened(
        &mut self,
        inner: &mut Inner,
        slot: usize,
        error: ConnectError,
        now: Instant,
    ) {
        let effect = self.slots[slot].opened(Err(error), now);
        self.apply(inner, effect, now);
    }

    /// Takes over the answer to a subscription.
    pub(in crate::watch) fn subscribed(
        &mut self,
        inner: &mut Inner,
        slot: usize,
        replaces: bool,
        result: Result<Subscribed, Failure>,
        now: Instant,
    ) {
        let effect = self.slots[slot].subscribed(replaces, result, now);
        self.apply(inner, effect, now);
    }

    /// Takes over that a connection has ended.
    pub(in crate::watch) fn ended(
        &mut self,
        inner: &mut Inner,
        slot: usize,
        generation: Generation,
        why: &str,
        now: Instant,
    ) {
        let effect = self.slots[slot].ended(generation, why, now);
        self.apply(inner, effect, now);
    }

    /// Takes over the result of a batch.
    pub(in crate::watch) fn read(
        &mut self,
        inner: &mut Inner,
        users: &[BatchUser],
        result: Result<Presences, Failure>,
        now: Instant,
    ) {
        let keys = || users.iter().map(|(key, _, _)| key);
        self.reads.end(keys());
        let mut presences = match result {
            Ok(presences) => presences,
            Err(failure) if failure.error.is_unauthenticated() => return inner.end(&failure),
            Err(failure) if is_about_users(&failure) => {
                inner.state.fail(keys(), &failure);
                keys().for_each(|user| self.give_up(user, now));
                return;
            }
            Err(failure) => {
                self.reads.back_off(failure.error.retry_delay(), now);
                self.read_why = Some(failure);
                for (user, _, cause) in users {
                    if inner.state.users.contains_key(user) {
                        self.reads.want_again(user, *cause, now);
                    }
                }
                return;
            }
        };
        self.reads.succeed();
        self.read_why = None;
        for (user, events, cause) in users {
            let presence = presences.remove(user);
            if inner.state.read(user, presence, *events, *cause) {
                self.reads.want(user, *cause, now);
            }
            if self.reads.is_wanted(user) || inner.state.currency(user) == Some(Currency::Failed) {
                continue;
            }
            if self.is_covered(user) {
                inner.state.set_currency(user, Currency::Live);
            } else if self.is_polled(user, now) {
                inner.state.set_currency(user, Currency::Polled);
            }
        }
        inner.state.offer_missing(keys());
    }

    /// Takes over what has changed for the users of a channel.
    pub(super) fn apply(&mut self, inner: &mut Inner, effect: Effect, now: Instant) {
        if let Some(failure) = effect.unauthenticated {
            return inner.end(&failure);
        }
        self.stops.extend(effect.replaced);
        for user in effect.lost {
            inner.state.set_stale(&user);
        }
        let mut is_resync = false;
        for user in &effect.covered {
            let is_known = inner.state.is_known(user);
            is_resync |= is_known;
            inner.state.set_stale(user);
            let cause = if is_known {
                Cause::Resync
            } else {
                Cause::Snapshot
            };
            self.reads.want(user, cause, now);
        }
        if is_resync {
            self.counts.record_resync(effect.reason);
        }
        let mut rejected: BTreeMap<String, (Failure, Vec<Arc<str>>)> = BTreeMap::new();
        for (user, failure) in effect.rejected {
            let (_, users) = rejected
                .entry(failure.error.to_string())
                .or_insert_with(|| (failure, Vec::new()));
            users.push(user);
        }
        for (failure, users) in rejected.into_values() {
            inner.state.fail(users.iter(), &failure);
            for user in users {
                self.give_up(&user, now);
            }
        }
    }

    /// Does nothing more for a user.
    fn give_up(&mut self, user: &str, now: Instant) {
        self.reads.forget(user);
        self.unassigned.remove(user);
        self.slots
            .iter_mut()
            .for_each(|slot| slot.remove(user, now));
    }
}

/// Whether a read failed because of the users that it names, so that it would fail
/// again.
fn is_about_users(failure: &Failure) -> bool {
    let status = failure.error.response().map(|response| response.status);
    matches!(status, Some(400 | 403 | 404 | 413 | 414 | 422))
}
