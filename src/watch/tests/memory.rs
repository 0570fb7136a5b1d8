//! Presences for which there is no memory.

use std::sync::Arc;
use std::time::SystemTime;

use super::vendor::presence;
use crate::error::Error;
use crate::memory::MemoryLimit;
use crate::proto::v1::UserPresence;
use crate::telemetry::WatchCounts;
use crate::watch::state::State;

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
