//! What the tests of bulk calls share.

use axum::response::Response;
use serde_json::{Value, json};
use tonic::Code;

use crate::support::{Received, Vendor, reply};

/// The two bulk reads, and the path of each.
pub const READS: [(&str, &str); 2] = [
    ("GetUsersPresenceBulk", "/api/v2/users/presences/a%2Fb/bulk"),
    (READ, "/api/v2/users/presences/purecloud/bulk"),
];

/// The one that needs nothing besides the ids.
pub const READ: &str = "GetUsersPresencesPurecloudBulk";

/// A request of a bulk read, with the source that one of them needs.
pub fn read(rpc: &str, mut request: Value) -> Value {
    if rpc != READ {
        request["sourceId"] = json!("a/b");
    }
    request
}

/// Ids that are all different.
pub fn ids(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("user-{n}")).collect()
}

pub fn presence(id: &str) -> Value {
    json!({"userId": id, "selfUri": format!("/api/v2/users/{id}/presences/purecloud")})
}

/// The vendor's answer for all the ids of a request.
pub fn all(received: &Received) -> Response {
    let presences: Vec<Value> = received.ids().iter().map(|id| presence(id)).collect();
    reply(200, Value::Array(presences).to_string())
}

/// A vendor that answers at once.
pub async fn vendor(answer: impl Fn(&Received) -> Response + Send + Sync + 'static) -> Vendor {
    Vendor::start(move |received| {
        let answer = answer(&received);
        async { answer }
    })
    .await
}

pub fn with_correlation_id(mut response: Response, id: &str) -> Response {
    let headers = response.headers_mut();
    headers.insert("ININ-Correlation-Id", id.parse().unwrap());
    response
}

/// The texts of a list in the answer; a list that is not there is empty.
pub fn texts(list: &Value) -> Vec<&str> {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().map(|text| text.as_str().unwrap()).collect()
}

pub fn users(answer: &Value) -> Vec<&str> {
    let presences = answer["presences"].as_array().unwrap();
    let ids = presences.iter().map(|presence| &presence["userId"]);
    ids.map(|id| id.as_str().unwrap_or("")).collect()
}

/// A failure in an answer: the code, the reason, and the ids.
pub type Failed = (i64, String, Vec<String>);

pub fn failed(code: Code, reason: &str, ids: Vec<String>) -> Failed {
    (code as i64, reason.to_owned(), ids)
}

/// The failures in an answer.
pub fn failures(answer: &Value) -> Vec<Failed> {
    let failures = answer["failures"].as_array();
    let failures = failures.map(Vec::as_slice).unwrap_or_default();
    failures
        .iter()
        .map(|failure| {
            let status = &failure["status"];
            let ids = texts(&failure["ids"]).into_iter().map(str::to_owned);
            (
                status["code"].as_i64().unwrap(),
                status["details"][0]["reason"].as_str().unwrap().to_owned(),
                ids.collect(),
            )
        })
        .collect()
}
