//! The gateway as its callers and its vendor see it: over real connections,
//! with nothing of it replaced.

mod annotations;
mod answers;
mod bad_input;
mod contract;
mod deadlines;
mod errors;
mod requests;
mod server;
mod support;
mod tokens;
mod wire;
