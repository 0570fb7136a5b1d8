//! The comments of the protos: what each RPC's has, and one for every field.

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

/// Returns the paragraphs of the comment at a path of a proto file, each as one line.
pub(super) fn paragraphs(file: &FileDescriptor, path: &[i32]) -> Vec<String> {
    let file = file.file_descriptor_proto();
    let locations = file.source_code_info.iter().flat_map(|info| &info.location);
    let found = locations.into_iter().find(|location| location.path == path);
    let comment = found.and_then(|location| location.leading_comments.as_deref());
    let paragraphs = comment.unwrap_or_default().split("\n\n");
    paragraphs
        .map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}
