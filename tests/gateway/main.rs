//! The gateway as its callers and its vendor see it: over real connections,
//! with nothing of it replaced.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails where it stands"
)]

mod annotations;
mod answers;
mod command_line;
mod contract;
mod deadlines;
mod errors;
mod program;
mod readme;
mod requests;
mod server;
mod support;
mod wire;
