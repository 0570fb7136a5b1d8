//! Bulk writes: how updates are cut into requests, and the order of these.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tonic::Code;

use crate::support::bulk::{
    WRITE, applied_updates, first_user, messages, numbers, start_vendor, update, updates,
};
use crate::support::in_flight::{InFlight, wait_for};
use crate::support::{Gateway, Limits, ReceivedRequest, Vendor, expect_error, reply, violations};

/// The bodies that the vendor received, in the order of the updates.
fn bodies(vendor: &Vendor) -> Vec<Value> {
    let mut bodies: Vec<Value> = vendor
        .received()
        .iter()
        .map(ReceivedRequest::json)
        .collect();
    bodies.sort_by_key(|body| {
        body[0]["message"]
            .as_str()
            .unwrap()
            .parse::<usize>()
            .unwrap()
    });
    bodies
}

#[tokio::test]
async fn fifty_updates_are_one_request_and_a_batch_is_a_slice_of_the_list() {
    for (count, batches) in [
        (1, vec![updates(0..1)]),
        (50, vec![updates(0..50)]),
        (51, vec![updates(0..50), updates(50..51)]),
        (
            101,
            vec![updates(0..50), updates(50..100), updates(100..101)],
        ),
    ] {
        let vendor = start_vendor(applied_updates).await;
        let gateway = Gateway::start(&vendor).await;
        let request = json!({"body": updates(0..count), "allowPartialResults": count % 2 == 0});
        let answer = gateway.call(WRITE, request).await.unwrap();
        assert_eq!(messages(&answer), numbers(0..count));
        assert_eq!(answer["failures"], Value::Null);
        let batches: Vec<Value> = batches.into_iter().map(Value::Array).collect();
        assert_eq!(bodies(&vendor), batches);
        for received in vendor.received() {
            assert_eq!(received.path_and_query, "/api/v2/users/presences/bulk");
            assert_eq!(received.token(), "Bearer token");
        }
    }
}

#[tokio::test]
async fn an_empty_list_is_sent_once() {
    for partial in [false, true] {
        let vendor = Vendor::with_response(200, "[]").await;
        let gateway = Gateway::start(&vendor).await;
        let request = json!({"body": [], "allowPartialResults": partial});
        assert_eq!(gateway.call(WRITE, request).await.unwrap(), json!({}));
        assert_eq!(vendor.single_request().body, b"[]");
    }
}

#[tokio::test]
async fn presences_are_returned_unchanged_in_the_order_of_batches() {
    // Fewer presences than updates, and more; `null` is dropped.
    let vendor = start_vendor(|received| match first_user(received).as_str() {
        "user-0" => reply(200, r#"[{"message":"z"},null,{"id":"x"},{"message":"a"}]"#),
        "user-50" => reply(200, "[]"),
        _ => reply(200, json!([{"message": "1"}, {"message": "2"}]).to_string()),
    })
    .await;
    let gateway = Gateway::start(&vendor).await;
    let answer = gateway.call(WRITE, json!({"body": updates(0..101)})).await;
    let expected = json!([
        {"message": "z"}, {"id": "x"}, {"message": "a"}, {"message": "1"}, {"message": "2"},
    ]);
    assert_eq!(answer.unwrap(), json!({"presences": expected}));
}

#[tokio::test]
async fn a_second_update_of_a_user_starts_a_batch_that_waits_for_the_first() {
    for (users, cuts) in [
        (vec!["a", "b", "a", "b", "a", "b"], vec![2, 2, 2]),
        (vec!["a", "a", "A", "a"], vec![1, 1, 1, 1]),
        (vec!["a", "b", "A", "c", "b", "a"], vec![2, 3, 1]),
    ] {
        let flight = InFlight::default();
        let counted = flight.clone();
        let vendor = Vendor::start(move |received| {
            let held = counted.start_request();
            async move { held.respond(applied_updates(&received)) }
        })
        .await;
        let gateway = Gateway::start(&vendor).await;
        let list: Vec<Value> = users
            .iter()
            .enumerate()
            .map(|(n, user)| update(user, &n.to_string()))
            .collect();
        let answer = gateway.call(WRITE, json!({"body": list})).await.unwrap();
        assert_eq!(messages(&answer), numbers(0..users.len()));

        let received: Vec<Value> = vendor
            .received()
            .iter()
            .map(ReceivedRequest::json)
            .collect();
        let sizes: Vec<_> = received
            .iter()
            .map(|body| body.as_array().unwrap().len())
            .collect();
        assert_eq!(sizes, cuts, "{users:?}");
        let sent: Vec<Value> = received
            .into_iter()
            .flat_map(|b| b.as_array().unwrap().clone())
            .collect();
        assert_eq!(sent, list, "sent out of order");
        assert_eq!(
            flight.counts().peak,
            1,
            "two updates of one user at once: {users:?}"
        );
    }
}

#[tokio::test]
async fn a_batch_waits_only_for_the_batch_with_the_same_user() {
    // The second batch has other users; the third shares one with the first.
    let list = [updates(0..100), vec![update("USER-7", "100")]].concat();
    let (flight, events) = (InFlight::default(), Arc::new(Mutex::new(Vec::new())));
    let (counted, noted) = (flight.clone(), Arc::clone(&events));
    let vendor = Vendor::start(move |received| {
        let (flight, held, events) = (counted.clone(), counted.start_request(), Arc::clone(&noted));
        async move {
            let user = first_user(&received);
            events.lock().push(format!("{user} starts"));
            if user == "user-0" {
                let what = "the second batch is answered beside the first";
                flight.wait_until(what, |counts| counts.answered == 1).await;
            }
            events.lock().push(format!("{user} ends"));
            held.respond(applied_updates(&received))
        }
    })
    .await;
    let gateway = Gateway::start(&vendor).await;
    let answer = wait_for("the response", gateway.call(WRITE, json!({"body": list}))).await;
    assert_eq!(messages(&answer.unwrap()), numbers(0..101));
    let events = events.lock();
    let place = |event: &str| events.iter().position(|other| other == event).unwrap();
    assert!(place("user-50 ends") < place("user-0 ends"), "{events:?}");
    assert!(place("user-0 ends") < place("USER-7 starts"), "{events:?}");
}

/// Updates whose bodies have these sizes as JSON.
fn sized(sizes: &[usize]) -> Vec<Value> {
    let updates = sizes.iter().enumerate().map(|(n, &size)| {
        let user = format!("user-{n}");
        let bare = update(&user, "").to_string().len();
        update(&user, &"x".repeat(size - bare))
    });
    updates.collect()
}

#[tokio::test]
async fn a_batch_has_at_most_500_000_bytes() {
    for (sizes, expected) in [
        // Brackets and a comma are three bytes.
        (vec![250_000, 249_997], vec![500_000]),
        (vec![250_000, 249_998], vec![250_002, 250_000]),
        (vec![499_998, 40], vec![500_000, 42]),
        (vec![100_000; 11], vec![400_005, 400_005, 300_004]),
        // Larger than a batch, but within the vendor's limit: sent alone.
        (vec![40, 511_998, 40], vec![42, 512_000, 42]),
    ] {
        let vendor = Vendor::with_response(200, "[]").await;
        // Sequential, so that they arrive in order.
        let limits = Limits {
            concurrency: 1,
            ..Limits::default()
        };
        let gateway = Gateway::start_with(&vendor, limits).await;
        let list = sized(&sizes);
        gateway.call(WRITE, json!({"body": list})).await.unwrap();
        let received = vendor.received();
        let actual: Vec<_> = received
            .iter()
            .map(|received| received.body.len())
            .collect();
        assert_eq!(actual, expected, "{sizes:?}");
        let sent = received
            .iter()
            .flat_map(|r| r.json().as_array().unwrap().clone());
        assert!(
            sent.eq(list),
            "the vendor received other updates: {sizes:?}"
        );
    }
}

#[tokio::test]
async fn an_update_over_the_vendors_size_limit_is_reported_and_nothing_is_sent() {
    let vendor = Vendor::with_response(200, "[]").await;
    let gateway = Gateway::start(&vendor).await;
    let request = json!({"body": sized(&[40, 511_999]), "allowPartialResults": true});
    let answer = gateway.call(WRITE, request).await;
    let status = expect_error(answer, Code::InvalidArgument, "INVALID_REQUEST");
    assert_eq!(violations(&status), ["body[1]"]);
    for part in ["511999", "511998"] {
        assert!(status.message().contains(part), "{}", status.message());
    }
    assert!(vendor.received().is_empty(), "a request was sent");
}

#[tokio::test]
async fn an_update_without_a_user_is_reported_and_nothing_is_sent() {
    let vendor = Vendor::with_response(200, "[]").await;
    let gateway = Gateway::start(&vendor).await;
    // Also if the batch before is valid.
    let mut list = updates(0..70);
    list[52] = json!({"message": "for whom?"});
    list[60] = update("", "");
    list[69] = update(&"x".repeat(257), "");
    let request = json!({"body": list, "allowPartialResults": true});
    let answer = gateway.call(WRITE, request).await;
    let status = expect_error(answer, Code::InvalidArgument, "INVALID_REQUEST");
    assert_eq!(
        violations(&status),
        ["body[52].id", "body[60].id", "body[69].id"]
    );
    assert!(vendor.received().is_empty(), "a request was sent");

    let longest = json!({"body": [update(&"x".repeat(256), "")]});
    gateway.call(WRITE, longest).await.unwrap();
}

#[tokio::test]
async fn the_limit_of_updates_is_accepted_and_one_more_is_rejected_unsent() {
    let vendor = start_vendor(applied_updates).await;
    let limits = Limits {
        max_ids: 60,
        ..Limits::default()
    };
    let gateway = Gateway::start_with(&vendor, limits).await;
    let answer = gateway.call(WRITE, json!({"body": updates(0..60)})).await;
    assert_eq!(messages(&answer.unwrap()), numbers(0..60));
    let sent = vendor.received().len();

    let request = json!({"body": updates(0..61), "allowPartialResults": true});
    let status = expect_error(
        gateway.call(WRITE, request).await,
        Code::InvalidArgument,
        "INVALID_REQUEST",
    );
    assert_eq!(violations(&status), ["body"]);
    for part in ["60", "61", "--max-bulk-ids"] {
        assert!(status.message().contains(part), "{}", status.message());
    }
    assert_eq!(vendor.received().len(), sent, "a request was sent");
}
