//! Registered presence sources.

use serde_json::{Map, Value, json};

use super::bounds::{MAX_SOURCES, MAX_TEXT, check_length, full};
use super::identity;
use super::refusal::Refusal;
use super::reply::Reply;
use super::routes::{Answer, Call};
use super::settings::RepeatedDelete;

/// A registered presence source.
#[derive(Debug, Clone)]
struct Source {
    id: String,
    name: String,
    description: Option<String>,
    deactivated: bool,
}

/// Every registered source, in the order of creation.
#[derive(Debug, Default)]
pub(super) struct Sources(Vec<Source>);

impl Sources {
    /// Whether a source was registered, be it deactivated by now.
    pub(super) fn is_registered(&self, id: &str) -> bool {
        self.0
            .iter()
            .any(|source| source.id.eq_ignore_ascii_case(id))
    }

    /// Whether a source is registered and was not deactivated.
    pub(super) fn is_active(&self, id: &str) -> bool {
        self.0
            .iter()
            .any(|source| source.id.eq_ignore_ascii_case(id) && !source.deactivated)
    }

    fn found(&mut self, id: &str) -> Result<&mut Source, Refusal> {
        let found = self
            .0
            .iter_mut()
            .find(|source| source.id.eq_ignore_ascii_case(id));
        found.ok_or_else(|| Refusal::not_found("PresenceSource", id))
    }
}

/// `GET /api/v2/presence/sources`
pub(super) fn list(call: &mut Call<'_>) -> Answer {
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
pub(super) fn get(call: &mut Call<'_>) -> Answer {
    let id = call.variable(0);
    Ok(Reply::ok(view(call.state.sources.found(id)?)))
}

/// `POST /api/v2/presence/sources`
pub(super) fn create(call: &mut Call<'_>) -> Answer {
    let body = call.body()?;
    let sources = &mut call.state.sources.0;
    if sources.len() >= MAX_SOURCES {
        return Err(full(MAX_SOURCES, "presence sources"));
    }
    let mut source = Source {
        id: identity::fresh(),
        name: String::new(),
        description: None,
        deactivated: false,
    };
    change(&mut source, &body)?;
    // A source begins active, whatever the body says.
    source.deactivated = false;
    let answer = view(&source);
    sources.push(source);
    Ok(Reply::ok(answer))
}

/// `PUT /api/v2/presence/sources/{sourceId}`
pub(super) fn update(call: &mut Call<'_>) -> Answer {
    let (body, id) = (call.body()?, call.variable(0));
    let source = call.state.sources.found(id)?;
    change(source, &body)?;
    Ok(Reply::ok(view(source)))
}

/// `DELETE /api/v2/presence/sources/{sourceId}`
pub(super) fn deactivate(call: &mut Call<'_>) -> Answer {
    let id = call.variable(0);
    let source = call.state.sources.found(id)?;
    if source.deactivated && call.settings.repeated_delete == RepeatedDelete::Missing {
        return Err(Refusal::not_found("PresenceSource", id));
    }
    source.deactivated = true;
    Ok(Reply::no_content())
}

/// Takes over what a body says; what it does not say stays. Nothing changes when it is refused.
fn change(source: &mut Source, body: &Map<String, Value>) -> Result<(), Refusal> {
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let Some(name) = text("name").filter(|name| !name.is_empty()) else {
        let message = "The field [name] must not be empty.";
        return Err(Refusal::field("constraint.validation", "name", message));
    };
    check_length("name", name.len(), MAX_TEXT)?;
    let description = text("description");
    let length = description.as_ref().map_or(0, String::len);
    check_length("description", length, MAX_TEXT)?;
    source.name = name;
    source.description = description.or(source.description.take());
    if let Some(deactivated) = body.get("deactivated").and_then(Value::as_bool) {
        source.deactivated = deactivated;
    }
    Ok(())
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
