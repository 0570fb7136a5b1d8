//! Presence definitions, current and legacy.

use serde_json::json;

use super::*;

pub(super) const CURRENT: &str = "/api/v2/presence/definitions";
pub(super) const LEGACY: &str = "/api/v2/presencedefinitions";

pub(super) fn lunch() -> Value {
    json!({
        "name": "Lunch",
        "languageLabels": {"en_US": "Lunch", "de": "Mittagessen"},
        "systemPresence": "Meal",
    })
}

#[tokio::test]
async fn default_definitions_have_vendor_ids_and_a_spelling_per_view() {
    let sandbox = start().await;
    let current = sandbox.get(CURRENT).await.json(200);
    assert_eq!(
        (current["total"].as_u64(), ids(&current).len()),
        (Some(10), 10)
    );
    let legacy = sandbox.get(LEGACY).await.json(200);
    assert_eq!(ids(&legacy), ids(&current));

    let queue = sandbox
        .get(&format!("{CURRENT}/{ON_QUEUE}"))
        .await
        .json(200);
    assert_eq!(
        (&queue["systemPresence"], &queue["type"]),
        (&json!("OnQueue"), &json!("System"))
    );
    let queue = sandbox.get(&format!("{LEGACY}/{ON_QUEUE}")).await.json(200);
    assert_eq!(
        queue,
        json!({
            "id": ON_QUEUE,
            "languageLabels": {"en_US": "On Queue"},
            "systemPresence": "On Queue",
            "deactivated": false,
            "primary": true,
            "selfUri": format!("{LEGACY}/{ON_QUEUE}"),
        })
    );
}

#[tokio::test]
async fn a_definition_created_in_one_view_appears_in_the_other() {
    let sandbox = start().await;
    let made = sandbox.send_json("POST", CURRENT, lunch()).await.json(200);
    assert_eq!(
        (&made["type"], &made["divisionId"]),
        (&json!("User"), &json!("*"))
    );
    let id = made["id"].as_str().unwrap();
    let seen = sandbox
        .get(&format!("{LEGACY}/{id}?localeCode=ALL"))
        .await
        .json(200);
    assert_eq!(seen["languageLabels"], lunch()["languageLabels"]);
    assert_eq!(
        (&seen["name"], &seen["systemPresence"]),
        (&json!("Lunch"), &json!("Meal"))
    );
    assert!(seen["createdDate"].as_str().unwrap().ends_with('Z'));
    assert_eq!(seen["createdBy"]["id"], FIRST);

    let legacy = sandbox.send_json("POST", LEGACY, lunch()).await.json(200);
    let id = legacy["id"].as_str().unwrap();
    assert_eq!(
        sandbox.get(&format!("{CURRENT}/{id}")).await.json(200)["name"],
        "Lunch"
    );
    assert_eq!(sandbox.delete(&format!("{LEGACY}/{id}")).await.status, 204);
    assert!(!ids(&sandbox.get(CURRENT).await.json(200)).contains(&id));
}

#[tokio::test]
async fn system_definitions_cannot_be_changed_or_deleted() {
    let sandbox = start().await;
    for path in [CURRENT, LEGACY] {
        let path = format!("{path}/{AVAILABLE}");
        sandbox.delete(&path).await.error(400, "bad.request");
        sandbox
            .send_json("PUT", &path, lunch())
            .await
            .error(400, "bad.request");
        assert_eq!(sandbox.get(&path).await.json(200)["deactivated"], false);
        sandbox
            .delete(&path.replace(AVAILABLE, "none"))
            .await
            .error(404, "not.found");
        sandbox
            .get(&path.replace(AVAILABLE, "none"))
            .await
            .error(404, "not.found");
    }
}

#[tokio::test]
async fn an_invalid_definition_is_rejected_with_its_field() {
    let sandbox = start().await;
    for path in [CURRENT, LEGACY] {
        for (body, field) in [
            (json!({"name": "x"}), "languageLabels"),
            (json!({"languageLabels": {}}), "languageLabels"),
            (json!({"languageLabels": "Lunch"}), "languageLabels"),
            (json!({"languageLabels": {"de": 5}}), "languageLabels.de"),
            (
                json!({"languageLabels": {"de": "x"}, "systemPresence": "Lunch"}),
                "systemPresence",
            ),
            (json!({"languageLabels": {"de": "x"}, "name": []}), "name"),
        ] {
            assert_eq!(
                sandbox
                    .send_json("POST", path, body.clone())
                    .await
                    .rejected_field(),
                field,
                "{body}"
            );
        }
        let made = sandbox.send_json("POST", path, lunch()).await.json(200);
        let path = format!("{path}/{}", made["id"].as_str().unwrap());
        let mut away = lunch();
        away["systemPresence"] = json!("Away");
        let rejected = sandbox.send_json("PUT", &path, away).await;
        assert_eq!(
            rejected.rejected_field(),
            "systemPresence",
            "the system presence of a definition is immutable"
        );
        assert_eq!(sandbox.send_json("PUT", &path, lunch()).await.status, 200);
    }
    let unknown = json!({"languageLabels": {"de": "x"}, "systemPresence": "Lunch"});
    let rejected = sandbox
        .send_json("POST", CURRENT, unknown)
        .await
        .error(400, "invalid.value");
    assert!(
        rejected["message"]
            .as_str()
            .unwrap()
            .contains("Allowable values are: Available")
    );
}

#[tokio::test]
async fn texts_of_a_definition_have_a_maximum_length() {
    let sandbox = start().await;
    let long = "x".repeat(16 * 1024 + 1);
    for (field, value) in [
        ("name", json!(long)),
        ("languageLabels", json!({"en_US": long})),
        ("divisionId", json!(long)),
    ] {
        let mut body = lunch();
        body[field] = value;
        let rejected = sandbox.send_json("POST", CURRENT, body).await;
        assert_eq!(rejected.rejected_field(), field);
    }
    assert_eq!(ids(&sandbox.get(CURRENT).await.json(200)).len(), 10);
}
