//! The tokens that calls are made with.

use http::HeaderValue;

/// Some tokens, of which each call has one.
#[derive(Debug)]
pub struct Tokens(Vec<HeaderValue>);

impl Tokens {
    /// So many tokens of this name, as long as the vendor's.
    #[must_use]
    pub fn new(name: &str, count: usize) -> Self {
        let tokens = (0..count).map(|number| format!("Bearer {name}-{number:0>79}"));
        let tokens = tokens.filter_map(|token| token.try_into().ok());
        Self(tokens.collect())
    }

    /// Any of them.
    pub fn next(&self) -> &HeaderValue {
        &self.0[fastrand::usize(..self.0.len())]
    }
}
