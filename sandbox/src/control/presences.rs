//! The control endpoints of presences, which a read of the simulated API shows one by
//! one, and a PATCH changes under the rules of misbehaviour.

use std::collections::HashMap;

use presence_gateway_args::parse_number;
use serde_json::{Value, json};

use super::{Answer, bad_request, not_found};
use crate::bounds::{MAX_PRESENCES, MAX_USERS};
use crate::date::date;
use crate::definitions::Definitions;
use crate::ids;
use crate::query::Query;
use crate::state::State;
use crate::users::{PURECLOUD, Presence, User};

/// How many presences are listed, unless the request has another limit.
const LISTED: usize = 100;

/// How much of a text is listed, in bytes. Messages and labels may be long.
const MAX_SHOWN: usize = 200;

/// Lists presences by user and source.
pub(super) fn list(state: &State, query: &Query) -> Answer {
    let limit = match query.one("limit") {
        None => LISTED,
        Some(raw) => parse_number(0..=MAX_USERS * MAX_PRESENCES)(raw)
            .map_err(|wrong| bad_request(format!("limit: `{raw}` {wrong}.")))?,
    };
    let wanted = query.one("contains").unwrap_or_default().to_lowercase();
    let (mut matching, mut listed) = (0, Vec::new());
    for (user, source, presence) in state.users.presences() {
        let name = state.definitions.name(&presence.definition);
        let texts = [&user.id, source, name.as_str(), &presence.message];
        if texts
            .iter()
            .any(|text| text.to_lowercase().contains(&wanted))
        {
            matching += 1;
            if listed.len() < limit {
                listed.push(view(user, source, presence, &state.definitions));
            }
        }
    }
    let definitions = state.definitions.active();
    let definitions: Vec<Value> = definitions
        .map(|(id, name, system)| json!({"id": id, "name": shown(&name), "systemPresence": system}))
        .collect();
    Ok(json!({
        "users": state.users.ids().count(),
        "matching": matching,
        "presences": listed,
        "definitions": definitions,
    }))
}

/// Sets a presence to a definition, as if the user had.
pub(super) fn set(state: &mut State, user: &str, source: &str, body: &str) -> Answer {
    let Some(definition) = state.definitions.named(body.trim()) else {
        let names: Vec<String> = state
            .definitions
            .active()
            .map(|(_, name, _)| name)
            .collect();
        return Err(bad_request(format!(
            "`{}` is neither the name nor the id of an active definition; there are {}.",
            shown(body.trim()),
            shown(&names.join(", "))
        )));
    };
    let is_purecloud = source.eq_ignore_ascii_case(PURECLOUD);
    let source = if is_purecloud { PURECLOUD } else { source };
    if state.users.define(user, source, &definition) {
        state.announce(user, source, &ids::fresh());
    }
    match state.users.get(user) {
        Some(user) => match user.presence(source) {
            Some(presence) => Ok(view(user, source, presence, &state.definitions)),
            None => Err(not_found(format!(
                "The user has no presence of the source `{source}`."
            ))),
        },
        None => Err(not_found(format!(
            "There is no user `{user}`; POST /sandbox/users adds one."
        ))),
    }
}

/// Sets presences of many users, as if they had: lines of a user's id and a definition.
/// Sets those before the first wrong line.
pub(super) fn set_many(state: &mut State, body: &str) -> Answer {
    let mut set = 0;
    // The definitions of earlier lines: a name is looked up in all labels.
    let mut known = HashMap::new();
    for (at, line) in body.lines().enumerate() {
        let wrong = |wrong: String| {
            let before = match set {
                0 => "Nothing was set.".to_owned(),
                set => format!("The {set} before it are set."),
            };
            bad_request(format!("Line {}: {wrong} {before}", at + 1))
        };
        let Some((user, name)) = line.trim().split_once(char::is_whitespace) else {
            let form =
                "A line has the id of a user, a space, and the name or the id of a definition.";
            return Err(wrong(form.to_owned()));
        };
        let definition = known
            .entry(name.trim())
            .or_insert_with_key(|name| state.definitions.named(name));
        let Some(definition) = definition else {
            return Err(wrong(format!(
                "`{}` is neither the name nor the id of an active definition.",
                shown(name.trim())
            )));
        };
        if !state.users.define(user, PURECLOUD, definition) {
            return Err(wrong(format!("There is no user `{}`.", shown(user))));
        }
        state.announce(user, PURECLOUD, &ids::fresh());
        set += 1;
    }
    Ok(json!({"set": set}))
}

fn view(user: &User, source: &str, presence: &Presence, definitions: &Definitions) -> Value {
    json!({
        "userId": user.id,
        "sourceId": source,
        "primary": user.primary_source == source,
        "definitionId": presence.definition,
        "name": shown(&definitions.name(&presence.definition)),
        "systemPresence": definitions.system_presence(&presence.definition),
        "message": shown(&presence.message),
        "modifiedDate": date(presence.modified),
    })
}

/// A text, cut if it is long.
fn shown(text: &str) -> String {
    let start = &text[..text.floor_char_boundary(MAX_SHOWN)];
    if start.len() < text.len() {
        format!("{start}…")
    } else {
        text.to_owned()
    }
}
