//! The commands of the program.

pub mod app;
pub mod call;
mod check;
pub mod command_line;
mod completions;
mod exit;
mod fd_limit;
mod help;
mod man;
mod misplaced;
mod misspelt;
mod port;
mod quickstart;
mod runtime;
#[cfg(feature = "sandbox")]
mod sandbox;
mod serve;
mod signals;
mod unexpected;
