//! Each setting about bulk calls is honoured.

use serde_json::json;

use super::assumptions::presence;
use super::bulk::{READ, WRITE};
use super::*;

#[tokio::test]
async fn the_order_of_a_bulk_answer_can_be_set() {
    let query = format!("{READ}?id={SECOND},{LAST},{FIRST}");
    for (order, expected) in [
        ("request", [SECOND, LAST, FIRST]),
        ("sorted", [FIRST, SECOND, LAST]),
        ("reversed", [FIRST, LAST, SECOND]),
    ] {
        let served = sandbox_with(|args| args.bulk_order = order.into()).await;
        assert_eq!(
            each(&served.get(&query).await.json(200), "userId"),
            expected,
            "{order}"
        );
    }
}

#[tokio::test]
async fn repeated_ids_can_be_answered_each_time() {
    let query = format!("{READ}?id={FIRST},{SECOND},{FIRST}");
    for (duplicates, expected) in [("once", 2), ("each", 3)] {
        let served = sandbox_with(|args| args.bulk_duplicates = duplicates.into()).await;
        let list = served.get(&query).await.json(200);
        assert_eq!(list.as_array().unwrap().len(), expected, "{duplicates}");
    }
}

#[tokio::test]
async fn a_bulk_read_without_ids_can_be_refused() {
    let served = sandbox_with(|args| args.bulk_without_ids = "refused".into()).await;
    assert_eq!(served.get(READ).await.refused_field(), "id");
    assert_eq!(
        served.get(&format!("{READ}?id=")).await.refused_field(),
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
    let served = sandbox().await;
    served
        .send("PUT", WRITE, updates.clone())
        .await
        .error(400, "bad.request");
    assert_eq!(served.get(&presence(FIRST)).await.json(200)["message"], "");

    let served = sandbox_with(|args| args.bulk_write = "partial".into()).await;
    let list = served.send("PUT", WRITE, updates).await.json(200);
    assert_eq!(each(&list, "message"), ["applied"]);
    assert_eq!(
        served.get(&presence(FIRST)).await.json(200)["message"],
        "applied"
    );
}

#[tokio::test]
async fn the_length_of_a_bulk_write_can_be_set() {
    let updates = |count: usize| vec![json!({"id": FIRST, "message": "x"}); count].into();
    let served = sandbox().await;
    assert_eq!(served.send("PUT", WRITE, updates(50)).await.status, 200);
    assert_eq!(
        served.send("PUT", WRITE, updates(51)).await.refused_field(),
        "body"
    );
    let served = sandbox_with(|args| args.bulk_write_limit = "2".into()).await;
    assert_eq!(served.send("PUT", WRITE, updates(2)).await.status, 200);
    assert_eq!(
        served.send("PUT", WRITE, updates(3)).await.refused_field(),
        "body"
    );
}
