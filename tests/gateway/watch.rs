//! Watches, in front of the sandbox.

mod endings;
mod faults;
mod inputs;
mod messages;
mod transport;
