//! The limit of open files: each connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit to the hard limit.
pub fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let current = limit.maximum;
    // If it fails, connections report their own errors.
    let _ = setrlimit(Resource::Nofile, Rlimit { current, ..limit });
}
