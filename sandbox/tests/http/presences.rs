//! One user's presence.

use serde_json::json;

use super::*;

fn path(user: &str, source: &str) -> String {
    format!("/api/v2/users/{user}/presences/{source}")
}

#[tokio::test]
async fn a_seeded_user_has_a_presence() {
    let served = sandbox().await;
    let presence = served.get(&path(FIRST, "purecloud")).await.json(200);
    assert_eq!(
        presence,
        json!({
            "source": "PURECLOUD",
            "sourceId": "PURECLOUD",
            "primary": true,
            "presenceDefinition": {
                "id": AVAILABLE,
                "systemPresence": "Available",
                "selfUri": format!("/api/v2/presencedefinitions/{AVAILABLE}"),
            },
            "message": "",
            "modifiedDate": "2026-01-01T00:00:00.000Z",
            "selfUri": format!("/api/v2/users/{FIRST}/presences"),
        })
    );
    assert_eq!(served.get(&path(LAST, "purecloud")).await.status, 200);
    let beyond = LAST.replace("0100", "0101");
    served
        .get(&path(&beyond, "purecloud"))
        .await
        .error(404, "not.found");
}

#[tokio::test]
async fn a_presence_is_patched_in_three_ways_and_in_combinations() {
    let served = sandbox().await;
    let path = path(FIRST, "purecloud");

    let queued = served
        .send(
            "PATCH",
            &path,
            json!({"presenceDefinition": {"id": ON_QUEUE}}),
        )
        .await;
    let queued = queued.json(200);
    assert_eq!(queued["presenceDefinition"]["systemPresence"], "On Queue");
    assert_eq!(queued["message"], "");
    assert_ne!(queued["modifiedDate"], "2026-01-01T00:00:00.000Z");

    let told = served
        .send(
            "PATCH",
            &path,
            json!({"message": "back at “12:30” \u{1f355}"}),
        )
        .await;
    let told = told.json(200);
    assert_eq!(
        told["presenceDefinition"], queued["presenceDefinition"],
        "it stays"
    );
    assert_eq!(told["message"], "back at “12:30” \u{1f355}");

    let all = json!({"primary": "true", "presenceDefinition": {"id": BUSY}, "message": "", "x": 1});
    let all = served.send("PATCH", &path, all).await.json(200);
    assert_eq!(
        (&all["message"], &all["primary"]),
        (&json!(""), &json!(true))
    );
    assert_eq!(all["presenceDefinition"]["id"], BUSY);
    assert_eq!(served.get(&path).await.json(200), all);
}

#[tokio::test]
async fn a_custom_source_has_a_presence_of_its_own_and_can_be_primary() {
    let served = sandbox().await;
    let (phone, cloud) = (path(FIRST, "My%20Phone"), path(FIRST, "PURECLOUD"));
    served.get(&phone).await.error(404, "not.found");
    let body = json!({"primary": true, "presenceDefinition": {"id": MEAL}});
    let patched = served.send("PATCH", &phone, body).await.json(200);
    assert_eq!(
        (&patched["sourceId"], &patched["primary"]),
        (&json!("My Phone"), &json!(true))
    );
    assert_eq!(served.get(&phone).await.json(200), patched);

    let other = served.get(&cloud).await.json(200);
    assert_eq!(other["presenceDefinition"]["id"], AVAILABLE);
    assert_eq!(other["primary"], false);
    let primary = served
        .get(&format!("/api/v2/presence/users/{FIRST}/primarysource"))
        .await;
    assert_eq!(primary.json(200)["sourceId"], "My Phone");

    served
        .send("PATCH", &cloud, json!({"primary": true}))
        .await
        .json(200);
    assert_eq!(served.get(&phone).await.json(200)["primary"], false);
}

#[tokio::test]
async fn a_registered_source_is_refused() {
    let served = sandbox().await;
    let made = served
        .send("POST", "/api/v2/presence/sources", json!({"name": "Door"}))
        .await;
    let id = made.json(200)["id"].as_str().unwrap().to_owned();
    let path = path(FIRST, &id);
    assert_eq!(served.get(&path).await.refused_field(), "sourceId");
    let patched = served.send("PATCH", &path, json!({"message": "x"})).await;
    assert_eq!(patched.refused_field(), "sourceId");
}

#[tokio::test]
async fn a_wrong_patch_is_refused_by_field_and_changes_nothing() {
    let served = sandbox().await;
    let path = path(FIRST, "purecloud");
    let before = served.get(&path).await.json(200);
    for (body, field) in [
        (
            json!({"presenceDefinition": {"id": "unknown"}}),
            "presenceDefinition.id",
        ),
        (
            json!({"presenceDefinition": {"systemPresence": "Busy"}}),
            "presenceDefinition.id",
        ),
        (
            json!({"presenceDefinition": BUSY, "message": "x"}),
            "presenceDefinition",
        ),
        (json!({"message": {"text": "x"}}), "message"),
        (json!({"message": "x", "primary": 1}), "primary"),
        (json!(["message"]), "body"),
    ] {
        let refused = served.send("PATCH", &path, body.clone()).await;
        assert_eq!(refused.refused_field(), field, "{body}");
    }
    assert_eq!(served.get(&path).await.json(200), before);
    let unknown = served
        .send(
            "PATCH",
            &path.replace(FIRST, "nobody"),
            json!({"message": "x"}),
        )
        .await;
    assert_eq!(unknown.error(404, "not.found")["entityId"], "nobody");
}

#[tokio::test]
async fn a_deactivated_definition_cannot_be_shown() {
    let served = sandbox().await;
    let labels = json!({"languageLabels": {"en_US": "Lunch"}, "systemPresence": "Meal"});
    let made = served
        .send("POST", "/api/v2/presence/definitions", labels)
        .await
        .json(200);
    let shown = json!({"presenceDefinition": {"id": made["id"]}});
    let path = path(FIRST, "purecloud");
    let seen = served.send("PATCH", &path, shown.clone()).await.json(200);
    assert_eq!(seen["presenceDefinition"]["systemPresence"], "Meal");
    served.delete(made["selfUri"].as_str().unwrap()).await;
    let refused = served.send("PATCH", &path, shown).await;
    assert_eq!(refused.refused_field(), "presenceDefinition.id");
}

#[tokio::test]
async fn a_user_has_sixteen_sources_at_most() {
    let served = sandbox().await;
    let ring = |source: String| {
        let (served, path) = (&served, path(FIRST, &source));
        async move {
            let body = json!({"message": "ring"});
            served.send("PATCH", &path, body).await
        }
    };
    for number in 1..16 {
        assert_eq!(ring(format!("phone-{number}")).await.status, 200);
    }
    let refused = ring("phone-16".to_owned()).await;
    let refused = refused.error(409, "general.conflict");
    assert!(refused["message"].as_str().unwrap().contains("16"));
    assert_eq!(ring("phone-15".to_owned()).await.status, 200);
    let long = ring("x".repeat(257)).await;
    assert_eq!(long.refused_field(), "sourceId");
}
