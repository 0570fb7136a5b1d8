//! Many users' presences.

use serde_json::json;

use super::*;

pub(super) const READ: &str = "/api/v2/users/presences/purecloud/bulk";
pub(super) const WRITE: &str = "/api/v2/users/presences/bulk";

#[tokio::test]
async fn a_bulk_read_names_the_users_and_leaves_out_who_is_not_there() {
    let sandbox = start().await;
    let ids = format!("{SECOND},nobody,{FIRST}");
    for source in ["purecloud", "PURECLOUD", "PureCloud"] {
        let path = format!("/api/v2/users/presences/{source}/bulk?id={ids}");
        let list = sandbox.get(&path).await.json(200);
        assert_eq!(each(&list, "userId"), [SECOND, FIRST]);
        assert_eq!(each(&list, "source"), ["PURECLOUD", "PURECLOUD"]);
        assert_eq!(list[1]["presenceDefinition"]["id"], AVAILABLE);
        assert_eq!(
            list[1]["selfUri"],
            format!("/api/v2/users/{FIRST}/presences")
        );
        assert_eq!(list[1].get("primary"), None);
    }
    let custom = format!("/api/v2/users/presences/Phone/bulk?id={ids}");
    assert_eq!(sandbox.get(&custom).await.json(200), json!([]));
    let phone = format!("/api/v2/users/{FIRST}/presences/Phone");
    sandbox
        .send_json("PATCH", &phone, json!({"message": "ring"}))
        .await
        .json(200);
    assert_eq!(
        each(&sandbox.get(&custom).await.json(200), "message"),
        ["ring"]
    );
}

#[tokio::test]
async fn a_bulk_read_accepts_every_encoding_of_its_ids() {
    let sandbox = start().await;
    for query in [
        format!("id={FIRST}%2C{SECOND}"),
        format!("id={FIRST},{SECOND}"),
        format!("id={FIRST}&id={SECOND}"),
        format!("id={FIRST},&id={SECOND}%2C{FIRST}&other=1"),
    ] {
        let list = sandbox.get(&format!("{READ}?{query}")).await.json(200);
        assert_eq!(each(&list, "userId"), [FIRST, SECOND], "{query}");
    }
    for query in ["", "?", "?id=", "?id=,"] {
        assert_eq!(
            sandbox.get(&format!("{READ}{query}")).await.json(200),
            json!([]),
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_bulk_read_accepts_at_most_fifty_ids() {
    let sandbox = start().await;
    let ids = |count: usize| -> String {
        let ids: Vec<String> = (1..=count).map(user_id).collect();
        ids.join(",")
    };
    let fifty = sandbox
        .get(&format!("{READ}?id={}", ids(50)))
        .await
        .json(200);
    assert_eq!(fifty.as_array().unwrap().len(), 50);
    let rejected = sandbox.get(&format!("{READ}?id={}", ids(51))).await;
    assert_eq!(rejected.rejected_field(), "id");
}

#[tokio::test]
async fn a_bulk_write_returns_presences_in_request_order() {
    let sandbox = start().await;
    let updates = json!([
        {"id": SECOND, "presenceDefinition": {"id": BUSY}, "source": "PURECLOUD", "message": "one"},
        {"id": FIRST, "presenceDefinition": {"id": MEAL}},
        {"id": SECOND, "message": "two"},
    ]);
    let list = sandbox.send_json("PUT", WRITE, updates).await.json(200);
    let uri = |user: &str| format!("/api/v2/users/{user}/presences");
    assert_eq!(
        each(&list, "selfUri"),
        [uri(SECOND), uri(FIRST), uri(SECOND)]
    );
    assert_eq!(each(&list, "message"), ["one", "", "two"]);
    assert_eq!(list[2]["presenceDefinition"]["id"], BUSY);
    let read = sandbox
        .get(&format!("/api/v2/users/{SECOND}/presences/purecloud"))
        .await
        .json(200);
    assert_eq!(read, list[2]);
    assert_eq!(
        sandbox.send_json("PUT", WRITE, json!([])).await.json(200),
        json!([])
    );
}

#[tokio::test]
async fn an_invalid_bulk_write_is_rejected_with_its_field() {
    let sandbox = start().await;
    let good = json!({"id": FIRST, "message": "x"});
    for (body, field) in [
        (json!({}), "body"),
        (json!([good, 5]), "[1]"),
        (json!([good, {"message": "x"}]), "[1].id"),
        (json!([good, {"id": "nobody"}]), "[1].id"),
        (json!([{"id": FIRST, "message": 5}]), "[0].message"),
        (
            json!([good, {"id": SECOND, "presenceDefinition": {"id": "none"}}]),
            "[1].presenceDefinition.id",
        ),
    ] {
        assert_eq!(
            sandbox
                .send_json("PUT", WRITE, body.clone())
                .await
                .rejected_field(),
            field,
            "{body}"
        );
    }
}

#[tokio::test]
async fn a_bulk_update_changes_the_source_that_it_names() {
    let sandbox = start().await;
    let updates = json!([
        {"id": FIRST, "sourceId": "Phone", "source": "PURECLOUD", "message": "one"},
        {"id": FIRST, "source": "purecloud", "message": "two"},
        {"id": FIRST, "source": "", "presenceDefinition": {"id": BUSY}},
    ]);
    let list = sandbox.send_json("PUT", WRITE, updates).await.json(200);
    assert_eq!(each(&list, "sourceId"), ["Phone", "PURECLOUD", "PURECLOUD"]);
    assert_eq!(each(&list, "message"), ["one", "two", "two"]);

    let sandbox = start_with(|args| args.custom_sources = "refused".into()).await;
    let made = sandbox
        .send_json("POST", "/api/v2/presence/sources", json!({"name": "Door"}))
        .await;
    let registered = made.json(200)["id"].clone();
    for source in [registered, json!("Phone")] {
        let update = json!([{"id": FIRST, "sourceId": source, "message": "x"}]);
        let rejected = sandbox.send_json("PUT", WRITE, update).await;
        assert_eq!(rejected.rejected_field(), "[0].sourceId");
    }
}

#[tokio::test]
async fn a_rejected_bulk_write_changes_no_user() {
    let sandbox = start().await;
    let path = |user: &str| format!("/api/v2/users/{user}/presences/purecloud");
    let before = [
        sandbox.get(&path(FIRST)).await.json(200),
        sandbox.get(&path(SECOND)).await.json(200),
    ];
    let updates = json!([
        {"id": FIRST, "message": "one"},
        {"id": SECOND, "presenceDefinition": {"id": BUSY}},
        {"id": FIRST, "sourceId": "Phone", "primary": true},
        {"id": FIRST, "message": "two"},
        {"id": "nobody", "message": "x"},
    ]);
    assert_eq!(sandbox.send_json("PUT", WRITE, updates).await.status, 400);
    let after = [
        sandbox.get(&path(FIRST)).await.json(200),
        sandbox.get(&path(SECOND)).await.json(200),
    ];
    assert_eq!(before, after);
    let phone = path(FIRST).replace("purecloud", "Phone");
    sandbox.get(&phone).await.error(404, "not.found");
}
