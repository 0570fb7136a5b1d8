//! The configuration.
pub mod value;
