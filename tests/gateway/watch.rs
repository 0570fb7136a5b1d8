//! Watches, in front of the sandbox.

mod endings;
mod faults;
mod inputs;
mod memory;
mod messages;
mod readers;
mod transport;
