//! Traces and metrics, as a collector and a Prometheus get them from the
//! program.

mod collector;
mod scraped;
mod settings;
mod sick;
mod traced;
mod tree;
