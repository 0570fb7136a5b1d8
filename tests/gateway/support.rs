//! Fixtures and harnesses: stub vendors, gateways, processes, clients, and
//! readers of what these return.

pub mod bulk;
pub mod certificates;
mod closed_port;
pub mod faults;
mod gateway;
pub mod generated;
pub mod http2;
pub mod http2_vendor;
pub mod in_flight;
#[path = "../../src/logging/captured.rs"]
pub mod log;
pub mod process;
pub mod raw_http;
mod rpc;
pub mod sandbox;
pub mod scenario;
pub mod serve_flags;
mod status;
pub mod stream_caller;
pub mod telemetry;
mod vendor;
pub mod vendor_api;
pub mod watch_caller;

pub use closed_port::ClosedPort;
pub use gateway::{Gateway, JsonResponse, Limits, NO_RETRIES};
pub use rpc::{all_methods, encode, method, methods, minimal_request, path};
pub use status::{
    assert_well_formed, expect_error, info, metadata, report, rpc_status, violations,
};
pub use vendor::{CORRELATION_ID, ReceivedRequest, Vendor, disconnect, reply};
