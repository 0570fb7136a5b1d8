//! The presence of one user.

use serde_json::json;

use super::*;

fn path(user: &str, source: &str) -> String {
    format!("/api/v2/users/{user}/presences/{source}")
}

#[tokio::test]
async fn a_seeded_user_has_a_presence() {
    let sandbox = start().await;
    let presence = sandbox.get(&path(FIRST, "purecloud")).await.json(200);
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
    assert_eq!(sandbox.get(&path(LAST, "purecloud")).await.status, 200);
    let beyond = LAST.replace("0100", "0101");
    sandbox
        .get(&path(&beyond, "purecloud"))
        .await
        .error(404, "not.found");
}

#[tokio::test]
async fn a_patch_changes_only_the_fields_that_it_has() {
    let sandbox = start().await;
    let path = path(FIRST, "purecloud");

    let queued = sandbox
        .send_json(
            "PATCH",
            &path,
            json!({"presenceDefinition": {"id": ON_QUEUE}}),
        )
        .await;
    let queued = queued.json(200);
    assert_eq!(queued["presenceDefinition"]["systemPresence"], "On Queue");
    assert_eq!(queued["message"], "");
    assert_ne!(queued["modifiedDate"], "2026-01-01T00:00:00.000Z");

    let patched = sandbox
        .send_json(
            "PATCH",
            &path,
            json!({"message": "back at “12:30” \u{1f355}"}),
        )
        .await;
    let patched = patched.json(200);
    assert_eq!(
        patched["presenceDefinition"], queued["presenceDefinition"],
        "a missing field stays unchanged"
    );
    assert_eq!(patched["message"], "back at “12:30” \u{1f355}");

    let all = json!({"primary": "true", "presenceDefinition": {"id": BUSY}, "message": "", "x": 1});
    let all = sandbox.send_json("PATCH", &path, all).await.json(200);
    assert_eq!(
        (&all["message"], &all["primary"]),
        (&json!(""), &json!(true))
    );
    assert_eq!(all["presenceDefinition"]["id"], BUSY);
    assert_eq!(sandbox.get(&path).await.json(200), all);
}

#[tokio::test]
async fn a_custom_source_has_its_own_presence_and_can_be_primary() {
    let sandbox = start().await;
    let (phone, cloud) = (path(FIRST, "My%20Phone"), path(FIRST, "PURECLOUD"));
    sandbox.get(&phone).await.error(404, "not.found");
    let body = json!({"primary": true, "presenceDefinition": {"id": MEAL}});
    let patched = sandbox.send_json("PATCH", &phone, body).await.json(200);
    assert_eq!(
        (&patched["sourceId"], &patched["primary"]),
        (&json!("My Phone"), &json!(true))
    );
    assert_eq!(sandbox.get(&phone).await.json(200), patched);

    let other = sandbox.get(&cloud).await.json(200);
    assert_eq!(other["presenceDefinition"]["id"], AVAILABLE);
    assert_eq!(other["primary"], false);
    let primary = sandbox
        .get(&format!("/api/v2/presence/users/{FIRST}/primarysource"))
        .await;
    assert_eq!(primary.json(200)["sourceId"], "My Phone");

    sandbox
        .send_json("PATCH", &cloud, json!({"primary": true}))
        .await
        .json(200);
    assert_eq!(sandbox.get(&phone).await.json(200)["primary"], false);
}

#[tokio::test]
async fn a_presence_of_a_registered_source_is_rejected() {
    let sandbox = start().await;
    let made = sandbox
        .send_json("POST", "/api/v2/presence/sources", json!({"name": "Door"}))
        .await;
    let id = made.json(200)["id"].as_str().unwrap().to_owned();
    let path = path(FIRST, &id);
    assert_eq!(sandbox.get(&path).await.rejected_field(), "sourceId");
    let patched = sandbox
        .send_json("PATCH", &path, json!({"message": "x"}))
        .await;
    assert_eq!(patched.rejected_field(), "sourceId");
}

#[tokio::test]
async fn an_invalid_patch_is_rejected_with_its_field_and_changes_nothing() {
    let sandbox = start().await;
    let path = path(FIRST, "purecloud");
    let before = sandbox.get(&path).await.json(200);
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
        let rejected = sandbox.send_json("PATCH", &path, body.clone()).await;
        assert_eq!(rejected.rejected_field(), field, "{body}");
    }
    assert_eq!(sandbox.get(&path).await.json(200), before);
    let unknown = sandbox
        .send_json(
            "PATCH",
            &path.replace(FIRST, "nobody"),
            json!({"message": "x"}),
        )
        .await;
    assert_eq!(unknown.error(404, "not.found")["entityId"], "nobody");
}

#[tokio::test]
async fn a_deactivated_definition_cannot_be_selected() {
    let sandbox = start().await;
    let labels = json!({"languageLabels": {"en_US": "Lunch"}, "systemPresence": "Meal"});
    let made = sandbox
        .send_json("POST", "/api/v2/presence/definitions", labels)
        .await
        .json(200);
    let shown = json!({"presenceDefinition": {"id": made["id"]}});
    let path = path(FIRST, "purecloud");
    let seen = sandbox
        .send_json("PATCH", &path, shown.clone())
        .await
        .json(200);
    assert_eq!(seen["presenceDefinition"]["systemPresence"], "Meal");
    sandbox.delete(made["selfUri"].as_str().unwrap()).await;
    let rejected = sandbox.send_json("PATCH", &path, shown).await;
    assert_eq!(rejected.rejected_field(), "presenceDefinition.id");
}

#[tokio::test]
async fn a_user_has_at_most_sixteen_sources() {
    let sandbox = start().await;
    let ring = |source: String| {
        let (sandbox, path) = (&sandbox, path(FIRST, &source));
        async move {
            let body = json!({"message": "ring"});
            sandbox.send_json("PATCH", &path, body).await
        }
    };
    for number in 1..16 {
        assert_eq!(ring(format!("phone-{number}")).await.status, 200);
    }
    let rejected = ring("phone-16".to_owned()).await;
    let rejected = rejected.error(409, "general.conflict");
    assert!(rejected["message"].as_str().unwrap().contains("16"));
    assert_eq!(ring("phone-15".to_owned()).await.status, 200);
    let long = ring("x".repeat(257)).await;
    assert_eq!(long.rejected_field(), "sourceId");
}
