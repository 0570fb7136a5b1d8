//! What the tests share: vendors, gateways, processes, clients, and what they say.

pub mod bulk;
pub mod certificates;
pub mod faults;
mod gateway;
pub mod generated;
pub mod http2;
pub mod in_flight;
#[path = "../../src/logging/captured.rs"]
pub mod log;
pub mod process;
pub mod raw_http;
mod rpc;
pub mod serve_flags;
pub mod stage;
mod status;
pub mod stream_caller;
pub mod telemetry;
mod vendor;
pub mod vendor_api;

pub use gateway::{Answer, Gateway, Limits, ONCE};
pub use rpc::{all_methods, encoded, method, methods, path, sample};
pub use status::{check_form, info, metadata, refused, report, rpc_status, violations};
pub use vendor::{CORRELATION_ID, Received, Vendor, cut, reply};
