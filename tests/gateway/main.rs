//! The gateway as its callers and its vendor see it: over real connections,
//! with nothing of it replaced.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::too_many_lines,
    clippy::unwrap_used,
    reason = "a test fails where it stands"
)]

mod annotations;
mod answers;
mod bad_input;
mod bulk;
mod bulk_read_failures;
mod bulk_read_flight;
mod bulk_read_properties;
mod bulk_read_scene;
mod bulk_reads;
mod bulk_write_failures;
mod bulk_write_flight;
mod bulk_write_goes_on;
mod bulk_write_properties;
mod bulk_write_scene;
mod bulk_writes;
mod call_deadlines;
mod call_interrupted;
mod call_streams;
mod cancelled;
mod command_line;
mod compression;
mod contract;
mod deadlines;
mod early_answers;
mod ending;
mod errors;
mod faults;
mod flight;
mod hostile;
mod http2;
mod kept_connections;
mod killed;
mod pacing;
mod program;
mod readme;
mod requests;
mod retries;
mod server;
mod service_config;
mod sharing;
mod streams;
mod support;
mod telemetry;
mod tls;
mod tokens;
mod wire;
