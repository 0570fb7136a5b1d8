//! Sources, settings, primary sources, system presences.

use serde_json::json;

use super::*;

#[tokio::test]
async fn a_source_is_made_read_changed_and_deactivated() {
    let served = sandbox().await;
    let sources = "/api/v2/presence/sources";
    assert_eq!(served.get(sources).await.json(200)["total"], 0);

    let door = json!({"name": "Tür — 日本", "description": ""});
    let made = served.send("POST", sources, door).await.json(200);
    assert_eq!(
        (&made["name"], &made["description"]),
        (&json!("Tür — 日本"), &json!(""))
    );
    assert_eq!(
        (&made["type"], &made["deactivated"]),
        (&json!("User"), &json!(false))
    );
    let path = format!("{sources}/{}", made["id"].as_str().unwrap());
    assert_eq!(made["selfUri"], path.as_str());
    assert_eq!(served.get(&path).await.json(200), made);

    let gate = served
        .send("PUT", &path, json!({"name": "Gate"}))
        .await
        .json(200);
    assert_eq!(
        (&gate["name"], &gate["description"]),
        (&json!("Gate"), &json!("")),
        "what is not said stays"
    );

    let deleted = served.delete(&path).await;
    assert_eq!((deleted.status, deleted.text.as_str()), (204, ""));
    assert_eq!(served.get(sources).await.json(200)["entities"], json!([]));
    let gone = served
        .get(&format!("{sources}?deactivated=TRUE"))
        .await
        .json(200);
    assert_eq!(gone["entities"][0]["deactivated"], true);
    let back = json!({"name": "Gate", "deactivated": false});
    assert_eq!(
        served.send("PUT", &path, back).await.json(200)["deactivated"],
        false
    );
}

#[tokio::test]
async fn a_source_needs_a_name_and_must_be_there() {
    let served = sandbox().await;
    let sources = "/api/v2/presence/sources";
    assert_eq!(
        served
            .send("POST", sources, json!({}))
            .await
            .refused_field(),
        "name"
    );
    assert_eq!(
        served
            .send("POST", sources, json!({"name": ""}))
            .await
            .refused_field(),
        "name"
    );
    let long = "x".repeat(16 * 1024 + 1);
    for (body, field) in [
        (json!({"name": long}), "name"),
        (json!({"name": "x", "description": long}), "description"),
    ] {
        let refused = served.send("POST", sources, body).await;
        assert_eq!(refused.refused_field(), field);
    }
    for method in ["GET", "DELETE"] {
        let answer = received(served.request(method, &format!("{sources}/none"))).await;
        assert_eq!(answer.error(404, "not.found")["entityId"], "none");
    }
    let wrong = served.get(&format!("{sources}?deactivated=ALL")).await;
    assert_eq!(
        wrong.error(400, "invalid.query.param.value")["messageParams"]["value"],
        "ALL"
    );
}

#[tokio::test]
async fn the_settings_are_kept() {
    let served = sandbox().await;
    let path = "/api/v2/presence/settings";
    let first = served.get(path).await.json(200);
    assert!(first["restorePresenceSettings"]["restoreTimeMilliseconds"].is_i64());

    let restore = json!({
        "enabled": true, "restoreTimeMilliseconds": 9_007_199_254_740_991_i64, "restoreOnQueueEnabled": false,
    });
    let body = json!({
        "restorePresenceSettings": restore,
        "requestingOffQueueEnabled": true,
        "defaultPrimaryPresenceRegisteredSourceId": "",
    });
    let put = served.send("PUT", path, body).await.json(200);
    assert_eq!(put["restorePresenceSettings"], restore);
    assert_eq!(put["defaultPrimaryPresenceRegisteredSourceId"], "");
    assert_eq!(served.get(path).await.json(200), put);

    let half = json!({"restorePresenceSettings": {"enabled": true}});
    let field = served.send("PUT", path, half).await.refused_field();
    assert_eq!(field, "restorePresenceSettings.restoreTimeMilliseconds");
}

#[tokio::test]
async fn a_primary_source_is_purecloud_until_another_is_chosen() {
    let served = sandbox().await;
    let path = format!("/api/v2/presence/users/{FIRST}/primarysource");
    let first = served.get(&path).await.json(200);
    assert_eq!(
        (&first["sourceId"], &first["registered"]),
        (&json!("PURECLOUD"), &json!(false))
    );
    assert_eq!(
        (&first["id"], &first["selfUri"]),
        (&json!(FIRST), &json!(path))
    );

    let made = served
        .send("POST", "/api/v2/presence/sources", json!({"name": "Door"}))
        .await;
    let chosen = json!({"sourceId": made.json(200)["id"]});
    let put = served.send("PUT", &path, chosen.clone()).await.json(200);
    assert_eq!(
        (&put["sourceId"], &put["registered"]),
        (&chosen["sourceId"], &json!(true))
    );
    assert_eq!(served.get(&path).await.json(200), put);

    assert_eq!(
        served.send("PUT", &path, json!({})).await.refused_field(),
        "sourceId"
    );
    let unknown = served.send("PUT", &path, json!({"sourceId": "none"})).await;
    assert_eq!(unknown.refused_field(), "sourceId");
    let back = served
        .send("PUT", &path, json!({"sourceId": "purecloud"}))
        .await
        .json(200);
    assert_eq!(back["sourceId"], "PURECLOUD");
    served
        .get("/api/v2/presence/users/nobody/primarysource")
        .await
        .error(404, "not.found");
}

#[tokio::test]
async fn system_presences_are_spelt_in_capitals() {
    let list = sandbox()
        .await
        .get("/api/v2/systempresences")
        .await
        .json(200);
    let names = each(&list, "name");
    assert_eq!(names.len(), 10);
    assert!(names.contains(&"ON_QUEUE") && names.contains(&"AVAILABLE"));
}
