//! Invalid requests and responses. The gateway rejects an invalid request unsent,
//! and names what to correct.

mod frames;
mod ids;
mod protocols;
mod requests;
mod responses;

use serde_json::Value;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::support::{Gateway, ReceivedRequest, Vendor, expect_error, reply, violations};

/// A vendor that sends an empty response of the type that the operation returns.
async fn vendor() -> Vendor {
    Vendor::start(async |received: ReceivedRequest| {
        let path = received.path();
        let is_list = path.ends_with("/bulk") || path.ends_with("/systempresences");
        reply(200, if is_list { "[]" } else { "{}" })
    })
    .await
}

/// Makes a call that the gateway must reject unsent. Returns the invalid fields and
/// what is wrong with each.
async fn rejected_fields(
    gateway: &Gateway,
    vendor: &Vendor,
    rpc: &str,
    request: Value,
) -> Vec<(String, String)> {
    let before = vendor.received().len();
    let status = assert_invalid_request(gateway.call(rpc, request.clone()).await);
    assert_eq!(
        vendor.received().len(),
        before,
        "the gateway sent {rpc}: {request}"
    );
    let details = status.get_details_bad_request().unwrap().field_violations;
    details
        .into_iter()
        .map(|violation| (violation.field, violation.description))
        .collect()
}

/// Asserts an `INVALID_REQUEST` of the gateway, whose message names the first field.
#[track_caller]
fn assert_invalid_request<T: std::fmt::Debug>(answer: Result<T, Status>) -> Status {
    let status = expect_error(answer, Code::InvalidArgument, "INVALID_REQUEST");
    assert_eq!(
        status.get_details_error_info().unwrap().domain,
        "presence-gateway"
    );
    let fields = violations(&status);
    let first = fields.first().expect("a field should be named");
    assert!(
        status.message().starts_with(first.as_str()),
        "{}",
        status.message()
    );
    status
}
