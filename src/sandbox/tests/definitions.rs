//! Presence definitions, current and legacy.

use serde_json::json;

use super::*;

const CURRENT: &str = "/api/v2/presence/definitions";
const LEGACY: &str = "/api/v2/presencedefinitions";

fn lunch() -> Value {
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
async fn a_deactivated_definition_is_listed_only_where_it_is_asked_for() {
    let served = sandbox().await;
    let made = served.send("POST", CURRENT, lunch()).await.json(200);
    let id = made["id"].as_str().unwrap();
    assert_eq!(served.delete(&format!("{CURRENT}/{id}")).await.status, 204);
    for (path, listed) in [
        (CURRENT.to_owned(), 10),
        (format!("{CURRENT}?deactivated=false"), 10),
        (format!("{CURRENT}?deactivated="), 10),
        (format!("{CURRENT}?deactivated=True"), 1),
        (LEGACY.to_owned(), 10),
        (format!("{LEGACY}?deleted=false"), 10),
        (format!("{LEGACY}?deleted=TRUE"), 1),
        (format!("{LEGACY}?deleted=all"), 11),
    ] {
        assert_eq!(
            ids(&served.get(&path).await.json(200)).len(),
            listed,
            "{path}"
        );
    }
    for path in [
        format!("{CURRENT}?deactivated=maybe"),
        format!("{LEGACY}?deleted=maybe"),
    ] {
        served
            .get(&path)
            .await
            .error(400, "invalid.query.param.value");
    }
    assert_eq!(
        served.get(&format!("{CURRENT}/{id}")).await.json(200)["deactivated"],
        true
    );
    let back = json!({"languageLabels": {"en_US": "Lunch"}, "deactivated": false});
    let back = served
        .send("PUT", &format!("{CURRENT}/{id}"), back)
        .await
        .json(200);
    assert_eq!(
        (&back["deactivated"], &back["name"]),
        (&json!(false), &json!("Lunch"))
    );
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
async fn labels_come_in_the_locale_that_is_asked_for() {
    let served = sandbox().await;
    let made = served.send("POST", CURRENT, lunch()).await.json(200);
    let id = made["id"].as_str().unwrap();
    for path in [CURRENT, LEGACY] {
        for (locale, labels) in [
            ("de", json!({"de": "Mittagessen"})),
            ("fr", json!({"en_US": "Lunch"})),
            ("", json!({"en_US": "Lunch"})),
            ("ALL", lunch()["languageLabels"].clone()),
        ] {
            let one = served
                .get(&format!("{path}/{id}?localeCode={locale}"))
                .await
                .json(200);
            assert_eq!(one["languageLabels"], labels, "{path} {locale}");
            let all = served
                .get(&format!("{path}?localeCode={locale}"))
                .await
                .json(200);
            assert_eq!(
                all["entities"][10]["languageLabels"], labels,
                "{path} {locale}"
            );
        }
    }
    let wrong = served.get(&format!("{CURRENT}?localeCode=xx")).await;
    assert_eq!(wrong.refused_field(), "localeCode");
}

#[tokio::test]
async fn a_listing_is_filtered_by_division() {
    let served = sandbox().await;
    for division in ["north", "south"] {
        let mut body = lunch();
        body["divisionId"] = json!(division);
        served.send("POST", CURRENT, body).await.json(200);
    }
    // The ten of the vendor's are in every division.
    for (query, listed) in [
        ("", 12),
        ("?divisionId=north", 11),
        ("?divisionId=north&divisionId=south", 12),
        ("?divisionId=north%2Csouth", 12),
        ("?divisionId=*", 12),
        ("?divisionId=%2A", 12),
        ("?divisionId=elsewhere", 10),
    ] {
        let listing = served.get(&format!("{CURRENT}{query}")).await.json(200);
        assert_eq!(ids(&listing).len(), listed, "{query}");
    }
}

#[tokio::test]
async fn the_legacy_listing_is_paged() {
    let served = sandbox().await;
    let first = served
        .get(&format!("{LEGACY}?pageSize=4&localeCode=de"))
        .await
        .json(200);
    assert_eq!(
        (&first["pageNumber"], &first["pageSize"]),
        (&json!(1), &json!(4))
    );
    assert_eq!(
        (&first["total"], &first["pageCount"]),
        (&json!(10), &json!(3))
    );
    assert_eq!(first.get("previousUri"), None);

    // Following the pages from the first sees everything once.
    let mut seen: Vec<String> = ids(&first).into_iter().map(str::to_owned).collect();
    let mut page = first.clone();
    while let Some(next) = page["nextUri"].as_str() {
        let next = served.get(next).await.json(200);
        assert_eq!(next["previousUri"], page["selfUri"]);
        assert_eq!(
            next["entities"][0]["languageLabels"]
                .as_object()
                .unwrap()
                .keys()
                .next()
                .unwrap(),
            "de"
        );
        seen.extend(ids(&next).into_iter().map(str::to_owned));
        page = next;
    }
    assert_eq!((seen.len(), &page["selfUri"]), (10, &first["lastUri"]));
    assert_eq!(
        ids(&served
            .get(first["firstUri"].as_str().unwrap())
            .await
            .json(200)),
        ids(&first)
    );

    let beyond = served
        .get(&format!("{LEGACY}?pageSize=4&pageNumber=9"))
        .await
        .json(200);
    assert_eq!(
        (&beyond["entities"], beyond.get("nextUri")),
        (&json!([]), None)
    );
    for query in ["pageSize=0", "pageNumber=0", "pageSize=x", "pageNumber=-1"] {
        let refused = served.get(&format!("{LEGACY}?{query}")).await;
        refused.error(400, "invalid.query.param.value");
    }
}
