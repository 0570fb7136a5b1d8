//! The commands of the program.

pub mod app;
pub mod call;
pub mod command_line;
mod completions;
mod exit;
mod fd_limit;
mod help;
mod man;
mod port;
mod runtime;
#[cfg(feature = "sandbox")]
mod sandbox;
mod serve;
mod signals;
mod unexpected;
