//! What a 403 tells: which permissions the operation needs.

use serde_json::json;
use tonic::Code;

use super::ask;
use crate::support::vendor_api::{api, rpc_name};
use crate::support::{Gateway, Vendor, expect_error, info, method, minimal_request};

#[tokio::test]
async fn a_403_names_the_permissions_of_its_operation() {
    let body = json!({"code": "missing.any.permissions", "message": "words", "status": 403});
    let vendor = Vendor::with_response(403, body.to_string()).await;
    let gateway = Gateway::start(&vendor).await;
    let mut with_permissions = 0;
    for operation in api().operations {
        let rpc = rpc_name(&operation);
        // The vendor's page is silent about the PATCHes.
        let needs = match (&operation.permissions, operation.method.as_str()) {
            (Some(needs), _) => Some((needs.names.join(","), needs.mode.as_str())),
            (None, "PATCH") => Some(("presence:userPresence:edit".to_owned(), "ALL")),
            (None, _) => None,
        };
        let request = minimal_request(&method(&rpc));
        let answer = ask(&gateway, &rpc, request).await;
        let status = expect_error(answer, Code::PermissionDenied, "MISSING_ANY_PERMISSIONS");
        let (names, mode) = needs.clone().unzip();
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
        with_permissions += usize::from(needs.is_some());
    }
    assert_eq!(
        with_permissions, 21,
        "19 by the vendor's page, and both PATCHes"
    );
}

#[tokio::test]
async fn no_other_status_names_permissions() {
    for status in [400, 401, 404, 500] {
        let vendor = Vendor::with_response(status, "").await;
        let gateway = Gateway::start(&vendor).await;
        let answer = ask(&gateway, "GetPresenceSettings", json!({})).await;
        let status = answer.unwrap_err();
        assert_eq!(info(&status, "required_permissions"), None, "{status:?}");
        assert!(!status.message().contains("needs"), "{}", status.message());
    }
}

#[tokio::test]
async fn a_403_without_a_body_names_them_too() {
    let vendor = Vendor::with_response(403, "").await;
    let gateway = Gateway::start(&vendor).await;
    let answer = ask(&gateway, "GetPresenceSettings", json!({})).await;
    let status = expect_error(answer, Code::PermissionDenied, "UPSTREAM_ERROR");
    let names = info(&status, "required_permissions");
    assert_eq!(names.as_deref(), Some("presence:settings:view"));
}
