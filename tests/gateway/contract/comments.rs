//! The comments of the protos: what each RPC's has, and one for every field.

use presence_gateway::proto::comments::paragraphs;
use prost_reflect::FileDescriptor;

use super::protos::pairs;

#[test]
fn every_rpc_comment_has_the_operation_the_permissions_and_the_result() {
    for (operation, rpc) in pairs() {
        let comment = comment(&rpc.parent_file(), rpc.path());
        let name = format!("Vendor operation: `{}`.", operation.operation);
        for part in [name.as_str(), "Permissions:", "Returns"] {
            assert!(
                comment.contains(part),
                "{} lacks `{part}`:\n{comment}",
                rpc.name()
            );
        }
        if let Some(permissions) = &operation.permissions {
            let mode = if permissions.mode == "ANY" {
                "any"
            } else {
                "all"
            };
            let mode = format!("Permissions: {mode} of ");
            assert!(comment.contains(&mode), "{} lacks `{mode}`", rpc.name());
        }
        for permission in operation.permissions.iter().flat_map(|p| &p.names) {
            assert!(
                comment.contains(permission.as_str()),
                "{}: {permission}",
                rpc.name()
            );
        }
    }
}

#[test]
fn every_field_has_a_comment() {
    let is_own = |package: &str| package == "genesys.presence.v1";
    let pool = presence_gateway::proto::pool();
    for message in pool
        .all_messages()
        .filter(|m| is_own(m.package_name()) && !m.is_map_entry())
    {
        for field in message.fields() {
            let comment = comment(&message.parent_file(), field.path());
            assert!(!comment.is_empty(), "{} has no comment", field.full_name());
        }
    }
}

/// Returns the comment at a path of a proto file, as one line.
fn comment(file: &FileDescriptor, path: &[i32]) -> String {
    paragraphs(file, path).join(" ")
}
