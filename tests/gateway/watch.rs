//! Watches, in front of the sandbox.

mod endings;
mod faults;
mod inputs;
mod told;
mod transport;
