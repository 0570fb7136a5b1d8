//! Many users' presences: read and changed.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::{Change, source, view};
use crate::sandbox::refusal::Refusal;
use crate::sandbox::reply::Reply;
use crate::sandbox::routes::{Answer, Call};
use crate::sandbox::settings::BulkOrder;
use crate::sandbox::users::PURECLOUD;

/// How many ids a bulk read may name.
const MAX_IDS: usize = 50;

/// `GET /api/v2/users/presences/{sourceId}/bulk`, and that of PURECLOUD
pub(in crate::sandbox) fn get(call: &mut Call<'_>) -> Answer {
    let source = source(
        call.variable_or(0, PURECLOUD),
        call.settings,
        &call.state.sources,
    )?;
    let mut ids = call.query.list("id");
    if ids.len() > MAX_IDS {
        let message = format!(
            "At most {MAX_IDS} ids can be asked for at once, not {}.",
            ids.len()
        );
        return Err(Refusal::field("bad.request", "id", &message));
    }
    if ids.is_empty() && call.settings.bulk_without_ids_refused {
        return Err(Refusal::field(
            "bad.request",
            "id",
            "The parameter [id] is required.",
        ));
    }
    if !call.settings.bulk_answers_each {
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
            // A user who is not there is left out; an id that cannot be one is refused.
            Err(refusal) if refusal.is_not_found() => continue,
            Err(refusal) => return Err(refusal),
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
pub(in crate::sandbox) fn put(call: &mut Call<'_>) -> Answer {
    let updates = call.bodies(call.settings.bulk_write_limit)?;
    let mut changes = Vec::new();
    for (at, update) in updates.into_iter().enumerate() {
        match update.and_then(|update| checked(call, at, &update)) {
            Ok(change) => changes.push(change),
            Err(_) if call.settings.bulk_write_partial => {}
            Err(refusal) => return Err(refusal),
        }
    }
    let mut answers = Vec::new();
    for (user, change) in changes {
        let user = call.state.users.find(&user, call.settings)?;
        let presence = change.apply(user, PURECLOUD)?;
        answers.push(view(
            user,
            PURECLOUD,
            &presence,
            &call.state.definitions,
            call.settings,
        ));
    }
    Ok(Reply::ok(Value::Array(answers)))
}

/// One update of a bulk write: whose it is and what it asks for.
fn checked(
    call: &mut Call<'_>,
    at: usize,
    update: &Map<String, Value>,
) -> Result<(String, Change), Refusal> {
    let field = format!("[{at}].id");
    let Some(id) = update
        .get("id")
        .and_then(Value::as_str)
        .filter(|id| !id.is_empty())
    else {
        let message = format!("The field [{field}] is required: it is the user's id.");
        return Err(Refusal::field("constraint.validation", &field, &message));
    };
    if call.state.users.find(id, call.settings).is_err() {
        let message = format!("The user [{id}] does not exist.");
        return Err(Refusal::field("bad.request", &field, &message).about("User", id));
    }
    let change = Change::read(update, &call.state.definitions, &format!("[{at}]."))?;
    Ok((id.to_owned(), change))
}
