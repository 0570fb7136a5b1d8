//! What follows for the users of a token from what has happened.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::Instant;

use super::Plan;
use crate::error::Failure;
use crate::proto::v1::user_presence_change::Cause;
use crate::upstream::ConnectError;
use crate::watch::channel::{Effect, Generation};
use crate::watch::mailbox::Currency;
use crate::watch::reads::Refusal;
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
        result: Result<Subscribed, Failure>,
        now: Instant,
    ) {
        let effect = self.slots[slot].subscribed(result, now);
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
        let begun = self.reads.end(keys());
        let mut presences = match result {
            Ok(presences) => presences,
            Err(failure) => return self.read_failed(inner, users, begun, failure, now),
        };
        self.reads.succeed(keys());
        self.read_why = None;
        for (user, events, cause) in users {
            let presence = presences.remove(user);
            let now_date = SystemTime::now();
            let is_unclear = inner.state.read(user, presence, *events, *cause, now_date);
            // Of those who are watched no more, something may be lost since.
            if !inner.state.is_watched(user) {
                continue;
            }
            if is_unclear {
                self.reads.want_paced(user, *cause, now);
            }
            if self.reads.is_wanted(user) {
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

    fn read_failed(
        &mut self,
        inner: &mut Inner,
        users: &[BatchUser],
        begun: Option<Instant>,
        failure: Failure,
        now: Instant,
    ) {
        if failure.error.is_unauthenticated() {
            return inner.end(&failure);
        }
        let watched = users
            .iter()
            .map(|(user, _, cause)| (Arc::clone(user), *cause));
        let watched = watched.filter(|(user, _)| inner.state.is_watched(user));
        let watched: Vec<(Arc<str>, Cause)> = watched.collect();
        if let Some(refusal) = refusal(&failure) {
            if self.reads.refuse(users.len(), &watched, refusal, now) {
                inner
                    .state
                    .fail(watched.iter().map(|(user, _)| user), &failure);
                for (user, _) in watched {
                    self.give_up(&user, now);
                }
            }
        } else {
            let retry_delay = failure.error.retry_delay();
            self.reads.back_off(begun, retry_delay, now);
            for (user, cause) in watched {
                self.reads.want_again(&user, cause, now);
            }
        }
        self.read_why = Some(failure);
    }

    /// Takes over what has changed for the users of a channel.
    pub(super) fn apply(&mut self, inner: &mut Inner, effect: Effect, now: Instant) {
        if let Some(failure) = effect.unauthenticated {
            return inner.end(&failure);
        }
        self.stops.extend(effect.replaced);
        for user in effect.lost {
            if inner.state.is_kept(&user) {
                self.remove(inner, &user, now);
            }
            inner.state.set_stale(&user);
        }
        if self.resync(inner, &effect.covered, now, now) {
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
        self.reads.cancel(user);
        self.unassigned.remove(user);
        self.slots
            .iter_mut()
            .for_each(|slot| slot.remove(user, now));
    }
}

/// Whether the vendor refuses a read because of what it names, so that it may refuse it
/// again.
fn refusal(failure: &Failure) -> Option<Refusal> {
    let response = failure.error.response()?;
    let code = response.code().unwrap_or_default();
    match response.status {
        400 | 413 | 414 | 422 if !code.is_empty() => Some(Refusal::WrongId),
        // `missing.division.permission` may be of one user of the batch.
        403 if matches!(code, "missing.permissions" | "missing.any.permissions") => {
            Some(Refusal::OfToken)
        }
        // Without a code, a proxy may have sent it.
        400 | 403 | 404 | 413 | 414 | 422 => Some(Refusal::Unclear),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;
    use crate::error::Error;
    use crate::error::response::ErrorResponse;
    use crate::operation::SPECS;

    fn of(status: u16, body: &str) -> Option<Refusal> {
        let response = ErrorResponse::parse(status, &HeaderMap::new(), body.as_bytes());
        refusal(&Error::UpstreamStatus(SPECS[0], Box::new(response)).into())
    }

    #[test]
    fn a_missing_permission_is_of_the_token_or_of_one_user() {
        let with = |code: &str| format!(r#"{{"code":"{code}","message":"no"}}"#);
        for code in ["missing.permissions", "missing.any.permissions"] {
            assert_eq!(of(403, &with(code)), Some(Refusal::OfToken), "{code}");
        }
        for code in ["missing.division.permission", "not.authorized"] {
            assert_eq!(of(403, &with(code)), Some(Refusal::Unclear), "{code}");
        }
        assert_eq!(of(400, &with("invalid.value")), Some(Refusal::WrongId));
        assert_eq!(of(404, "<html>"), Some(Refusal::Unclear));
        assert_eq!(of(503, &with("service.unavailable")), None);
    }
}
