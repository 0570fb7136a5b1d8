//! The fault table at work: a gateway in front of a vendor that misbehaves.

pub mod column;
pub mod fault;
mod gzip;
pub mod harness;
pub mod outcome;
