//! The five operations of `presence/definitions`, and the list of system presences.

use serde_json::{Value, json};

use super::{ALL_DIVISIONS, Definition};
use crate::api_error::ApiError;
use crate::locale;
use crate::operation::{HandlerResult, OperationRequest};
use crate::reply::Reply;
use crate::seed;

/// `GET /api/v2/systempresences`
#[allow(clippy::unnecessary_wraps, reason = "every operation answers alike")]
pub(crate) fn system_presences(_: &mut OperationRequest<'_>) -> HandlerResult {
    let all = seed::DEFAULTS.iter().map(|(presence, ..)| presence.upper());
    Ok(Reply::ok(
        all.map(|name| json!({"id": name, "name": name})).collect(),
    ))
}

/// `GET /api/v2/presence/definitions`
pub(crate) fn list(call: &mut OperationRequest<'_>) -> HandlerResult {
    let locale = locale(call)?;
    let deactivated = call.deactivated()?;
    let divisions = call.query.list("divisionId");
    let in_division = |definition: &Definition| {
        let is_theirs = |division: &&str| [ALL_DIVISIONS, &definition.division].contains(division);
        divisions.is_empty()
            || definition.division == ALL_DIVISIONS
            || divisions.iter().any(is_theirs)
    };
    let all = call.state.definitions.0.iter();
    let entities: Vec<Value> = all
        .filter(|definition| definition.deactivated == deactivated && in_division(definition))
        .map(|definition| view(definition, &locale))
        .collect();
    Ok(Reply::ok(json!({
        "total": entities.len(),
        "entities": entities,
        "selfUri": "/api/v2/presence/definitions",
    })))
}

/// `GET /api/v2/presence/definitions/{definitionId}`
pub(crate) fn get(call: &mut OperationRequest<'_>) -> HandlerResult {
    let locale = locale(call)?;
    let definition = call.state.definitions.find_or_404(call.variable(0))?;
    Ok(Reply::ok(view(definition, &locale)))
}

/// `POST /api/v2/presence/definitions`
pub(crate) fn create(call: &mut OperationRequest<'_>) -> HandlerResult {
    let body = call.body()?;
    let definition = call.state.definitions.create(&body)?;
    Ok(Reply::ok(view(definition, "ALL")).with_status(call.settings.created_status as u16))
}

/// `PUT /api/v2/presence/definitions/{definitionId}`
pub(crate) fn update(call: &mut OperationRequest<'_>) -> HandlerResult {
    let (body, id) = (call.body()?, call.variable(0));
    Ok(Reply::ok(view(
        call.state.definitions.update(id, &body)?,
        "ALL",
    )))
}

/// `DELETE /api/v2/presence/definitions/{definitionId}`, and the legacy one beside it
pub(crate) fn deactivate(call: &mut OperationRequest<'_>) -> HandlerResult {
    let id = call.variable(0);
    call.state
        .definitions
        .deactivate(id, call.settings.repeated_delete)?;
    Ok(Reply::no_content())
}

/// `OrganizationPresenceDefinition`
fn view(definition: &Definition, locale: &str) -> Value {
    let id = &definition.id;
    let mut view = json!({
        "id": id,
        "type": if definition.system { "System" } else { "User" },
        "languageLabels": locale::choose(&definition.labels, locale),
        "divisionId": definition.division,
        "deactivated": definition.deactivated,
        "selfUri": format!("/api/v2/presence/definitions/{id}"),
    });
    if let Some(name) = &definition.name {
        view["name"] = json!(name);
    }
    if let Some(presence) = definition.system_presence {
        view["systemPresence"] = json!(presence.joined());
    }
    view
}

/// The requested locale, which must be a documented one.
fn locale(call: &OperationRequest<'_>) -> Result<String, ApiError> {
    match call.query.one("localeCode") {
        Some(code) if !locale::is_known(code) => Err(ApiError::parameter_value(
            "localeCode",
            code,
            &locale::CODES.join(", "),
        )),
        Some(code) => Ok(code.to_owned()),
        None => Ok(call.settings.default_locale.clone()),
    }
}
