//! A simulated presence API that keeps state and injects faults on request.
//!
//! # Layout
//!
//! - `settings`: the assumptions where public sources do not say.
//! - `serve`: connections. `handler`: one request. `request`: its parts.
//! - `routes`: the operations. `operation`: what their handlers get and return.
//! - `definitions`, `sources`, `organization`,
//!   `presences`: the handlers.
//! - `state`, `seed`, `users`, `limits`, `journal`: the state; `bounds`: its limits.
//! - `query`, `payload`, `shape`, `locale`: parsing of requests.
//! - `reply`, `api_error`, `date`: responses.
//! - `misbehave`: fault injection. `control`: the endpoints that control it.
//! - `oauth`: tokens. `ids`: fresh ids, and labels for tokens.

mod api_error;
mod bounds;
mod control;
mod date;
mod definitions;
mod handler;
mod ids;
mod journal;
mod limits;
mod locale;
mod misbehave;
mod oauth;
mod operation;
mod organization;
mod payload;
mod presences;
mod query;
mod reply;
mod request;
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

/// A simulated presence API. Clones share its state.
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
    /// A sandbox in its initial state.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let state = Mutex::new(State::new(&settings));
        Self {
            shared: Arc::new(Shared { settings, state }),
        }
    }

    /// The router of the operations, the token endpoint and the control endpoints.
    ///
    /// Only [`serve()`] can cut a connection before a response; behind another
    /// server such a response is an empty 502 with a truncated body.
    pub fn router(&self) -> Router {
        Router::new()
            .fallback(handler::handle)
            .with_state(self.clone())
    }
}
