//! Fixtures for bulk calls: requests, vendor responses, and readers of results.

pub mod read_scenario;
pub mod write_scenario;

use std::ops::Range;

use axum::response::Response;
use serde_json::{Value, json};
use tonic::{Code, Status};

use crate::support::{ReceivedRequest, Vendor, reply};

/// The two bulk reads, and the path of each.
pub const READS: [(&str, &str); 2] = [
    ("GetUsersPresenceBulk", "/api/v2/users/presences/a%2Fb/bulk"),
    (READ, "/api/v2/users/presences/purecloud/bulk"),
];

/// The bulk read that needs only ids.
pub const READ: &str = "GetUsersPresencesPurecloudBulk";

/// Completes a bulk read request with the source id that one RPC needs.
pub fn read_request(rpc: &str, mut request: Value) -> Value {
    if rpc != READ {
        request["sourceId"] = json!("a/b");
    }
    request
}

/// Distinct ids.
pub fn ids(range: Range<usize>) -> Vec<String> {
    range.map(|n| format!("user-{n}")).collect()
}

pub fn presence(id: &str) -> Value {
    json!({"userId": id, "selfUri": format!("/api/v2/users/{id}/presences/purecloud")})
}

/// The vendor's response with a presence for each requested id.
pub fn all_presences(received: &ReceivedRequest) -> Response {
    let presences: Vec<Value> = received.ids().iter().map(|id| presence(id)).collect();
    reply(200, Value::Array(presences).to_string())
}

/// Starts a vendor that responds at once.
pub async fn start_vendor(
    respond: impl Fn(&ReceivedRequest) -> Response + Send + Sync + 'static,
) -> Vendor {
    Vendor::start(move |received| {
        let response = respond(&received);
        async { response }
    })
    .await
}

pub fn with_correlation_id(mut response: Response, id: &str) -> Response {
    let headers = response.headers_mut();
    headers.insert("ININ-Correlation-Id", id.parse().unwrap());
    response
}

/// The strings of a list; a missing list is empty.
pub fn strings(list: &Value) -> Vec<&str> {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().map(|text| text.as_str().unwrap()).collect()
}

/// The user ids of the presences in a response.
pub fn user_ids(response: &Value) -> Vec<&str> {
    let presences = response["presences"].as_array().unwrap();
    let ids = presences.iter().map(|presence| &presence["userId"]);
    ids.map(|id| id.as_str().unwrap_or("")).collect()
}

/// The bulk write.
pub const WRITE: &str = "PutUsersPresencesBulk";

/// Updates of distinct users.
pub fn updates(range: Range<usize>) -> Vec<Value> {
    range
        .map(|n| update(&format!("user-{n}"), &n.to_string()))
        .collect()
}

pub fn update(user: &str, message: &str) -> Value {
    json!({"id": user, "message": message})
}

/// The vendor's response to a bulk write; only the URIs hold the user ids.
pub fn applied_updates(received: &ReceivedRequest) -> Response {
    let updates = received.json();
    let presences = updates.as_array().unwrap().iter().map(|update| {
        let uri = format!("/api/v2/users/{}/presences", update["id"].as_str().unwrap());
        json!({"selfUri": uri, "message": update["message"]})
    });
    reply(200, Value::Array(presences.collect()).to_string())
}

/// The user of the first update in a batch.
pub fn first_user(received: &ReceivedRequest) -> String {
    received.json()[0]["id"].as_str().unwrap().to_owned()
}

/// The messages of the presences in a response.
pub fn messages(response: &Value) -> Vec<&str> {
    let presences = response["presences"].as_array();
    let presences = presences.map(Vec::as_slice).unwrap_or_default();
    let messages = presences
        .iter()
        .map(|presence| presence["message"].as_str());
    messages.map(Option::unwrap).collect()
}

/// The numbers of a range as strings.
pub fn numbers(range: Range<usize>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

/// The size of the message and the details of a status in HTTP/2 trailers:
/// percent-encoded and base64.
pub fn encoded_size(status: &Status) -> usize {
    let message = status.message().bytes();
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"#%<>`?{}".contains(&byte);
    let message = message.map(|byte| if is_plain(byte) { 1 } else { 3 });
    message.sum::<usize>() + status.details().len().div_ceil(3) * 4
}

/// A failure in a response: the code, the reason, and the ids.
pub type Failure = (i64, String, Vec<String>);

pub fn failure(code: Code, reason: &str, ids: Vec<String>) -> Failure {
    (code as i64, reason.to_owned(), ids)
}

/// The failures in a response.
pub fn failures(response: &Value) -> Vec<Failure> {
    let failures = response["failures"].as_array();
    let failures = failures.map(Vec::as_slice).unwrap_or_default();
    failures
        .iter()
        .map(|failure| {
            let status = &failure["status"];
            let ids = strings(&failure["ids"]).into_iter().map(str::to_owned);
            (
                status["code"].as_i64().unwrap(),
                status["details"][0]["reason"].as_str().unwrap().to_owned(),
                ids.collect(),
            )
        })
        .collect()
}
