//! The table of the operations.

use super::api_error::ApiError;
use super::definitions::{current, legacy};
use super::notifications::operations::OPERATIONS as NOTIFICATIONS;
use super::operation::{Operation, Permissions};
use super::organization;
use super::presences::{self, bulk};
use super::query::decode;
use super::shape;
use super::sources::operations as sources;

use Permissions::{All, Any, None as Nothing};

const VIEW_DEFINITION: Permissions = All(&["presence:presenceDefinition:view"]);
const EDIT_DEFINITION: Permissions = All(&["presence:presenceDefinition:edit"]);
const ADD_DEFINITION: Permissions = All(&["presence:presenceDefinition:add"]);
const VIEW_SOURCE: Permissions = All(&["presence:source:view"]);
/// The vendor's page names none for a PATCH, but the vendor refuses to change another user without it.
const EDIT_PRESENCE: Permissions = Any(&["presence:userPresence:edit"]);

/// All operations of the presence API. If two templates match a path, the first one applies.
#[rustfmt::skip]
pub(super) const OPERATIONS: &[Operation] = &[
    Operation { name: "get_presence_definitions", method: "GET", template: "presence/definitions", permissions: VIEW_DEFINITION, body: None, run: current::list },
    Operation { name: "post_presence_definitions", method: "POST", template: "presence/definitions", permissions: ADD_DEFINITION, body: Some(shape::DEFINITION), run: current::create },
    Operation { name: "get_presence_definition", method: "GET", template: "presence/definitions/{}", permissions: VIEW_DEFINITION, body: None, run: current::get },
    Operation { name: "put_presence_definition", method: "PUT", template: "presence/definitions/{}", permissions: EDIT_DEFINITION, body: Some(shape::DEFINITION), run: current::update },
    Operation { name: "delete_presence_definition", method: "DELETE", template: "presence/definitions/{}", permissions: Any(&["presence:presenceDefinition:delete", "presence:presenceDefinition:edit"]), body: None, run: current::deactivate },
    Operation { name: "get_presencedefinitions", method: "GET", template: "presencedefinitions", permissions: Nothing, body: None, run: legacy::list },
    Operation { name: "post_presencedefinitions", method: "POST", template: "presencedefinitions", permissions: ADD_DEFINITION, body: Some(shape::DEFINITION), run: legacy::create },
    Operation { name: "get_presencedefinition", method: "GET", template: "presencedefinitions/{}", permissions: VIEW_DEFINITION, body: None, run: legacy::get },
    Operation { name: "put_presencedefinition", method: "PUT", template: "presencedefinitions/{}", permissions: EDIT_DEFINITION, body: Some(shape::DEFINITION), run: legacy::update },
    Operation { name: "delete_presencedefinition", method: "DELETE", template: "presencedefinitions/{}", permissions: All(&["presence:presenceDefinition:delete"]), body: None, run: current::deactivate },
    Operation { name: "get_systempresences", method: "GET", template: "systempresences", permissions: Nothing, body: None, run: current::system_presences },
    Operation { name: "get_presence_sources", method: "GET", template: "presence/sources", permissions: VIEW_SOURCE, body: None, run: sources::list },
    Operation { name: "post_presence_sources", method: "POST", template: "presence/sources", permissions: All(&["presence:source:add"]), body: Some(shape::SOURCE), run: sources::create },
    Operation { name: "get_presence_source", method: "GET", template: "presence/sources/{}", permissions: VIEW_SOURCE, body: None, run: sources::get },
    Operation { name: "put_presence_source", method: "PUT", template: "presence/sources/{}", permissions: All(&["presence:source:edit"]), body: Some(shape::SOURCE), run: sources::update },
    Operation { name: "delete_presence_source", method: "DELETE", template: "presence/sources/{}", permissions: Any(&["presence:source:delete", "presence:source:edit"]), body: None, run: sources::deactivate },
    Operation { name: "get_presence_settings", method: "GET", template: "presence/settings", permissions: All(&["presence:settings:view"]), body: None, run: organization::settings },
    Operation { name: "put_presence_settings", method: "PUT", template: "presence/settings", permissions: All(&["presence:settings:edit"]), body: Some(shape::PRESENCE_SETTINGS), run: organization::update_settings },
    Operation { name: "get_presence_user_primarysource", method: "GET", template: "presence/users/{}/primarysource", permissions: All(&["presence:userPrimarySource:view"]), body: None, run: organization::primary_source },
    Operation { name: "put_presence_user_primarysource", method: "PUT", template: "presence/users/{}/primarysource", permissions: All(&["presence:userPrimarySource:edit"]), body: Some(shape::PRIMARY_SOURCE), run: organization::update_primary_source },
    Operation { name: "put_users_presences_bulk", method: "PUT", template: "users/presences/bulk", permissions: EDIT_PRESENCE, body: Some(shape::USER_PRESENCE), run: bulk::put },
    Operation { name: "get_users_presences_purecloud_bulk", method: "GET", template: "users/presences/purecloud/bulk", permissions: Nothing, body: None, run: bulk::get },
    Operation { name: "get_users_presence_bulk", method: "GET", template: "users/presences/{}/bulk", permissions: Nothing, body: None, run: bulk::get },
    Operation { name: "get_user_presences_purecloud", method: "GET", template: "users/{}/presences/purecloud", permissions: Nothing, body: None, run: presences::get },
    Operation { name: "patch_user_presences_purecloud", method: "PATCH", template: "users/{}/presences/purecloud", permissions: EDIT_PRESENCE, body: Some(shape::USER_PRESENCE), run: presences::patch },
    Operation { name: "get_user_presence", method: "GET", template: "users/{}/presences/{}", permissions: Nothing, body: None, run: presences::get },
    Operation { name: "patch_user_presence", method: "PATCH", template: "users/{}/presences/{}", permissions: EDIT_PRESENCE, body: Some(shape::USER_PRESENCE), run: presences::patch },
];

/// Finds the operation of a request and its decoded path variables.
///
/// 404 for an unknown path, 405 for a wrong method.
pub(super) fn find(
    method: &str,
    path: &str,
) -> Result<(&'static Operation, Vec<String>), ApiError> {
    let segments: Option<Vec<&str>> = path
        .strip_prefix("/api/v2/")
        .map(|p| p.split('/').collect());
    let segments = segments.ok_or_else(|| ApiError::from_status(404))?;
    let fitting = || {
        OPERATIONS
            .iter()
            .chain(NOTIFICATIONS)
            .filter_map(|one| Some((one, matched(one.template, &segments)?)))
    };
    if let Some(found) = fitting().find(|(operation, _)| operation.method == method) {
        return Ok(found);
    }
    let mut allowed: Vec<&str> = fitting().map(|(operation, _)| operation.method).collect();
    if allowed.is_empty() {
        return Err(ApiError::from_status(404));
    }
    allowed.sort_unstable();
    allowed.dedup();
    Err(ApiError::from_status(405).header("allow", allowed.join(", ")))
}

/// The variables of a path that matches the template.
fn matched(template: &str, segments: &[&str]) -> Option<Vec<String>> {
    let parts: Vec<&str> = template.split('/').collect();
    if parts.len() != segments.len() {
        return None;
    }
    let mut variables = Vec::new();
    for (part, segment) in parts.iter().zip(segments) {
        match *part {
            "{}" if !segment.is_empty() => variables.push(decode(segment)),
            part if part == *segment => {}
            _ => return None,
        }
    }
    Some(variables)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn name(method: &str, path: &str) -> &'static str {
        find(method, path).unwrap().0.name
    }

    #[test]
    fn every_operation_is_found_by_its_path() {
        for operation in OPERATIONS.iter().chain(NOTIFICATIONS) {
            let path = format!("/api/v2/{}", operation.template.replace("{}", "x%2Fy"));
            let (found, variables) = find(operation.method, &path).unwrap();
            assert_eq!(found.name, operation.name);
            assert!(
                variables.iter().all(|variable| variable == "x/y"),
                "{variables:?}"
            );
        }
        let all = OPERATIONS.iter().chain(NOTIFICATIONS);
        let names: HashSet<&str> = all.map(|operation| operation.name).collect();
        assert_eq!(names.len(), OPERATIONS.len() + NOTIFICATIONS.len());
    }

    #[test]
    fn a_literal_segment_takes_precedence_over_a_variable() {
        let path = "/api/v2/users/presences/purecloud/bulk";
        assert_eq!(name("GET", path), "get_users_presences_purecloud_bulk");
        assert_eq!(
            name("GET", "/api/v2/users/presences/X/bulk"),
            "get_users_presence_bulk"
        );
        assert_eq!(
            name("GET", "/api/v2/users/u/presences/PURECLOUD"),
            "get_user_presence"
        );
        assert_eq!(
            name("GET", "/api/v2/users/u/presences/purecloud"),
            "get_user_presences_purecloud"
        );
    }
}
