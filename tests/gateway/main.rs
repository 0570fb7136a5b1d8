//! Tests of the gateway as its callers and the vendor see it: over real
//! connections, with no part of it replaced.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::too_many_lines,
    clippy::unwrap_used,
    reason = "a panic is how a test fails"
)]

/// Bulk reads and the bulk write, as unary calls.
mod bulk;
/// Unary calls: requests, responses, deadlines, retries, coalescing.
mod calls;
/// The commands of the program, run as processes.
mod cli;
/// The protos and the documents against each other and the vendor's data.
mod contract;
/// Statuses for an invalid request, an invalid response, or no response.
mod errors;
/// Health, drain, exit, and calls during shutdown.
mod lifecycle;
/// Rate, concurrency and memory limits.
mod limits;
/// Several regions behind one gateway.
mod regions;
/// Tokens, the content of the log, and hostile peers.
mod security;
/// Bulk reads as streams of ids.
mod streams;
/// No tests: fixtures and harnesses for the other modules.
mod support;
/// Traces, metrics and their export.
mod telemetry;
/// TLS and proxies, towards callers and the vendor.
mod tls;
/// Presences as they change.
mod watch;
