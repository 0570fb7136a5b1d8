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
use crate::watch::reads::Fault;
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
        // One who was forgotten meanwhile would never be forgotten again.
        let watched = keys().filter(|key| inner.state.users.contains_key(*key));
        self.reads.succeed(watched, now);
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
                inner.state.set_stale(user);
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
        let batch = (users.len(), begun);
        let refused = self.reads.fail(batch, &watched, fault(&failure), now);
        inner.state.fail(refused.iter(), &failure);
        for user in refused {
            self.give_up(&user, now);
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

/// What the failure of a read says about the next ones.
fn fault(failure: &Failure) -> Fault {
    let response = failure.error.response();
    let status = response.map(|response| response.status);
    match (response, failure.error.retry_delay()) {
        (Some(response), _) if matches!(response.status, 400 | 403 | 404 | 413 | 414 | 422) => {
            let code = response.code().unwrap_or_default();
            Fault::Refused(response.status, code.to_owned())
        }
        // Also those of the gateway itself.
        (_, Some(delay)) if status != Some(503) => Fault::Limited(delay),
        (_, delay) => Fault::Failed(delay),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::HeaderMap;

    use super::*;
    use crate::error::Error;
    use crate::error::response::ErrorResponse;
    use crate::operation::SPECS;

    fn of(status: u16, body: &str) -> Fault {
        let headers = HeaderMap::from_iter([(
            http::header::RETRY_AFTER,
            http::HeaderValue::from_static("7"),
        )]);
        let response = ErrorResponse::parse(status, &headers, body.as_bytes());
        fault(&Error::UpstreamStatus(SPECS[0], Box::new(response)).into())
    }

    #[test]
    fn only_an_answer_about_the_users_is_a_refusal() {
        let body = r#"{"code":"not.authorized","message":"no"}"#;
        let code = "not.authorized".to_owned();
        assert_eq!(of(403, body), Fault::Refused(403, code));
        assert_eq!(of(404, "<html>"), Fault::Refused(404, String::new()));
        let delay = Duration::from_secs(7);
        assert_eq!(of(503, body), Fault::Failed(Some(delay)));
        assert_eq!(of(500, body), Fault::Failed(None));
        assert_eq!(of(429, body), Fault::Limited(delay));
        let full = fault(&Error::MemoryExhausted.into());
        assert!(matches!(full, Fault::Limited(_)), "{full:?}");
    }
}
