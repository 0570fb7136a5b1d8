//! The registered presence sources.

pub(super) mod operations;

use serde_json::{Map, Value};

use super::api_error::ApiError;
use super::bounds::{MAX_TEXT, check_length};

/// A registered presence source.
#[derive(Debug, Clone)]
struct Source {
    id: String,
    name: String,
    description: Option<String>,
    deactivated: bool,
}

/// All registered sources, in order of creation.
#[derive(Debug, Default)]
pub(super) struct Sources(Vec<Source>);

impl Sources {
    /// Whether a source is registered, active or not.
    pub(super) fn is_registered(&self, id: &str) -> bool {
        self.0
            .iter()
            .any(|source| source.id.eq_ignore_ascii_case(id))
    }

    /// Whether a source is registered and active.
    pub(super) fn is_active(&self, id: &str) -> bool {
        self.0
            .iter()
            .any(|source| source.id.eq_ignore_ascii_case(id) && !source.deactivated)
    }

    fn find_or_404(&mut self, id: &str) -> Result<&mut Source, ApiError> {
        let find_or_404 = self
            .0
            .iter_mut()
            .find(|source| source.id.eq_ignore_ascii_case(id));
        find_or_404.ok_or_else(|| ApiError::not_found("PresenceSource", id))
    }
}

/// Applies the fields that a body has. Changes nothing on an error.
fn change(source: &mut Source, body: &Map<String, Value>) -> Result<(), ApiError> {
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let Some(name) = text("name").filter(|name| !name.is_empty()) else {
        let message = "The field [name] must not be empty.";
        return Err(ApiError::field("constraint.validation", "name", message));
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
