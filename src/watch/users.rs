//! Collections of users, by their ids.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use foldhash::quality::RandomState;

pub(super) type UserMap<V> = HashMap<Arc<str>, V, RandomState>;
pub(super) type UserSet = HashSet<Arc<str>, RandomState>;
