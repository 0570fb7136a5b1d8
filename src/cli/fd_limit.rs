//! The limit on open files. Each connection is one.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Raises the soft limit to the hard limit. The usual soft limit of 1024
/// protects programs that call `select`, which this one does not.
pub(super) fn raise() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // If it fails, the old limit stays, which is still correct.
    let _ = setrlimit(Resource::Nofile, limit);
}
