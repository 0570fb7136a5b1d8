//! What a token is known by where something is counted for it.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use http::HeaderValue;

/// What a token is known by where something is counted for it: a hash with a
/// salt of this process's own, which gives nothing of the token away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenKey(u64);

impl TokenKey {
    /// The key of the token in an `authorization`, however the scheme is spelt.
    #[must_use]
    pub fn new(authorization: &HeaderValue) -> Self {
        static SALT: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        let value = authorization.as_bytes();
        let token = value
            .iter()
            .position(|&byte| byte == b' ')
            .map_or(value, |space| &value[space..]);
        Self(SALT.hash_one(token.trim_ascii_start()))
    }
}
