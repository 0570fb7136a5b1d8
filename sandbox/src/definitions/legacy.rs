//! The deprecated operations of `presencedefinitions`.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::Definition;
use crate::date::date;
use crate::locale;
use crate::operation::{HandlerResult, OperationRequest};
use crate::reply::Reply;
use crate::seed;

/// The default page size.
const PAGE_SIZE: usize = 25;

/// `GET /api/v2/presencedefinitions`
pub(crate) fn list(call: &mut OperationRequest<'_>) -> HandlerResult {
    let number = call.positive("pageNumber", 1)?;
    let size = call.positive("pageSize", PAGE_SIZE)?;
    let deleted = match call.query.one("deleted") {
        None => Some(false),
        Some(all) if all.eq_ignore_ascii_case("all") => None,
        Some(_) => Some(call.flag("deleted", "TRUE, FALSE, ALL")?),
    };
    let (definitions, code) = (&call.state.definitions.0, locale(call));
    let wanted: Vec<&Definition> = definitions
        .iter()
        .filter(|definition| deleted.is_none_or(|deleted| definition.deactivated == deleted))
        .collect();
    let pages = wanted.len().div_ceil(size);
    let skipped = (number - 1).saturating_mul(size);
    let page = wanted.iter().skip(skipped).take(size);
    let entities: Vec<Value> = page.map(|definition| view(definition, code)).collect();

    let uri = |number: usize| page_uri(call, number, size);
    let mut listing = json!({
        "entities": entities,
        "pageSize": size,
        "pageNumber": number,
        "total": wanted.len(),
        "pageCount": pages,
        "firstUri": uri(1),
        "lastUri": uri(pages.max(1)),
        "selfUri": uri(number),
    });
    if number < pages {
        listing["nextUri"] = json!(uri(number + 1));
    }
    if number > 1 {
        listing["previousUri"] = json!(uri((number - 1).min(pages.max(1))));
    }
    Ok(Reply::ok(listing))
}

/// `GET /api/v2/presencedefinitions/{presenceId}`
pub(crate) fn get(call: &mut OperationRequest<'_>) -> HandlerResult {
    let definition = call.state.definitions.find_or_404(call.variable(0))?;
    Ok(Reply::ok(view(definition, locale(call))))
}

/// `POST /api/v2/presencedefinitions`
pub(crate) fn create(call: &mut OperationRequest<'_>) -> HandlerResult {
    let body = call.body()?;
    Ok(Reply::ok(view(
        call.state.definitions.create(&body)?,
        "ALL",
    )))
}

/// `PUT /api/v2/presencedefinitions/{presenceId}`
pub(crate) fn update(call: &mut OperationRequest<'_>) -> HandlerResult {
    let (body, id) = (call.body()?, call.variable(0));
    Ok(Reply::ok(view(
        call.state.definitions.update(id, &body)?,
        "ALL",
    )))
}

/// `OrganizationPresence`
fn view(definition: &Definition, locale: &str) -> Value {
    let id = &definition.id;
    let mut view = json!({
        "id": id,
        "languageLabels": locale::choose(&definition.labels, locale),
        "deactivated": definition.deactivated,
        "primary": definition.primary,
        "selfUri": format!("/api/v2/presencedefinitions/{id}"),
    });
    if let Some(name) = &definition.name {
        view["name"] = json!(name);
    }
    if let Some(presence) = definition.system_presence {
        view["systemPresence"] = json!(presence.spaced());
    }
    if !definition.system {
        // Tokens have no users here: the first user stands for all.
        let user = seed::user_id(1);
        let author = json!({"id": user, "selfUri": format!("/api/v2/users/{user}")});
        view["createdBy"] = author.clone();
        view["createdDate"] = json!(date(definition.created));
        view["modifiedBy"] = author;
        view["modifiedDate"] = json!(date(definition.modified));
    }
    view
}

/// The requested locale. The legacy operations document no values.
fn locale<'a>(call: &'a OperationRequest<'_>) -> &'a str {
    call.query
        .one("localeCode")
        .unwrap_or(&call.settings.default_locale)
}

/// The URI of another page of this listing.
fn page_uri(call: &OperationRequest<'_>, number: usize, size: usize) -> String {
    let mut uri = format!("/api/v2/presencedefinitions?pageSize={size}&pageNumber={number}");
    for name in ["deleted", "localeCode"] {
        if let Some(value) = call.query.one(name) {
            let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
            uri.extend(["&", name, "="].into_iter().chain(value));
        }
    }
    uri
}
