//! Assertions on statuses, and readers of their details.

use presence_gateway::proto::v1::BulkWriteReport;
use prost::Message;
use tonic::{Code, Status};
use tonic_types::{StatusExt, pb};

/// Asserts what holds for every error, whatever its code.
pub fn assert_well_formed(status: &Status) {
    let info = status.get_details_error_info();
    let info = info.unwrap_or_else(|| panic!("an error without ErrorInfo: {status:?}"));
    let is_reason = |reason: &str| {
        (2..=63).contains(&reason.len())
            && reason.starts_with(|c: char| c.is_ascii_uppercase())
            && reason
                .chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
    };
    assert!(is_reason(&info.reason), "{status:?}");
    assert!(
        ["presence-gateway", "genesys.cloud"].contains(&info.domain.as_str()),
        "{status:?}"
    );
    assert!(
        !status.message().is_empty(),
        "an error without a message: {status:?}"
    );
    let rpc = rpc_status(status);
    assert_eq!(
        (rpc.code, rpc.message.as_str()),
        (status.code() as i32, status.message())
    );
}

/// Decodes the `google.rpc.Status` of the details.
pub fn rpc_status(status: &Status) -> pb::Status {
    pb::Status::decode(status.details()).unwrap()
}

/// The report of a failed bulk write.
#[track_caller]
pub fn report(status: &Status) -> BulkWriteReport {
    let details = rpc_status(status).details;
    let mut reports = details.iter().filter(|detail| {
        detail
            .type_url
            .ends_with("genesys.presence.v1.BulkWriteReport")
    });
    let report = reports.next();
    let report = report.unwrap_or_else(|| panic!("no BulkWriteReport in {status:?}"));
    BulkWriteReport::decode(report.value.as_slice()).unwrap()
}

/// Returns the status of a failed call; asserts its code and its reason.
#[track_caller]
pub fn expect_error<T: std::fmt::Debug>(
    result: Result<T, Status>,
    code: Code,
    reason: &str,
) -> Status {
    let status = result.expect_err("the call should fail");
    assert_well_formed(&status);
    let actual = status.get_details_error_info().unwrap().reason;
    assert_eq!(
        (status.code(), actual.as_str()),
        (code, reason),
        "{status:?}"
    );
    status
}

/// The field violations of an error.
pub fn violations(status: &Status) -> Vec<String> {
    let details = status.get_details_bad_request();
    let fields = details
        .map(|details| details.field_violations)
        .unwrap_or_default();
    fields
        .into_iter()
        .map(|violation| violation.field)
        .collect()
}

/// A value of the metadata of a status.
pub fn metadata<'a>(status: &'a Status, name: &str) -> Option<&'a str> {
    status
        .metadata()
        .get(name)
        .map(|value| value.to_str().unwrap())
}

/// A value of the metadata of the `ErrorInfo`.
pub fn info(status: &Status, key: &str) -> Option<String> {
    status.get_details_error_info()?.metadata.get(key).cloned()
}
