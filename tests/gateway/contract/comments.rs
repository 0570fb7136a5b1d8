//! The comments of the protos: what each RPC's has, and one for every field.

use super::protos::pairs;

#[test]
fn every_rpc_comment_has_the_operation_the_permissions_and_the_result() {
    for (operation, rpc) in pairs() {
        let comment = comment(rpc.parent_file().file_descriptor_proto(), rpc.path());
        let name = format!("Vendor operation: `{}`.", operation.operation);
        for part in [name.as_str(), "Permissions:", "Returns"] {
            assert!(
                comment.contains(part),
                "{} lacks `{part}`:\n{comment}",
                rpc.name()
            );
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
            let comment = comment(message.parent_file().file_descriptor_proto(), field.path());
            assert!(!comment.is_empty(), "{} has no comment", field.full_name());
        }
    }
}

/// Returns the comment at a path of a proto file.
fn comment(file: &prost_types::FileDescriptorProto, path: &[i32]) -> String {
    let locations = file.source_code_info.iter().flat_map(|info| &info.location);
    let found = locations.into_iter().find(|location| location.path == path);
    let comment = found
        .and_then(|location| location.leading_comments.clone())
        .unwrap_or_default();
    comment.split_whitespace().collect::<Vec<_>>().join(" ")
}
