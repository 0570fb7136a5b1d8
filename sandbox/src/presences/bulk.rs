//! Bulk reads and writes of presences.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Value, json};

use super::{Change, source, view};
use crate::api_error::ApiError;
use crate::operation::{HandlerResult, OperationRequest};
use crate::reply::Reply;
use crate::settings::{BulkOrder, BulkWrite, Duplicates, WithoutIds};
use crate::users::{PURECLOUD, User};

/// The most ids of a bulk read.
const MAX_IDS: usize = 50;

/// `GET /api/v2/users/presences/{sourceId}/bulk`, and that of PURECLOUD
pub(crate) fn get(call: &mut OperationRequest<'_>) -> HandlerResult {
    let source = source(call, call.variable_or(0, PURECLOUD), "sourceId")?;
    let mut ids = call.query.list("id");
    if ids.len() > MAX_IDS {
        let message = format!(
            "At most {MAX_IDS} ids can be asked for at once, not {}.",
            ids.len()
        );
        return Err(ApiError::field("bad.request", "id", &message));
    }
    if ids.is_empty() && call.settings.bulk_without_ids == WithoutIds::Refused {
        return Err(ApiError::field(
            "bad.request",
            "id",
            "The parameter [id] is required.",
        ));
    }
    if call.settings.bulk_duplicates == Duplicates::Once {
        let mut seen = HashSet::new();
        ids.retain(|id| seen.insert(id.to_ascii_lowercase()));
    }
    match call.settings.bulk_order {
        BulkOrder::Request => {}
        BulkOrder::Sorted => ids.sort_unstable(),
        BulkOrder::Reversed => ids.reverse(),
    }
    let mut found: Vec<Value> = Vec::new();
    for id in ids {
        let user = match call.state.users.find(id, call.settings) {
            Ok(user) => user,
            // A missing user is left out; a malformed id is refused.
            Err(api_error) if api_error.is_not_found() => continue,
            Err(api_error) => return Err(api_error),
        };
        if let Some(presence) = user.presence(&source) {
            let mut seen = view(
                user,
                &source,
                presence,
                &call.state.definitions,
                call.settings,
            );
            seen["userId"] = json!(user.id);
            if let Some(fields) = seen.as_object_mut() {
                fields.remove("primary");
            }
            found.push(seen);
        }
    }
    Ok(Reply::ok(Value::Array(found)))
}

/// `PUT /api/v2/users/presences/bulk`
pub(crate) fn put(call: &mut OperationRequest<'_>) -> HandlerResult {
    let updates = call.bodies(call.settings.bulk_write_limit)?;
    // The users before the write, each once, for the rollback.
    let mut before = BTreeMap::new();
    let (mut answers, mut news) = (Vec::new(), Vec::new());
    for (at, update) in updates.into_iter().enumerate() {
        match update.and_then(|update| write(call, at, &update)) {
            Ok(Written {
                user,
                answer,
                changed,
            }) => {
                news.extend(changed.map(|source| (user.id.clone(), source)));
                before.entry(user.id.clone()).or_insert(user);
                answers.push(answer);
            }
            Err(_) if call.settings.bulk_write == BulkWrite::Partial => {}
            Err(api_error) => {
                for user in before.into_values() {
                    call.state.users.put(user);
                }
                return Err(api_error);
            }
        }
    }
    for (user, source) in news {
        call.state.announce(&user, &source, call.correlation);
    }
    Ok(Reply::ok(Value::Array(answers)))
}

/// An update that was applied.
struct Written {
    /// The user before it.
    user: User,
    /// The element of the response.
    answer: Value,
    /// The source whose presence is announced, if it changed.
    changed: Option<String>,
}

/// Applies one update.
fn write(
    call: &mut OperationRequest<'_>,
    at: usize,
    update: &Map<String, Value>,
) -> Result<Written, ApiError> {
    let text = |name: &str| {
        let text = update.get(name).and_then(Value::as_str);
        text.filter(|text| !text.is_empty())
    };
    let field = format!("[{at}].id");
    let id = text("id").ok_or_else(|| {
        let message = format!("The field [{field}] is required: it is the user's id.");
        ApiError::field("constraint.validation", &field, &message)
    })?;
    let missing = |entity: &str, id: &str, field: &str| {
        let message = format!("The {entity} [{id}] does not exist.");
        ApiError::field("bad.request", field, &message).about(entity, id)
    };
    let before = match call.state.users.find(id, call.settings) {
        Ok(user) => user.clone(),
        Err(_) => return Err(missing("User", id, &field)),
    };
    let field = format!("[{at}].sourceId");
    let source_id = text("sourceId").or(text("source")).unwrap_or(PURECLOUD);
    let source = source(call, source_id, &field).map_err(|api_error| {
        let is_missing = api_error.is_not_found();
        if is_missing {
            missing("PresenceSource", source_id, &field)
        } else {
            api_error
        }
    })?;
    let change = Change::read(update, &call.state.definitions, &format!("[{at}]."))?;
    let mut user = before.clone();
    let changed = change.is_news(&user, &source).then(|| source.clone());
    let presence = change.apply(&mut user, &source)?;
    let definitions = &call.state.definitions;
    let answer = view(&user, &source, &presence, definitions, call.settings);
    call.state.users.keep(user)?;
    Ok(Written {
        user: before,
        answer,
        changed,
    })
}
