//! The gateway as its callers and its vendor see it: over real connections,
//! with nothing of it replaced.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::too_many_lines,
    clippy::unwrap_used,
    reason = "a test fails where it stands"
)]

/// Bulk reads and the bulk write, as unary calls.
mod bulk;
/// Unary calls: requests, responses, deadlines, retries, coalescing.
mod calls;
/// The program's commands, as processes.
mod cli;
/// The protos and the documents against each other and the vendor's data.
mod contract;
/// What callers get for a wrong request, a wrong response, or none.
mod errors;
/// Health, drain, exit, and calls around the end of the process.
mod lifecycle;
/// Rate, concurrency and memory limits.
mod limits;
/// Tokens, what the log holds, and peers that mean harm.
mod security;
/// Streams of ids.
mod streams;
/// No tests: vendors, gateways, processes and clients for those above.
mod support;
/// Traces, metrics, and their exporters.
mod telemetry;
/// TLS and proxies, on both sides.
mod tls;
