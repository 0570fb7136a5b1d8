//! Sources, settings, primary sources and system presences.

use serde_json::json;

use super::*;

#[tokio::test]
async fn a_source_can_be_created_read_changed_and_deactivated() {
    let sandbox = start().await;
    let sources = "/api/v2/presence/sources";
    assert_eq!(sandbox.get(sources).await.json(200)["total"], 0);

    let door = json!({"name": "Tür — 日本", "description": ""});
    let made = sandbox.send_json("POST", sources, door).await.json(200);
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
    assert_eq!(sandbox.get(&path).await.json(200), made);

    let gate = sandbox
        .send_json("PUT", &path, json!({"name": "Gate"}))
        .await
        .json(200);
    assert_eq!(
        (&gate["name"], &gate["description"]),
        (&json!("Gate"), &json!("")),
        "a missing field stays unchanged"
    );

    let deleted = sandbox.delete(&path).await;
    assert_eq!((deleted.status, deleted.text.as_str()), (204, ""));
    assert_eq!(sandbox.get(sources).await.json(200)["entities"], json!([]));
    let gone = sandbox
        .get(&format!("{sources}?deactivated=TRUE"))
        .await
        .json(200);
    assert_eq!(gone["entities"][0]["deactivated"], true);
    let back = json!({"name": "Gate", "deactivated": false});
    assert_eq!(
        sandbox.send_json("PUT", &path, back).await.json(200)["deactivated"],
        false
    );
}

#[tokio::test]
async fn a_source_must_have_a_name_and_exist() {
    let sandbox = start().await;
    let sources = "/api/v2/presence/sources";
    assert_eq!(
        sandbox
            .send_json("POST", sources, json!({}))
            .await
            .rejected_field(),
        "name"
    );
    assert_eq!(
        sandbox
            .send_json("POST", sources, json!({"name": ""}))
            .await
            .rejected_field(),
        "name"
    );
    let long = "x".repeat(16 * 1024 + 1);
    for (body, field) in [
        (json!({"name": long}), "name"),
        (json!({"name": "x", "description": long}), "description"),
    ] {
        let rejected = sandbox.send_json("POST", sources, body).await;
        assert_eq!(rejected.rejected_field(), field);
    }
    for method in ["GET", "DELETE"] {
        let reply = send(sandbox.request(method, &format!("{sources}/none"))).await;
        assert_eq!(reply.error(404, "not.found")["entityId"], "none");
    }
    let wrong = sandbox.get(&format!("{sources}?deactivated=ALL")).await;
    assert_eq!(
        wrong.error(400, "invalid.query.param.value")["messageParams"]["value"],
        "ALL"
    );
}

#[tokio::test]
async fn the_settings_are_stored() {
    let sandbox = start().await;
    let path = "/api/v2/presence/settings";
    let first = sandbox.get(path).await.json(200);
    assert!(first["restorePresenceSettings"]["restoreTimeMilliseconds"].is_i64());

    let restore = json!({
        "enabled": true, "restoreTimeMilliseconds": 9_007_199_254_740_991_i64, "restoreOnQueueEnabled": false,
    });
    let body = json!({
        "restorePresenceSettings": restore,
        "requestingOffQueueEnabled": true,
        "defaultPrimaryPresenceRegisteredSourceId": "",
    });
    let put = sandbox.send_json("PUT", path, body).await.json(200);
    assert_eq!(put["restorePresenceSettings"], restore);
    assert_eq!(put["defaultPrimaryPresenceRegisteredSourceId"], "");
    assert_eq!(sandbox.get(path).await.json(200), put);

    let half = json!({"restorePresenceSettings": {"enabled": true}});
    let field = sandbox.send_json("PUT", path, half).await.rejected_field();
    assert_eq!(field, "restorePresenceSettings.restoreTimeMilliseconds");
}

#[tokio::test]
async fn a_primary_source_is_purecloud_until_another_is_chosen() {
    let sandbox = start().await;
    let path = format!("/api/v2/presence/users/{FIRST}/primarysource");
    let first = sandbox.get(&path).await.json(200);
    assert_eq!(
        (&first["sourceId"], &first["registered"]),
        (&json!("PURECLOUD"), &json!(false))
    );
    assert_eq!(
        (&first["id"], &first["selfUri"]),
        (&json!(FIRST), &json!(path))
    );

    let made = sandbox
        .send_json("POST", "/api/v2/presence/sources", json!({"name": "Door"}))
        .await;
    let chosen = json!({"sourceId": made.json(200)["id"]});
    let put = sandbox
        .send_json("PUT", &path, chosen.clone())
        .await
        .json(200);
    assert_eq!(
        (&put["sourceId"], &put["registered"]),
        (&chosen["sourceId"], &json!(true))
    );
    assert_eq!(sandbox.get(&path).await.json(200), put);

    assert_eq!(
        sandbox
            .send_json("PUT", &path, json!({}))
            .await
            .rejected_field(),
        "sourceId"
    );
    let unknown = sandbox
        .send_json("PUT", &path, json!({"sourceId": "none"}))
        .await;
    assert_eq!(unknown.rejected_field(), "sourceId");
    let back = sandbox
        .send_json("PUT", &path, json!({"sourceId": "purecloud"}))
        .await
        .json(200);
    assert_eq!(back["sourceId"], "PURECLOUD");
    sandbox
        .get("/api/v2/presence/users/nobody/primarysource")
        .await
        .error(404, "not.found");
}

#[tokio::test]
async fn system_presence_names_are_in_capitals() {
    let list = start().await.get("/api/v2/systempresences").await.json(200);
    let names = each(&list, "name");
    assert_eq!(names.len(), 10);
    assert!(names.contains(&"ON_QUEUE") && names.contains(&"AVAILABLE"));
}
