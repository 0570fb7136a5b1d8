//! Fresh ids, and labels for tokens.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The random state of this process, so that ids and hashes cannot be guessed.
static SALT: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// The number of generated ids.
static MADE: AtomicU64 = AtomicU64::new(0);

/// Generates an id in the form of a random UUID.
pub(super) fn fresh() -> String {
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let high = SALT.hash_one((number, "high"));
    let low = SALT.hash_one((number, "low"));
    let (first, second, third) = (high >> 32, (high >> 16) & 0xffff, high & 0xfff);
    let (fourth, fifth) = ((low >> 48) & 0x3fff | 0x8000, low & 0xffff_ffff_ffff);
    format!("{first:08x}-{second:04x}-4{third:03x}-{fourth:04x}-{fifth:012x}")
}

/// The salted hash of a token, which is stored instead of it.
pub(super) fn token_hash(token: &str) -> u64 {
    SALT.hash_one(("token", token))
}

/// The hash of a token as text.
pub(super) fn token_label(token: &str) -> String {
    format!("token-{:016x}", token_hash(token))
}

/// Whether `id` has the form of a UUID.
pub(super) fn is_uuid(id: &str) -> bool {
    id.len() == 36
        && id.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_unique_uuids() {
        let ids: HashSet<String> = (0..1000).map(|_| fresh()).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| is_uuid(id)), "{ids:?}");
        assert!(!is_uuid("not-a-uuid"));
    }

    #[test]
    fn the_label_of_a_token_is_stable_and_hides_the_token() {
        assert_eq!(token_label("secret"), token_label("secret"));
        assert_ne!(token_label("secret"), token_label("other"));
        assert!(!token_label("secret").contains("secret"));
    }
}
