//! What is wrong, on either side: refused with what to do about it, and
//! before anything is sent where the request is at fault.

mod frames;
mod ids;
mod protocols;
mod requests;
mod responses;

use serde_json::Value;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::support::{Gateway, ReceivedRequest, Vendor, expect_error, reply, violations};

/// A vendor that answers every request as its operation promises.
async fn vendor() -> Vendor {
    Vendor::start(async |received: ReceivedRequest| {
        let path = received.path();
        let is_list = path.ends_with("/bulk") || path.ends_with("/systempresences");
        reply(200, if is_list { "[]" } else { "{}" })
    })
    .await
}

/// The fields of a request that the gateway refuses by itself, each with what
/// is wrong with it.
async fn wrong(
    gateway: &Gateway,
    vendor: &Vendor,
    rpc: &str,
    request: Value,
) -> Vec<(String, String)> {
    let before = vendor.received().len();
    let status = invalid(gateway.call(rpc, request.clone()).await);
    assert_eq!(vendor.received().len(), before, "{rpc} was sent: {request}");
    let details = status.get_details_bad_request().unwrap().field_violations;
    details
        .into_iter()
        .map(|detail| (detail.field, detail.description))
        .collect()
}

/// A refusal of the gateway's own, whose message names the first field.
#[track_caller]
fn invalid<T: std::fmt::Debug>(answer: Result<T, Status>) -> Status {
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
