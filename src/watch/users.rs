//! Users, by the keys of their ids.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use foldhash::fast::RandomState;

// Callers choose the ids, but each table belongs to one token: ids that collide would slow
// down its watches alone.
pub(super) type UserMap<V> = HashMap<Arc<str>, V, RandomState>;
pub(super) type UserSet = HashSet<Arc<str>, RandomState>;

/// The key by which users are compared: ids are UUIDs, in either case.
pub(super) fn user_key(id: &str) -> Arc<str> {
    id.to_ascii_lowercase().into()
}
