//! Each setting of the bulk operations takes effect.

use serde_json::json;

use super::assumptions::presence;
use super::bulk::{READ, WRITE};
use super::*;

#[tokio::test]
async fn the_bulk_order_setting_orders_the_reply() {
    let query = format!("{READ}?id={SECOND},{LAST},{FIRST}");
    for (order, expected) in [
        ("request", [SECOND, LAST, FIRST]),
        ("sorted", [FIRST, SECOND, LAST]),
        ("reversed", [FIRST, LAST, SECOND]),
    ] {
        let sandbox = start_with(|args| args.bulk_order = order.into()).await;
        assert_eq!(
            each(&sandbox.get(&query).await.json(200), "userId"),
            expected,
            "{order}"
        );
    }
}

#[tokio::test]
async fn a_repeated_id_is_returned_once_or_each_time() {
    let query = format!("{READ}?id={FIRST},{SECOND},{FIRST}");
    for (duplicates, expected) in [("once", 2), ("each", 3)] {
        let sandbox = start_with(|args| args.bulk_duplicates = duplicates.into()).await;
        let list = sandbox.get(&query).await.json(200);
        assert_eq!(list.as_array().unwrap().len(), expected, "{duplicates}");
    }
}

#[tokio::test]
async fn a_bulk_read_without_ids_is_rejected_if_set() {
    let sandbox = start_with(|args| args.bulk_without_ids = "refused".into()).await;
    assert_eq!(sandbox.get(READ).await.rejected_field(), "id");
    assert_eq!(
        sandbox.get(&format!("{READ}?id=")).await.rejected_field(),
        "id"
    );
}

#[tokio::test]
async fn a_bulk_write_is_atomic_or_partial() {
    let updates = json!([
        {"id": FIRST, "message": "applied"},
        {"id": "nobody", "message": "x"},
        {"id": SECOND, "presenceDefinition": {"id": "none"}},
        {"id": SECOND, "message": 5},
    ]);
    let sandbox = start().await;
    sandbox
        .send_json("PUT", WRITE, updates.clone())
        .await
        .error(400, "bad.request");
    assert_eq!(sandbox.get(&presence(FIRST)).await.json(200)["message"], "");

    let sandbox = start_with(|args| args.bulk_write = "partial".into()).await;
    let list = sandbox.send_json("PUT", WRITE, updates).await.json(200);
    assert_eq!(each(&list, "message"), ["applied"]);
    assert_eq!(
        sandbox.get(&presence(FIRST)).await.json(200)["message"],
        "applied"
    );
}

#[tokio::test]
async fn the_bulk_write_limit_setting_bounds_a_bulk_write() {
    let updates = |count: usize| vec![json!({"id": FIRST, "message": "x"}); count].into();
    let sandbox = start().await;
    assert_eq!(
        sandbox.send_json("PUT", WRITE, updates(50)).await.status,
        200
    );
    assert_eq!(
        sandbox
            .send_json("PUT", WRITE, updates(51))
            .await
            .rejected_field(),
        "body"
    );
    let sandbox = start_with(|args| args.bulk_write_limit = "2".into()).await;
    assert_eq!(
        sandbox.send_json("PUT", WRITE, updates(2)).await.status,
        200
    );
    assert_eq!(
        sandbox
            .send_json("PUT", WRITE, updates(3))
            .await
            .rejected_field(),
        "body"
    );
}
