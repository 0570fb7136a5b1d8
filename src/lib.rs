//! A gRPC gateway in front of the Genesys Cloud presence API.
//!
//! The way of one call is described in ARCHITECTURE.md, file by file.

pub mod access_log;
pub mod bulk;
pub mod cli;
pub mod config;
pub mod context;
pub mod credentials;
pub mod deadline;
pub mod error;
pub mod fair_share;
pub mod fields;
pub mod grpc;
pub mod jitter;
pub mod json;
pub mod logging;
pub mod memory;
mod nearest;
pub mod operation;
pub mod proto;
pub mod rpc;
pub mod server;
pub mod telemetry;
pub mod tls;
pub mod token_key;
pub mod upstream;
mod user_agent;
pub mod watch;

pub use presence_gateway_args as args;
#[cfg(feature = "sandbox")]
pub use presence_gateway_sandbox as sandbox;
