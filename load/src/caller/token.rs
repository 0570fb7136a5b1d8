//! The tokens that calls are made with.

use http::HeaderValue;

/// A set of tokens; each call uses one at random.
#[derive(Debug)]
pub struct Tokens(Vec<HeaderValue>);

impl Tokens {
    /// `count` tokens with this name, as long as the vendor's.
    #[must_use]
    pub fn new(name: &str, count: usize) -> Self {
        let tokens = (0..count).map(|number| format!("Bearer {name}-{number:0>79}"));
        let tokens = tokens.filter_map(|token| token.try_into().ok());
        Self(tokens.collect())
    }

    /// One of them at random.
    pub fn next(&self) -> &HeaderValue {
        &self.0[fastrand::usize(..self.0.len())]
    }
}
