//! Reads and writes of one user's presence.

pub(super) mod bulk;

use serde_json::{Map, Value, json};

use super::api_error::ApiError;
use super::bounds::{MAX_ID, check_length};
use super::date::date;
use super::definitions::Definitions;
use super::operation::{HandlerResult, OperationRequest};
use super::reply::Reply;
use super::settings::{PresenceFields, Settings, Tolerance};
use super::users::{PURECLOUD, Presence, User};

/// `GET /api/v2/users/{userId}/presences/{sourceId}`, and that of PURECLOUD
pub(super) fn get(call: &mut OperationRequest<'_>) -> HandlerResult {
    let source = source(call, call.variable_or(1, PURECLOUD), "sourceId")?;
    let user = call.state.users.find(call.variable(0), call.settings)?;
    let presence = user
        .presence(&source)
        .ok_or_else(|| ApiError::not_found("UserPresence", &source))?;
    let definitions = &call.state.definitions;
    Ok(Reply::ok(view(
        user,
        &source,
        presence,
        definitions,
        call.settings,
    )))
}

/// `PATCH /api/v2/users/{userId}/presences/{sourceId}`, and that of PURECLOUD
pub(super) fn patch(call: &mut OperationRequest<'_>) -> HandlerResult {
    let body = call.body()?;
    let source = source(call, call.variable_or(1, PURECLOUD), "sourceId")?;
    if call.settings.empty_patch == Tolerance::Refused && !changes_something(&body) {
        let message = "One of primary, presenceDefinition and message is needed.";
        return Err(ApiError::new(400, "bad.request", message));
    }
    let change = Change::read(&body, &call.state.definitions, "")?;
    let mut user = call
        .state
        .users
        .find(call.variable(0), call.settings)?
        .clone();
    let is_news = change.is_news(&user, &source);
    let presence = change.apply(&mut user, &source)?;
    let definitions = &call.state.definitions;
    let seen = view(&user, &source, &presence, definitions, call.settings);
    let id = user.id.clone();
    call.state.users.keep(user)?;
    if is_news {
        call.state.announce(&id, &source, call.correlation);
    }
    Ok(Reply::ok(seen))
}

/// A checked update: primary, definition and message, each optional.
struct Change {
    primary: bool,
    definition: Option<String>,
    message: Option<String>,
}

impl Change {
    fn read(body: &Map<String, Value>, known: &Definitions, at: &str) -> Result<Self, ApiError> {
        let definition = body
            .get("presenceDefinition")
            .and_then(|definition| definition["id"].as_str());
        let field = format!("{at}presenceDefinition.id");
        Ok(Self {
            primary: body.get("primary") == Some(&json!(true)),
            definition: definition.map(|id| known.choose(id, &field)).transpose()?,
            message: body
                .get("message")
                .and_then(Value::as_str)
                .map(str::to_owned),
        })
    }

    /// Whether the update of a user is announced.
    fn is_news(&self, user: &User, source: &str) -> bool {
        let changes_primary = self.primary && user.primary_source != source;
        changes_primary || self.definition.is_some() || self.message.is_some()
    }

    /// Applies the update. The first one creates a custom source.
    fn apply(self, user: &mut User, source: &str) -> Result<Presence, ApiError> {
        let shown = user.presence(source).or_else(|| user.presence(PURECLOUD));
        let mut presence = shown
            .cloned()
            .ok_or_else(|| ApiError::not_found("User", &user.id))?;
        if self.definition.is_some() || self.message.is_some() {
            presence.touch();
        }
        if let Some(definition) = self.definition {
            presence.definition = definition;
        }
        if let Some(message) = self.message {
            presence.message = message;
        }
        user.show(source, presence.clone())?;
        if self.primary {
            source.clone_into(&mut user.primary_source);
        }
        Ok(presence)
    }
}

fn changes_something(body: &Map<String, Value>) -> bool {
    body.get("primary") == Some(&json!(true))
        || ["presenceDefinition", "message"]
            .iter()
            .any(|name| body.contains_key(*name))
}

/// The source in the path: PURECLOUD in any case, or a custom one.
fn source(call: &OperationRequest<'_>, id: &str, field: &str) -> Result<String, ApiError> {
    if id.eq_ignore_ascii_case(PURECLOUD) {
        return Ok(PURECLOUD.to_owned());
    }
    if call.state.sources.is_registered(id) {
        let message = "This endpoint does not support registered presence sources.";
        return Err(ApiError::field("bad.request", field, message).about("PresenceSource", id));
    }
    if call.settings.custom_sources == Tolerance::Refused {
        return Err(ApiError::not_found("PresenceSource", id));
    }
    check_length(field, id.len(), MAX_ID)?;
    Ok(id.to_owned())
}

/// `UserPresence`
fn view(
    user: &User,
    source: &str,
    presence: &Presence,
    definitions: &Definitions,
    settings: &Settings,
) -> Value {
    let mut view = json!({
        "source": source,
        "presenceDefinition": definitions.shown(&presence.definition),
        "message": presence.message,
        "modifiedDate": date(presence.modified),
        "selfUri": format!("/api/v2/users/{}/presences", user.id),
    });
    if settings.presence_fields == PresenceFields::Full {
        view["sourceId"] = json!(source);
        view["primary"] = json!(user.primary_source == source);
    }
    view
}
