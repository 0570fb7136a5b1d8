//! The program's commands: `serve`, `sandbox` and `call`.

pub mod call;
mod fd_limit;
pub mod serve;
mod signals;
