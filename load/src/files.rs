//! How many files the process may open: each connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit as far as the process may by itself.
pub fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let current = limit.maximum;
    // Where it fails, connections will say so.
    let _ = setrlimit(Resource::Nofile, Rlimit { current, ..limit });
}
