//! The commands of the program: `serve`, `sandbox` and `call`.

pub mod app;
pub mod call;
pub mod exit;
mod fd_limit;
mod port;
mod runtime;
#[cfg(feature = "sandbox")]
pub mod sandbox;
pub mod serve;
mod signals;
pub mod unexpected;
