//! The required permissions in the error of a 403.

use serde_json::json;
use tonic::Code;

use super::call_once;
use crate::support::vendor_api::{api, rpc_name};
use crate::support::{Gateway, Vendor, expect_error, info, method, minimal_request};

#[tokio::test]
async fn a_403_names_the_permissions_of_its_operation() {
    let body = json!({"code": "missing.any.permissions", "message": "words", "status": 403});
    let vendor = Vendor::with_response(403, body.to_string()).await;
    let gateway = Gateway::start(&vendor).await;
    for operation in api().operations {
        let rpc = rpc_name(&operation);
        // The vendor's page lists no permissions for the PATCHes.
        let required = match (&operation.permissions, operation.method.as_str()) {
            (Some(required), _) => Some((required.names.join(","), required.mode.as_str())),
            (None, "PATCH") => Some(("presence:userPresence:edit".to_owned(), "ALL")),
            (None, _) => None,
        };
        let request = minimal_request(&method(&rpc));
        let answer = call_once(&gateway, &rpc, request).await;
        let status = expect_error(answer, Code::PermissionDenied, "MISSING_ANY_PERMISSIONS");
        let (names, mode) = required.unzip();
        assert_eq!(info(&status, "required_permissions"), names, "{rpc}");
        assert_eq!(
            info(&status, "required_permissions_mode").as_deref(),
            mode,
            "{rpc}"
        );
        assert!(status.message().contains("words"), "{}", status.message());
        for name in names.iter().flat_map(|names| names.split(',')) {
            assert!(
                status.message().contains(name),
                "{rpc}: {}",
                status.message()
            );
        }
    }
}

#[tokio::test]
async fn other_statuses_name_no_permissions() {
    for status in [400, 401, 404, 500] {
        let vendor = Vendor::with_response(status, "").await;
        let gateway = Gateway::start(&vendor).await;
        let answer = call_once(&gateway, "GetPresenceSettings", json!({})).await;
        let status = answer.unwrap_err();
        assert_eq!(info(&status, "required_permissions"), None, "{status:?}");
        assert!(!status.message().contains("needs"), "{}", status.message());
    }
}

#[tokio::test]
async fn a_403_without_a_body_names_the_permissions() {
    let vendor = Vendor::with_response(403, "").await;
    let gateway = Gateway::start(&vendor).await;
    let answer = call_once(&gateway, "GetPresenceSettings", json!({})).await;
    let status = expect_error(answer, Code::PermissionDenied, "UPSTREAM_ERROR");
    let names = info(&status, "required_permissions");
    assert_eq!(names.as_deref(), Some("presence:settings:view"));
}
