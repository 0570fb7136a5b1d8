//! The harness of the fault table: a gateway in front of a faulty vendor.

pub mod column;
pub mod fault;
mod gzip;
pub mod harness;
pub mod outcome;
