//! Many users' presences.

use serde_json::json;

use super::*;

pub(super) const READ: &str = "/api/v2/users/presences/purecloud/bulk";
pub(super) const WRITE: &str = "/api/v2/users/presences/bulk";

#[tokio::test]
async fn a_bulk_read_names_the_users_and_leaves_out_who_is_not_there() {
    let served = sandbox().await;
    let ids = format!("{SECOND},nobody,{FIRST}");
    for source in ["purecloud", "PURECLOUD", "PureCloud"] {
        let path = format!("/api/v2/users/presences/{source}/bulk?id={ids}");
        let list = served.get(&path).await.json(200);
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
    assert_eq!(served.get(&custom).await.json(200), json!([]));
    let phone = format!("/api/v2/users/{FIRST}/presences/Phone");
    served
        .send("PATCH", &phone, json!({"message": "ring"}))
        .await
        .json(200);
    assert_eq!(
        each(&served.get(&custom).await.json(200), "message"),
        ["ring"]
    );
}

#[tokio::test]
async fn a_bulk_read_takes_every_encoding() {
    let served = sandbox().await;
    for query in [
        format!("id={FIRST}%2C{SECOND}"),
        format!("id={FIRST},{SECOND}"),
        format!("id={FIRST}&id={SECOND}"),
        format!("id={FIRST},&id={SECOND}%2C{FIRST}&other=1"),
    ] {
        let list = served.get(&format!("{READ}?{query}")).await.json(200);
        assert_eq!(each(&list, "userId"), [FIRST, SECOND], "{query}");
    }
    for query in ["", "?", "?id=", "?id=,"] {
        assert_eq!(
            served.get(&format!("{READ}{query}")).await.json(200),
            json!([]),
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_bulk_read_takes_fifty_ids_and_no_more() {
    let served = sandbox().await;
    let ids = |count: usize| -> String {
        let ids: Vec<String> = (1..=count).map(user_id).collect();
        ids.join(",")
    };
    let fifty = served
        .get(&format!("{READ}?id={}", ids(50)))
        .await
        .json(200);
    assert_eq!(fifty.as_array().unwrap().len(), 50);
    let refused = served.get(&format!("{READ}?id={}", ids(51))).await;
    assert_eq!(refused.refused_field(), "id");
}

#[tokio::test]
async fn a_bulk_write_answers_in_the_order_of_the_request() {
    let served = sandbox().await;
    let updates = json!([
        {"id": SECOND, "presenceDefinition": {"id": BUSY}, "source": "PURECLOUD", "message": "one"},
        {"id": FIRST, "presenceDefinition": {"id": MEAL}},
        {"id": SECOND, "message": "two"},
    ]);
    let list = served.send("PUT", WRITE, updates).await.json(200);
    let uri = |user: &str| format!("/api/v2/users/{user}/presences");
    assert_eq!(
        each(&list, "selfUri"),
        [uri(SECOND), uri(FIRST), uri(SECOND)]
    );
    assert_eq!(each(&list, "message"), ["one", "", "two"]);
    assert_eq!(list[2]["presenceDefinition"]["id"], BUSY);
    let read = served
        .get(&format!("/api/v2/users/{SECOND}/presences/purecloud"))
        .await
        .json(200);
    assert_eq!(read, list[2]);
    assert_eq!(
        served.send("PUT", WRITE, json!([])).await.json(200),
        json!([])
    );
}

#[tokio::test]
async fn a_wrong_bulk_write_is_refused_by_field() {
    let served = sandbox().await;
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
            served
                .send("PUT", WRITE, body.clone())
                .await
                .refused_field(),
            field,
            "{body}"
        );
    }
}

#[tokio::test]
async fn an_update_goes_to_the_source_that_it_names() {
    let served = sandbox().await;
    let updates = json!([
        {"id": FIRST, "sourceId": "Phone", "source": "PURECLOUD", "message": "one"},
        {"id": FIRST, "source": "purecloud", "message": "two"},
        {"id": FIRST, "source": "", "presenceDefinition": {"id": BUSY}},
    ]);
    let list = served.send("PUT", WRITE, updates).await.json(200);
    assert_eq!(each(&list, "sourceId"), ["Phone", "PURECLOUD", "PURECLOUD"]);
    assert_eq!(each(&list, "message"), ["one", "two", "two"]);

    let served = sandbox_with(|args| args.custom_sources = "refused".into()).await;
    let made = served
        .send("POST", "/api/v2/presence/sources", json!({"name": "Door"}))
        .await;
    let registered = made.json(200)["id"].clone();
    for source in [registered, json!("Phone")] {
        let update = json!([{"id": FIRST, "sourceId": source, "message": "x"}]);
        let refused = served.send("PUT", WRITE, update).await;
        assert_eq!(refused.refused_field(), "[0].sourceId");
    }
}

#[tokio::test]
async fn a_refused_bulk_write_leaves_everyone_as_they_were() {
    let served = sandbox().await;
    let path = |user: &str| format!("/api/v2/users/{user}/presences/purecloud");
    let before = [
        served.get(&path(FIRST)).await.json(200),
        served.get(&path(SECOND)).await.json(200),
    ];
    let updates = json!([
        {"id": FIRST, "message": "one"},
        {"id": SECOND, "presenceDefinition": {"id": BUSY}},
        {"id": FIRST, "sourceId": "Phone", "primary": true},
        {"id": FIRST, "message": "two"},
        {"id": "nobody", "message": "x"},
    ]);
    assert_eq!(served.send("PUT", WRITE, updates).await.status, 400);
    let after = [
        served.get(&path(FIRST)).await.json(200),
        served.get(&path(SECOND)).await.json(200),
    ];
    assert_eq!(before, after);
    let phone = path(FIRST).replace("purecloud", "Phone");
    served.get(&phone).await.error(404, "not.found");
}
