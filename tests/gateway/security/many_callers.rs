//! Concurrent callers never see data of another caller.

use futures_util::future::join_all;
use serde_json::{Value, json};
use tonic::Status;

use crate::support::{Gateway, ReceivedRequest, Vendor, metadata, reply};

const CALLERS: usize = 50;
const CALLS: usize = 40;

/// The text by which the vendor marks its responses to a token.
fn mark(token: &str) -> String {
    token.replace("Bearer token-of-", "mark-of-")
}

/// A vendor that answers each token with its mark, out of order.
async fn vendor() -> Vendor {
    Vendor::start(async |received: ReceivedRequest| {
        let mark = mark(received.token());
        let size = received.path_and_query.len() + received.body.len();
        for _ in 0..size % 7 {
            tokio::task::yield_now().await;
        }
        let path = received.path();
        let body = if path.ends_with("/bulk") && received.method == "GET" {
            let ids = received.ids();
            ids.iter()
                .map(|id| json!({"userId": id, "message": mark}))
                .collect::<Value>()
        } else if path.ends_with("/bulk") {
            let updates = received.json();
            let ids = updates
                .as_array()
                .unwrap()
                .iter()
                .map(|update| &update["id"]);
            ids.map(|id| json!({"id": id, "message": mark}))
                .collect::<Value>()
        } else if path.contains("refuse") {
            let body = json!({"code": "some.code", "message": mark, "contextId": mark});
            let mut response = reply(400, body.to_string());
            response
                .headers_mut()
                .insert("inin-correlation-id", mark.parse().unwrap());
            return response;
        } else {
            let user = path.split('/').nth(4).unwrap();
            json!({"id": user, "message": mark})
        };
        let mut response = reply(200, body.to_string());
        response
            .headers_mut()
            .insert("inin-correlation-id", mark.parse().unwrap());
        response
    })
    .await
}

/// Makes the calls of one caller, in turn a read, a bulk read, a bulk write and
/// a call that fails.
async fn make_calls(gateway: Gateway, caller: usize) {
    let token = format!("Bearer token-of-{caller:03}");
    let mark = mark(&token);
    let metadata_ = [
        ("authorization", token.as_str()),
        ("grpc-previous-rpc-attempts", "1"),
    ];
    let users: Vec<String> = (0..52).map(|n| format!("user-{n}")).collect();
    let check = |presence: &Value, user: &str, id: &str| {
        assert_eq!(
            (&presence["message"], &presence[id]),
            (&json!(mark), &json!(user)),
            "{presence}"
        );
    };
    for call in 0..CALLS {
        let user = &users[call];
        let (rpc, request) = match call % 4 {
            0 => ("GetUserPresencesPurecloud", json!({"userId": user})),
            1 => ("GetUsersPresencesPurecloudBulk", json!({"id": users})),
            2 => {
                let body: Vec<_> = users.iter().map(|id| json!({"id": id})).collect();
                ("PutUsersPresencesBulk", json!({"body": body}))
            }
            _ => (
                "PatchUserPresencesPurecloud",
                json!({"userId": "refuse", "body": {}}),
            ),
        };
        match gateway.call_with_metadata(rpc, request, &metadata_).await {
            Ok(response) => {
                let correlation_id = response.metadata.get("inin-correlation-id").unwrap();
                assert_eq!(correlation_id.to_str().unwrap(), mark);
                match response.json["presences"].as_array() {
                    None => check(&response.json, user, "id"),
                    Some(presences) => {
                        let id = if call % 4 == 1 { "userId" } else { "id" };
                        assert_eq!(presences.len(), users.len());
                        for (presence, user) in presences.iter().zip(&users) {
                            check(presence, user, id);
                        }
                    }
                }
            }
            Err(status) => check_error(call, &status, &mark),
        }
    }
}

fn check_error(call: usize, status: &Status, mark: &str) {
    assert_eq!(call % 4, 3, "{status:?}");
    assert_eq!(status.message(), mark);
    assert_eq!(metadata(status, "inin-correlation-id"), Some(mark));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_on_one_connection_see_only_their_own_responses() {
    let vendor = vendor().await;
    let gateway = Gateway::start(&vendor).await;
    let callers = (0..CALLERS).map(|caller| tokio::spawn(make_calls(gateway.clone(), caller)));
    for caller in join_all(callers).await {
        caller.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_on_separate_connections_see_only_their_own_responses() {
    let vendor = vendor().await;
    let gateway = Gateway::start(&vendor).await;
    let callers = (0..CALLERS).map(|caller| {
        let address = gateway.address;
        tokio::spawn(async move { make_calls(Gateway::connect(address).await, caller).await })
    });
    for caller in join_all(callers).await {
        caller.unwrap();
    }
}
