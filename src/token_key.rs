//! The key under which limits and coalescing hold a token's state.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use http::HeaderValue;
use ring::{digest, hmac};

/// The key under which the state of a token is held: a hash, so that it reveals
/// nothing of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenKey(u128);

impl TokenKey {
    /// The key of the same token within a scope.
    pub(crate) fn within(self, scope: Scope) -> Self {
        Self(self.0 ^ scope.0)
    }
}

/// A scope in which tokens have other keys than in others: a region.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope(u128);

impl Scope {
    /// The scope with this name, the same in all processes.
    pub(crate) fn new(name: &str) -> Self {
        Self(leading(
            digest::digest(&digest::SHA256, name.as_bytes()).as_ref(),
        ))
    }
}

impl fmt::LowerHex for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Makes the keys of tokens. Clones make the same keys.
#[derive(Debug, Clone)]
pub struct TokenHasher(Hash);

#[derive(Debug, Clone)]
enum Hash {
    /// With a random salt of this process.
    Process(RandomState),
    /// With the secret that the replicas of a deployment share.
    Shared(Arc<hmac::Key>),
    /// Without a secret: the replicas share the keys, and a token is random enough.
    Plain,
}

impl Default for TokenHasher {
    /// Makes keys that only this process knows.
    fn default() -> Self {
        Self(Hash::Process(RandomState::new()))
    }
}

impl TokenHasher {
    /// Makes keys that are the same in all processes with this secret.
    #[must_use]
    pub fn shared(secret: Option<&[u8]>) -> Self {
        Self(secret.map_or(Hash::Plain, |secret| {
            Hash::Shared(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, secret)))
        }))
    }

    /// The key of the token in an `authorization`, however the scheme is spelled.
    #[must_use]
    pub fn key(&self, authorization: &HeaderValue) -> TokenKey {
        let value = authorization.as_bytes();
        let token = value
            .iter()
            .position(|&byte| byte == b' ')
            .map_or(value, |space| &value[space..])
            .trim_ascii_start();
        TokenKey(match &self.0 {
            Hash::Process(salt) => salt.hash_one(token).into(),
            Hash::Shared(secret) => leading(hmac::sign(secret, token).as_ref()),
            Hash::Plain => leading(digest::digest(&digest::SHA256, token).as_ref()),
        })
    }
}

/// The first 128 bits of a hash.
fn leading(hash: &[u8]) -> u128 {
    hash.first_chunk()
        .map_or(0, |bytes| u128::from_be_bytes(*bytes))
}

#[cfg(test)]
impl TokenKey {
    /// The key of a token in a test.
    pub(crate) fn new(authorization: &HeaderValue) -> Self {
        TokenHasher::shared(None).key(authorization)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_with_one_secret_make_the_same_key_and_others_do_not() {
        let token = HeaderValue::from_static("Bearer abc");
        let key = |secret: Option<&[u8]>| TokenHasher::shared(secret).key(&token);
        assert_eq!(key(Some(b"one")), key(Some(b"one")));
        assert_ne!(key(Some(b"one")), key(Some(b"two")));
        assert_ne!(key(Some(b"one")), key(None));
        assert_eq!(key(None), key(None));
    }

    #[test]
    fn the_scheme_is_no_part_of_the_key() {
        for hasher in [TokenHasher::default(), TokenHasher::shared(Some(b"s"))] {
            let key = |value| hasher.key(&HeaderValue::from_static(value));
            assert_eq!(key("Bearer abc"), key("BEARER  abc"));
            assert_ne!(key("Bearer abc"), key("Bearer xyz"));
        }
    }
}
