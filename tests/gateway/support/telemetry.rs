//! What telemetry is exported to, and how it is compared.

pub mod collector;
pub mod span_tree;
