//! The five operations of `presence/sources`.

use serde_json::{Value, json};

use super::{Source, change};
use crate::api_error::ApiError;
use crate::bounds::{MAX_SOURCES, full};
use crate::ids;
use crate::operation::{HandlerResult, OperationRequest};
use crate::reply::Reply;
use crate::settings::RepeatedDelete;

/// `GET /api/v2/presence/sources`
pub(crate) fn list(call: &mut OperationRequest<'_>) -> HandlerResult {
    let deactivated = call.deactivated()?;
    let all = call.state.sources.0.iter();
    let entities: Vec<Value> = all
        .filter(|source| source.deactivated == deactivated)
        .map(view)
        .collect();
    Ok(Reply::ok(json!({
        "total": entities.len(),
        "entities": entities,
        "selfUri": "/api/v2/presence/sources",
    })))
}

/// `GET /api/v2/presence/sources/{sourceId}`
pub(crate) fn get(call: &mut OperationRequest<'_>) -> HandlerResult {
    let id = call.variable(0);
    Ok(Reply::ok(view(call.state.sources.find_or_404(id)?)))
}

/// `POST /api/v2/presence/sources`
pub(crate) fn create(call: &mut OperationRequest<'_>) -> HandlerResult {
    let body = call.body()?;
    let sources = &mut call.state.sources.0;
    if sources.len() >= MAX_SOURCES {
        return Err(full(MAX_SOURCES, "presence sources"));
    }
    let mut source = Source {
        id: ids::fresh(),
        name: String::new(),
        description: None,
        deactivated: false,
    };
    change(&mut source, &body)?;
    // A new source is active; the body cannot change that.
    source.deactivated = false;
    let answer = view(&source);
    sources.push(source);
    Ok(Reply::ok(answer))
}

/// `PUT /api/v2/presence/sources/{sourceId}`
pub(crate) fn update(call: &mut OperationRequest<'_>) -> HandlerResult {
    let (body, id) = (call.body()?, call.variable(0));
    let source = call.state.sources.find_or_404(id)?;
    change(source, &body)?;
    Ok(Reply::ok(view(source)))
}

/// `DELETE /api/v2/presence/sources/{sourceId}`
pub(crate) fn deactivate(call: &mut OperationRequest<'_>) -> HandlerResult {
    let id = call.variable(0);
    let source = call.state.sources.find_or_404(id)?;
    if source.deactivated && call.settings.repeated_delete == RepeatedDelete::Missing {
        return Err(ApiError::not_found("PresenceSource", id));
    }
    source.deactivated = true;
    Ok(Reply::no_content())
}

/// `Source`
fn view(source: &Source) -> Value {
    let mut view = json!({
        "id": source.id,
        "name": source.name,
        "type": "User",
        "deactivated": source.deactivated,
        "selfUri": format!("/api/v2/presence/sources/{}", source.id),
    });
    if let Some(description) = &source.description {
        view["description"] = json!(description);
    }
    view
}
