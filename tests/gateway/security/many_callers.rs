//! Many callers at once, of whom none sees anything of another's.

use futures_util::future::join_all;
use serde_json::{Value, json};
use tonic::Status;

use crate::support::{Gateway, ReceivedRequest, Vendor, metadata, reply};

const CALLERS: usize = 50;
const CALLS: usize = 40;

/// The vendor's name for a caller, which it makes of the token.
fn mark(token: &str) -> String {
    token.replace("Bearer token-of-", "mark-of-")
}

/// A vendor that answers each token with its mark, in its own time and order.
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
            let mut answer = reply(400, body.to_string());
            answer
                .headers_mut()
                .insert("inin-correlation-id", mark.parse().unwrap());
            return answer;
        } else {
            let user = path.split('/').nth(4).unwrap();
            json!({"id": user, "message": mark})
        };
        let mut answer = reply(200, body.to_string());
        answer
            .headers_mut()
            .insert("inin-correlation-id", mark.parse().unwrap());
        answer
    })
    .await
}

/// Makes the calls of one caller, each of another kind than the one before.
async fn calls(gateway: Gateway, caller: usize) {
    let token = format!("Bearer token-of-{caller:03}");
    let mark = mark(&token);
    let metadata_ = [
        ("authorization", token.as_str()),
        ("grpc-previous-rpc-attempts", "1"),
    ];
    let users: Vec<String> = (0..52).map(|n| format!("user-{n}")).collect();
    let check = |what: &Value, user: &str, id: &str| {
        assert_eq!(
            (&what["message"], &what[id]),
            (&json!(mark), &json!(user)),
            "{what}"
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
            Ok(answer) => {
                let correlation_id = answer.metadata.get("inin-correlation-id").unwrap();
                assert_eq!(correlation_id.to_str().unwrap(), mark);
                match answer.json["presences"].as_array() {
                    None => check(&answer.json, user, "id"),
                    Some(presences) => {
                        let id = if call % 4 == 1 { "userId" } else { "id" };
                        assert_eq!(presences.len(), users.len());
                        for (presence, user) in presences.iter().zip(&users) {
                            check(presence, user, id);
                        }
                    }
                }
            }
            Err(status) => check_refusal(call, &status, &mark),
        }
    }
}

fn check_refusal(call: usize, status: &Status, mark: &str) {
    assert_eq!(call % 4, 3, "{status:?}");
    assert_eq!(status.message(), mark);
    assert_eq!(metadata(status, "inin-correlation-id"), Some(mark));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_on_one_connection_see_their_own_answers_alone() {
    let vendor = vendor().await;
    let gateway = Gateway::start(&vendor).await;
    let callers = (0..CALLERS).map(|caller| tokio::spawn(calls(gateway.clone(), caller)));
    for caller in join_all(callers).await {
        caller.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_on_connections_of_their_own_do_too() {
    let vendor = vendor().await;
    let gateway = Gateway::start(&vendor).await;
    let callers = (0..CALLERS).map(|caller| {
        let address = gateway.address;
        tokio::spawn(async move { calls(Gateway::connect(address).await, caller).await })
    });
    for caller in join_all(callers).await {
        caller.unwrap();
    }
}
