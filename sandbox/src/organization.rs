//! The organization's presence settings, and each user's primary source.

use serde_json::{Value, json};

use super::api_error::ApiError;
use super::operation::{HandlerResult, OperationRequest};
use super::reply::Reply;
use super::users::{PURECLOUD, User};

/// `GET /api/v2/presence/settings`
#[allow(clippy::unnecessary_wraps, reason = "every operation answers alike")]
pub(super) fn settings(call: &mut OperationRequest<'_>) -> HandlerResult {
    Ok(Reply::ok(call.state.organization.clone()))
}

/// `PUT /api/v2/presence/settings`
pub(super) fn update_settings(call: &mut OperationRequest<'_>) -> HandlerResult {
    let body = call.body()?;
    for (name, value) in body {
        // The path identifies the settings; the body cannot change that.
        if name != "id" {
            call.state.organization[name] = value;
        }
    }
    settings(call)
}

/// `GET /api/v2/presence/users/{userId}/primarysource`
pub(super) fn primary_source(call: &mut OperationRequest<'_>) -> HandlerResult {
    let id = call.variable(0);
    let user = call.state.users.find(id, call.settings)?;
    let registered = call.state.sources.is_registered(&user.primary_source);
    Ok(Reply::ok(view(user, registered)))
}

/// `PUT /api/v2/presence/users/{userId}/primarysource`
pub(super) fn update_primary_source(call: &mut OperationRequest<'_>) -> HandlerResult {
    let (body, id) = (call.body()?, call.variable(0));
    let source_id = body
        .get("sourceId")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let user = call.state.users.find(id, call.settings)?;
    let registered = call.state.sources.is_active(source_id);
    if source_id.eq_ignore_ascii_case(PURECLOUD) {
        PURECLOUD.clone_into(&mut user.primary_source);
    } else if registered || user.presence(source_id).is_some() {
        source_id.clone_into(&mut user.primary_source);
    } else {
        let message = format!("The presence source [{source_id}] does not exist.");
        return Err(
            ApiError::field("bad.request", "sourceId", &message).about("PresenceSource", source_id)
        );
    }
    Ok(Reply::ok(view(user, registered)))
}

/// `UserPrimarySource`
fn view(user: &User, registered: bool) -> Value {
    let id = &user.id;
    json!({
        "id": id,
        "sourceId": user.primary_source,
        "registered": registered,
        "selfUri": format!("/api/v2/presence/users/{id}/primarysource"),
    })
}
