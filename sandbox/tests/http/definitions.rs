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
async fn the_default_definitions_have_the_vendors_ids_and_two_spellings() {
    let served = sandbox().await;
    let current = served.get(CURRENT).await.json(200);
    assert_eq!(
        (current["total"].as_u64(), ids(&current).len()),
        (Some(10), 10)
    );
    let legacy = served.get(LEGACY).await.json(200);
    assert_eq!(ids(&legacy), ids(&current));

    let queue = served.get(&format!("{CURRENT}/{ON_QUEUE}")).await.json(200);
    assert_eq!(
        (&queue["systemPresence"], &queue["type"]),
        (&json!("OnQueue"), &json!("System"))
    );
    let queue = served.get(&format!("{LEGACY}/{ON_QUEUE}")).await.json(200);
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
async fn a_definition_made_in_one_view_is_there_in_the_other() {
    let served = sandbox().await;
    let made = served.send("POST", CURRENT, lunch()).await.json(200);
    assert_eq!(
        (&made["type"], &made["divisionId"]),
        (&json!("User"), &json!("*"))
    );
    let id = made["id"].as_str().unwrap();
    let seen = served
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

    let legacy = served.send("POST", LEGACY, lunch()).await.json(200);
    let id = legacy["id"].as_str().unwrap();
    assert_eq!(
        served.get(&format!("{CURRENT}/{id}")).await.json(200)["name"],
        "Lunch"
    );
    assert_eq!(served.delete(&format!("{LEGACY}/{id}")).await.status, 204);
    assert!(!ids(&served.get(CURRENT).await.json(200)).contains(&id));
}

#[tokio::test]
async fn system_definitions_cannot_be_changed_or_deleted() {
    let served = sandbox().await;
    for path in [CURRENT, LEGACY] {
        let path = format!("{path}/{AVAILABLE}");
        served.delete(&path).await.error(400, "bad.request");
        served
            .send("PUT", &path, lunch())
            .await
            .error(400, "bad.request");
        assert_eq!(served.get(&path).await.json(200)["deactivated"], false);
        served
            .delete(&path.replace(AVAILABLE, "none"))
            .await
            .error(404, "not.found");
        served
            .get(&path.replace(AVAILABLE, "none"))
            .await
            .error(404, "not.found");
    }
}

#[tokio::test]
async fn a_wrong_definition_is_refused_by_field() {
    let served = sandbox().await;
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
                served
                    .send("POST", path, body.clone())
                    .await
                    .refused_field(),
                field,
                "{body}"
            );
        }
        let made = served.send("POST", path, lunch()).await.json(200);
        let path = format!("{path}/{}", made["id"].as_str().unwrap());
        let mut away = lunch();
        away["systemPresence"] = json!("Away");
        let refused = served.send("PUT", &path, away).await;
        assert_eq!(
            refused.refused_field(),
            "systemPresence",
            "it cannot be changed"
        );
        assert_eq!(served.send("PUT", &path, lunch()).await.status, 200);
    }
    let unknown = json!({"languageLabels": {"de": "x"}, "systemPresence": "Lunch"});
    let refused = served
        .send("POST", CURRENT, unknown)
        .await
        .error(400, "invalid.value");
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .contains("Allowable values are: Available")
    );
}

#[tokio::test]
async fn a_definition_has_texts_of_bounded_length() {
    let served = sandbox().await;
    let long = "x".repeat(16 * 1024 + 1);
    for (field, value) in [
        ("name", json!(long)),
        ("languageLabels", json!({"en_US": long})),
        ("divisionId", json!(long)),
    ] {
        let mut body = lunch();
        body[field] = value;
        let refused = served.send("POST", CURRENT, body).await;
        assert_eq!(refused.refused_field(), field);
    }
    assert_eq!(ids(&served.get(CURRENT).await.json(200)).len(), 10);
}
