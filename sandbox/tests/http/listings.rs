//! Presence definitions in lists: filtered, translated, paged.

use serde_json::json;

use super::definitions::{CURRENT, LEGACY, lunch};
use super::*;

#[tokio::test]
async fn a_deactivated_definition_is_listed_only_on_request() {
    let sandbox = start().await;
    let made = sandbox.send_json("POST", CURRENT, lunch()).await.json(200);
    let id = made["id"].as_str().unwrap();
    assert_eq!(sandbox.delete(&format!("{CURRENT}/{id}")).await.status, 204);
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
            ids(&sandbox.get(&path).await.json(200)).len(),
            listed,
            "{path}"
        );
    }
    for path in [
        format!("{CURRENT}?deactivated=maybe"),
        format!("{LEGACY}?deleted=maybe"),
    ] {
        sandbox
            .get(&path)
            .await
            .error(400, "invalid.query.param.value");
    }
    assert_eq!(
        sandbox.get(&format!("{CURRENT}/{id}")).await.json(200)["deactivated"],
        true
    );
    let back = json!({"languageLabels": {"en_US": "Lunch"}, "deactivated": false});
    let back = sandbox
        .send_json("PUT", &format!("{CURRENT}/{id}"), back)
        .await
        .json(200);
    assert_eq!(
        (&back["deactivated"], &back["name"]),
        (&json!(false), &json!("Lunch"))
    );
}

#[tokio::test]
async fn labels_are_in_the_requested_locale() {
    let sandbox = start().await;
    let made = sandbox.send_json("POST", CURRENT, lunch()).await.json(200);
    let id = made["id"].as_str().unwrap();
    for path in [CURRENT, LEGACY] {
        for (locale, labels) in [
            ("de", json!({"de": "Mittagessen"})),
            ("fr", json!({"en_US": "Lunch"})),
            ("", json!({"en_US": "Lunch"})),
            ("ALL", lunch()["languageLabels"].clone()),
        ] {
            let one = sandbox
                .get(&format!("{path}/{id}?localeCode={locale}"))
                .await
                .json(200);
            assert_eq!(one["languageLabels"], labels, "{path} {locale}");
            let all = sandbox
                .get(&format!("{path}?localeCode={locale}"))
                .await
                .json(200);
            assert_eq!(
                all["entities"][10]["languageLabels"], labels,
                "{path} {locale}"
            );
        }
    }
    let wrong = sandbox.get(&format!("{CURRENT}?localeCode=xx")).await;
    assert_eq!(wrong.rejected_field(), "localeCode");
}

#[tokio::test]
async fn a_listing_is_filtered_by_division() {
    let sandbox = start().await;
    for division in ["north", "south"] {
        let mut body = lunch();
        body["divisionId"] = json!(division);
        sandbox.send_json("POST", CURRENT, body).await.json(200);
    }
    // The vendor's ten definitions are in every division.
    for (query, listed) in [
        ("", 12),
        ("?divisionId=north", 11),
        ("?divisionId=north&divisionId=south", 12),
        ("?divisionId=north%2Csouth", 12),
        ("?divisionId=*", 12),
        ("?divisionId=%2A", 12),
        ("?divisionId=elsewhere", 10),
    ] {
        let listing = sandbox.get(&format!("{CURRENT}{query}")).await.json(200);
        assert_eq!(ids(&listing).len(), listed, "{query}");
    }
}

#[tokio::test]
async fn the_legacy_listing_has_pages() {
    let sandbox = start().await;
    let first = sandbox
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

    // The pages from the first to the last list every definition once.
    let mut seen: Vec<String> = ids(&first).into_iter().map(str::to_owned).collect();
    let mut page = first.clone();
    while let Some(next) = page["nextUri"].as_str() {
        let next = sandbox.get(next).await.json(200);
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
        ids(&sandbox
            .get(first["firstUri"].as_str().unwrap())
            .await
            .json(200)),
        ids(&first)
    );

    let beyond = sandbox
        .get(&format!("{LEGACY}?pageSize=4&pageNumber=9"))
        .await
        .json(200);
    assert_eq!(
        (&beyond["entities"], beyond.get("nextUri")),
        (&json!([]), None)
    );
    for query in [
        "pageSize=0",
        "pageNumber=0",
        "pageSize=x",
        "pageNumber=-1",
        "pageSize=2147483648",
    ] {
        let rejected = sandbox.get(&format!("{LEGACY}?{query}")).await;
        rejected.error(400, "invalid.query.param.value");
    }
}
