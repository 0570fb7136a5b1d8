//! Presence definitions. The current and the legacy operations are two views of them.

pub(super) mod current;
pub(super) mod legacy;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::api_error::ApiError;
use super::bounds::{MAX_DEFINITIONS, MAX_ID, MAX_TEXT, check_length, full};
use super::ids;
use super::locale;
use super::seed::{self, SystemPresence};
use super::settings::RepeatedDelete;

/// The division id that stands for all divisions.
const ALL_DIVISIONS: &str = "*";

/// A presence definition.
#[derive(Debug, Clone)]
pub(super) struct Definition {
    id: String,
    name: Option<String>,
    labels: Map<String, Value>,
    system_presence: Option<SystemPresence>,
    division: String,
    deactivated: bool,
    /// Whether it is a default definition, which cannot be changed.
    system: bool,
    primary: bool,
    created: Timestamp,
    modified: Timestamp,
}

/// All definitions, in order of creation.
#[derive(Debug)]
pub(super) struct Definitions(Vec<Definition>);

impl Definitions {
    /// The default definitions.
    pub(super) fn seeded() -> Self {
        let system = seed::DEFAULTS.map(|(presence, id, labels)| Definition {
            id: id.to_owned(),
            name: None,
            labels: seed::labels(labels),
            system_presence: Some(presence),
            division: ALL_DIVISIONS.to_owned(),
            deactivated: false,
            system: true,
            primary: true,
            created: Timestamp::UNIX_EPOCH,
            modified: Timestamp::UNIX_EPOCH,
        });
        Self(system.into())
    }

    /// A definition as it appears in a user's presence.
    pub(super) fn shown(&self, id: &str) -> Value {
        let mut shown = json!({"id": id, "selfUri": format!("/api/v2/presencedefinitions/{id}")});
        let presence = self
            .get(id)
            .and_then(|definition| definition.system_presence);
        if let Some(presence) = presence {
            shown["systemPresence"] = json!(presence.spaced());
        }
        shown
    }

    /// The id of an active definition, or the error for an update that names it.
    pub(super) fn choose(&self, id: &str, field: &str) -> Result<String, ApiError> {
        let wrong = match self.get(id) {
            Some(definition) if !definition.deactivated => return Ok(definition.id.clone()),
            Some(_) => "is deactivated",
            None => "does not exist",
        };
        let message = format!("The presence definition [{id}] {wrong}.");
        Err(ApiError::field("bad.request", field, &message).about("PresenceDefinition", id))
    }

    /// The name of a definition: its label in English, else another one.
    pub(super) fn name(&self, id: &str) -> String {
        self.get(id)
            .map_or_else(|| id.to_owned(), Definition::label)
    }

    /// The system presence of a definition, if it has one.
    pub(super) fn system_presence(&self, id: &str) -> Option<&'static str> {
        Some(self.get(id)?.system_presence?.spaced())
    }

    /// The system presence of a definition in capitals, as in notifications.
    pub(super) fn upper_system_presence(&self, id: &str) -> Option<String> {
        Some(self.get(id)?.system_presence?.upper())
    }

    /// The id, the name and the system presence of each active definition.
    pub(super) fn active(&self) -> impl Iterator<Item = (&str, String, Option<&'static str>)> {
        let active = self.0.iter().filter(|definition| !definition.deactivated);
        active.map(|definition| {
            let presence = definition.system_presence.map(SystemPresence::spaced);
            (definition.id.as_str(), definition.label(), presence)
        })
    }

    /// The id of an active definition with this id or name, or of the system's own with
    /// this system presence in any spelling.
    pub(super) fn named(&self, text: &str) -> Option<String> {
        let presence = SystemPresence::read(text);
        let is_named = |definition: &&Definition| {
            definition.id.eq_ignore_ascii_case(text)
                || definition.label().eq_ignore_ascii_case(text)
                || definition.system && presence.is_some() && definition.system_presence == presence
        };
        let mut active = self.0.iter().filter(|definition| !definition.deactivated);
        active
            .find(is_named)
            .map(|definition| definition.id.clone())
    }

    fn get(&self, id: &str) -> Option<&Definition> {
        self.0
            .iter()
            .find(|definition| definition.id.eq_ignore_ascii_case(id))
    }

    fn find_or_404(&self, id: &str) -> Result<&Definition, ApiError> {
        self.get(id)
            .ok_or_else(|| ApiError::not_found("PresenceDefinition", id))
    }

    /// A definition that can be changed, or the error.
    fn find_changeable(&mut self, id: &str) -> Result<&mut Definition, ApiError> {
        let find_or_404 = self
            .0
            .iter_mut()
            .find(|definition| definition.id.eq_ignore_ascii_case(id));
        let definition =
            find_or_404.ok_or_else(|| ApiError::not_found("PresenceDefinition", id))?;
        if definition.system {
            let message = "A System presence definition can be neither changed nor deleted.";
            return Err(ApiError::new(400, "bad.request", message));
        }
        Ok(definition)
    }

    fn create(&mut self, body: &Map<String, Value>) -> Result<&Definition, ApiError> {
        if self.0.len() >= MAX_DEFINITIONS {
            return Err(full(MAX_DEFINITIONS, "presence definitions"));
        }
        let now = Timestamp::now();
        let mut definition = Definition {
            id: ids::fresh(),
            name: None,
            labels: Map::new(),
            system_presence: None,
            division: ALL_DIVISIONS.to_owned(),
            deactivated: false,
            system: false,
            primary: body.get("primary") == Some(&json!(true)),
            created: now,
            modified: now,
        };
        definition.change(body)?;
        // A new definition is active; the body cannot change that.
        definition.deactivated = false;
        self.0.push(definition);
        self.0.last().ok_or_else(|| ApiError::from_status(500))
    }

    fn update(&mut self, id: &str, body: &Map<String, Value>) -> Result<&Definition, ApiError> {
        let definition = self.find_changeable(id)?;
        definition.change(body)?;
        definition.modified = Timestamp::now();
        Ok(definition)
    }

    fn deactivate(&mut self, id: &str, again: RepeatedDelete) -> Result<(), ApiError> {
        let definition = self.find_changeable(id)?;
        if definition.deactivated && again == RepeatedDelete::Missing {
            return Err(ApiError::not_found("PresenceDefinition", id));
        }
        definition.deactivated = true;
        definition.modified = Timestamp::now();
        Ok(())
    }
}

impl Definition {
    /// Applies the fields that a body has. Changes nothing on an error.
    fn change(&mut self, body: &Map<String, Value>) -> Result<(), ApiError> {
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        let labels = body.get("languageLabels").and_then(Value::as_object);
        let Some(labels) = labels.filter(|labels| !labels.is_empty()) else {
            let message = "The field [languageLabels] needs at least one label.";
            return Err(ApiError::field(
                "constraint.validation",
                "languageLabels",
                message,
            ));
        };
        let length = |text: &Value| text.as_str().map_or(0, str::len);
        let labelled = labels
            .iter()
            .map(|(locale, label)| locale.len() + length(label));
        check_length("languageLabels", labelled.sum(), MAX_TEXT)?;
        check_length("name", text("name").map_or(0, str::len), MAX_TEXT)?;
        check_length("divisionId", text("divisionId").map_or(0, str::len), MAX_ID)?;
        // Clients send an empty text for an absent one.
        if let Some(name) = text("systemPresence").filter(|name| !name.is_empty()) {
            let requested = SystemPresence::read(name).ok_or_else(|| unknown_presence(name))?;
            if self
                .system_presence
                .is_some_and(|presence| presence != requested)
            {
                let message = "The field [systemPresence] cannot be changed.";
                return Err(ApiError::field("bad.request", "systemPresence", message));
            }
            self.system_presence = Some(requested);
        }
        self.labels.clone_from(labels);
        if let Some(name) = text("name") {
            self.name = Some(name.to_owned());
        }
        if let Some(division) = text("divisionId").filter(|id| !id.is_empty()) {
            division.clone_into(&mut self.division);
        }
        if let Some(deactivated) = body.get("deactivated").and_then(Value::as_bool) {
            self.deactivated = deactivated;
        }
        Ok(())
    }
}

impl Definition {
    /// Its label in English, else another one.
    fn label(&self) -> String {
        let label = locale::choose(&self.labels, "en_US").into_values().next();
        let label = label.as_ref().and_then(Value::as_str);
        label.unwrap_or(&self.id).to_owned()
    }
}

fn unknown_presence(name: &str) -> ApiError {
    let allowed: Vec<String> = seed::DEFAULTS
        .iter()
        .map(|(known, ..)| known.joined())
        .collect();
    let template =
        "Value [{value}] is not valid for field type [{type}]. Allowable values are: {allowed}";
    let params = [
        ("type", "SystemPresence"),
        ("allowed", &allowed.join(", ")),
        ("value", name),
    ];
    ApiError::templated(400, "invalid.value", template, &params)
        .detail("invalid.value", "systemPresence")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn the_system_presence_of_a_definition_is_immutable() {
        let mut definitions = Definitions::seeded();
        let labels = json!({"en_US": "Lunch"});
        let made = definitions
            .create(&body(&json!({"languageLabels": labels})))
            .unwrap()
            .id
            .clone();
        let meal = body(&json!({"languageLabels": labels, "systemPresence": "Meal"}));
        let away = body(&json!({"languageLabels": labels, "systemPresence": "Away"}));
        assert!(definitions.update(&made, &meal).is_ok());
        assert!(definitions.update(&made, &meal).is_ok());
        assert!(definitions.update(&made, &away).is_err());
        assert_eq!(definitions.shown(&made)["systemPresence"], "Meal");
    }

    #[test]
    fn the_number_of_definitions_is_limited() {
        let mut definitions = Definitions::seeded();
        let lunch = body(&json!({"languageLabels": {"en_US": "Lunch"}}));
        let made = (0..2000)
            .filter(|_| definitions.create(&lunch).is_ok())
            .count();
        assert_eq!(made, MAX_DEFINITIONS - seed::DEFAULTS.len());
    }
}
