//! A gRPC gateway in front of the Genesys Cloud presence API.
//!
//! The way of one call is described in ARCHITECTURE.md, file by file.

pub mod batch;
pub mod call;
pub mod clock;
pub mod config;
pub mod credentials;
pub mod deadline;
pub mod error;
pub mod fields;
pub mod json;
pub mod logging;
pub mod memory;
pub mod operation;
pub mod proto;
pub mod record;
pub mod run;
pub mod sandbox;
pub mod server;
pub mod service;
pub mod session;
mod signals;
pub mod spread;
pub mod telemetry;
pub mod tls;
pub mod upstream;
