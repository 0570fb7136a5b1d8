//! The key under which limits and coalescing hold a token's state.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use http::HeaderValue;

/// The key under which the state of a token is held: a hash with a random salt of
/// this process, so that it reveals nothing of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenKey(u64);

impl TokenKey {
    /// The key of the token in an `authorization`, however the scheme is spelled.
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
