//! Presences for which there is no memory.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::Instant;

use super::vendor::presence;
use crate::error::Error;
use crate::memory::MemoryLimit;
use crate::proto::v1::UserPresence;
use crate::telemetry::WatchCounts;
use crate::token_key::TokenKey;
use crate::watch::serve::USER_SIZE;
use crate::watch::state::State;

#[test]
fn a_user_whom_nobody_watches_is_kept_if_half_of_the_memory_stays_free() {
    // A quarter is for the token, half of which is for two users.
    let memory = MemoryLimit::new(4 * 2 * 2 * 4 * USER_SIZE);
    let mut state = State::new(memory.lease(Some(token())), WatchCounts::default());
    let keys: Vec<Arc<str>> = (0..3).map(|number| format!("u{number}").into()).collect();
    let ids = |keys: &[Arc<str>]| {
        let ids = keys.iter().map(|key| (Arc::clone(key), key.to_string()));
        ids.collect::<Vec<_>>()
    };
    let watch = state.join(ids(&keys));
    state.leave(watch);
    let now = Instant::now();
    let is_kept = keys.iter().map(|key| state.keep(key, now));
    assert_eq!(is_kept.collect::<Vec<_>>(), [true, true, false]);
    // Those who are watched again, or removed, make room for another one.
    let watch = state.join(ids(&keys[..1]));
    assert!(state.keep(&keys[2], now));
    state.leave(watch);
    assert!(!state.keep(&keys[0], now));
    state.remove(&keys[1]);
    assert!(state.keep(&keys[0], now));
    state.remove_unwatched();
    assert!(state.users.is_empty());
    drop(state);
    assert_eq!(
        memory.lease(Some(token())).reserve(2 * 2 * 4 * USER_SIZE),
        Ok(())
    );
}

fn token() -> TokenKey {
    TokenKey::new(&"Bearer a".parse().unwrap())
}

#[test]
fn a_presence_without_memory_ends_its_watches_and_is_read_for_the_next_one() {
    let memory = MemoryLimit::new(64 << 10).lease(None);
    let mut state = State::new(memory, WatchCounts::default());
    let user: Arc<str> = "u".into();
    let join = |state: &mut State| state.join(vec![(Arc::clone(&user), user.to_string())]);
    let first = join(&mut state);
    state.notify(&user, presence(2), SystemTime::now());
    let large = UserPresence {
        message: Some("x".repeat(32 << 10)),
        ..presence(4)
    };
    state.notify(&user, large, SystemTime::now());
    let end = state.watches[&first].ended();
    let end = end.map(|failure| &failure.error);
    assert!(matches!(end, Some(Error::MemoryExhausted)), "{end:?}");
    // It joins before the first one has left.
    let second = join(&mut state);
    state.leave(first);
    let mailbox = state.watches.get_mut(&second).unwrap();
    let latest = |user: &str| state.users[user].latest.as_ref();
    let next = mailbox.pop(latest);
    assert!(next.is_none(), "not the latest presence: {next:?}");
    assert!(state.unclear.contains(&user));
    state.notify(&user, presence(6), SystemTime::now());
    let mailbox = state.watches.get_mut(&second).unwrap();
    let latest = |user: &str| state.users[user].latest.as_ref();
    assert!(mailbox.pop(latest).is_some());
}
