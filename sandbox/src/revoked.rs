//! Tokens that were revoked.

use std::collections::VecDeque;

use super::bounds::MAX_TOKENS;

/// The hashes of the tokens that were revoked last.
#[derive(Debug, Default)]
pub(super) struct Revoked(VecDeque<u64>);

impl Revoked {
    /// Adds a token. The oldest one is accepted again if there are too many.
    pub(super) fn add(&mut self, token: u64) {
        if self.contains(token) {
            return;
        }
        if self.0.len() >= MAX_TOKENS {
            self.0.pop_front();
        }
        self.0.push_back(token);
    }

    /// Whether a token was revoked.
    pub(super) fn contains(&self, token: u64) -> bool {
        self.0.contains(&token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tokens_that_were_revoked_last_are_kept() {
        let mut revoked = Revoked::default();
        for token in 0..=MAX_TOKENS as u64 {
            revoked.add(token);
            revoked.add(token);
        }
        assert!(!revoked.contains(0) && revoked.contains(1));
        assert!(revoked.contains(MAX_TOKENS as u64));
    }
}
