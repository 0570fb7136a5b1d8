//! A simulated presence API that keeps state and injects faults on request.
//!
//! # Layout
//!
//! - `settings`: the assumptions where public sources do not say.
//! - `serve`: connections. `handler`: one request. `request`: its parts.
//! - `routes`: the operations. `operation`: what their handlers get and return.
//! - `definitions`, `sources`, `organization`,
//!   `presences`: the handlers.
//! - `notifications`: channels, events, sockets.
//! - `state`, `seed`, `users`, `limits`, `revoked`, `journal`: the state; `bounds`: its limits.
//! - `query`, `payload`, `shape`, `locale`: parsing of requests.
//! - `reply`, `api_error`, `date`: responses.
//! - `misbehave`: fault injection.
//! - `control`: the endpoints that show and change the sandbox itself. `page`: what a
//!   browser shows of them. `usage`: what curl shows. `guard`: which browsers may use them.
//! - `oauth`: tokens. `ids`: fresh ids, and labels for tokens.

mod api_error;
mod bounds;
mod control;
mod date;
mod definitions;
mod guard;
mod handler;
mod ids;
mod journal;
mod limits;
mod locale;
mod misbehave;
mod notifications;
mod oauth;
mod operation;
mod organization;
mod page;
mod payload;
mod presences;
mod query;
mod reply;
mod request;
mod revoked;
mod routes;
mod seed;
mod serve;
mod settings;
mod shape;
mod sources;
mod state;
#[cfg(test)]
mod tests;
mod usage;
mod users;

use std::sync::Arc;

use axum::Router;
use parking_lot::Mutex;

pub use serve::serve;
pub use settings::{Args, Settings, choices};
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
    /// A command that calls the gateway in front, if there is one.
    gateway_call: Option<String>,
}

impl Sandbox {
    /// A sandbox in its initial state.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self::start(settings, None)
    }

    /// A sandbox inside a gateway, which the command `call` calls.
    #[must_use]
    pub fn behind_gateway(settings: Settings, call: String) -> Self {
        Self::start(settings, Some(call))
    }

    fn start(settings: Settings, gateway_call: Option<String>) -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(State::new(&settings)),
                settings,
                gateway_call,
            }),
        }
    }

    /// The router of the operations, the token endpoint and the control endpoints.
    ///
    /// Only [`serve()`] can cut a connection before a response, and serve a WebSocket;
    /// behind another server, a cut is an empty 502 with a truncated body.
    pub fn router(&self) -> Router {
        Router::new()
            .fallback(handler::handle)
            .with_state(self.clone())
    }
}
