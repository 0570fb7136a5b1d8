//! A simulated vendor that keeps state, and misbehaves when it is told to.
//!
//! # Layout
//!
//! - `settings`: what is taken for granted where public sources do not say.
//! - `serve`: connections. `exchange`: the way of one request.
//! - `routes`: the 27 operations; `definitions`, `sources`, `organization`,
//!   `presences`: what they do.
//! - `state`, `seed`, `users`, `limits`, `journal`: what is remembered; `bounds`: how much.
//! - `query`, `payload`, `shape`, `locale`: how a request is read.
//! - `reply`, `refusal`: how it is answered.
//! - `misbehave`: how an answer goes wrong. `control`: how to ask for that.
//! - `oauth`: tokens. `identity`: fresh ids, and labels for tokens.

mod bounds;
mod control;
mod definitions;
mod exchange;
mod identity;
mod journal;
mod limits;
mod locale;
mod misbehave;
mod oauth;
mod organization;
mod payload;
mod presences;
mod query;
mod refusal;
mod reply;
mod routes;
mod seed;
mod serve;
mod settings;
mod shape;
mod sources;
mod state;
#[cfg(test)]
mod tests;
mod users;

use std::sync::Arc;

use axum::Router;
use parking_lot::Mutex;

pub use serve::serve;
pub use settings::{Args, Settings};
use state::State;

/// A simulated vendor; its clones are one and the same.
#[derive(Debug, Clone)]
pub struct Sandbox {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    settings: Settings,
    state: Mutex<State>,
}

impl Sandbox {
    /// A sandbox in which nothing happened yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let state = Mutex::new(State::new(&settings));
        Self {
            shared: Arc::new(Shared { settings, state }),
        }
    }

    /// The vendor's operations, the token endpoint and the sandbox's own controls.
    ///
    /// Only [`serve()`] can cut a connection before an answer; behind another
    /// server such an answer is an empty 502 whose body breaks off.
    pub fn router(&self) -> Router {
        Router::new()
            .fallback(exchange::exchange)
            .with_state(self.clone())
    }
}
