//! Each setting takes effect. The tests of the endpoints cover the defaults.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, advance};

use super::bulk::{READ, WRITE};
use super::*;

pub(super) fn presence(user: &str) -> String {
    format!("/api/v2/users/{user}/presences/purecloud")
}

#[tokio::test]
async fn the_users_setting_limits_the_seeded_users() {
    let sandbox = start_with(|args| args.users = "1".into()).await;
    assert_eq!(sandbox.get(&presence(FIRST)).await.status, 200);
    assert_eq!(sandbox.get(&presence(SECOND)).await.status, 404);
}

#[tokio::test]
async fn unknown_users_exist_if_the_setting_says_found() {
    let sandbox = start_with(|args| args.unknown_users = "found".into()).await;
    assert_eq!(sandbox.get(&presence("anyone")).await.status, 200);
    let list = sandbox
        .get(&format!("{READ}?id=someone,{FIRST}"))
        .await
        .json(200);
    assert_eq!(each(&list, "userId"), ["someone", FIRST]);
    let update = json!([{"id": "new", "message": "hello"}]);
    assert_eq!(
        each(
            &sandbox.send_json("PUT", WRITE, update).await.json(200),
            "message"
        ),
        ["hello"]
    );
}

#[tokio::test]
async fn malformed_ids_are_rejected_if_the_setting_says_refused() {
    let sandbox = start_with(|args| args.malformed_ids = "refused".into()).await;
    assert_eq!(
        sandbox.get(&presence("nobody")).await.rejected_field(),
        "userId"
    );
    assert_eq!(
        sandbox
            .get(&format!("{READ}?id=nobody,{FIRST}"))
            .await
            .status,
        400
    );
    let unknown = AVAILABLE;
    assert_eq!(
        sandbox.get(&presence(unknown)).await.status,
        404,
        "a UUID is well-formed"
    );
    assert_eq!(
        sandbox.get(&format!("{READ}?id={unknown}")).await.json(200),
        json!([])
    );
}

#[tokio::test]
async fn custom_sources_are_rejected_if_the_setting_says_refused() {
    let sandbox = start_with(|args| args.custom_sources = "refused".into()).await;
    let path = format!("/api/v2/users/{FIRST}/presences/Phone");
    let patched = sandbox
        .send_json("PATCH", &path, json!({"message": "x"}))
        .await;
    assert_eq!(
        patched.error(404, "not.found")["entityName"],
        "PresenceSource"
    );
}

#[tokio::test]
async fn the_rate_limit_can_be_lowered_and_disabled() {
    let any = "/api/v2/systempresences";
    let sandbox = start_with(|args| {
        args.rate_limit = "2".into();
        args.rate_window = "sliding".into();
    })
    .await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(sandbox.get(any).await.status);
    }
    assert_eq!(statuses, [200, 200, 429]);

    let sandbox = start_with(|args| args.rate_limit = "0".into()).await;
    for _ in 0..350 {
        assert_eq!(sandbox.get(any).await.status, 200);
    }
}

#[tokio::test]
async fn a_null_is_ignored_clears_the_field_or_is_rejected() {
    for (nulls, message) in [
        ("absent", Some("kept")),
        ("clear", Some("")),
        ("refused", None),
    ] {
        let sandbox = start_with(|args| args.nulls = nulls.into()).await;
        let path = presence(FIRST);
        sandbox
            .send_json("PATCH", &path, json!({"message": "kept"}))
            .await
            .json(200);
        let reply = sandbox
            .send_json("PATCH", &path, json!({"message": null}))
            .await;
        match message {
            Some(message) => assert_eq!(reply.json(200)["message"], message, "{nulls}"),
            None => assert_eq!(reply.rejected_field(), "message", "{nulls}"),
        }
    }
}

#[tokio::test]
async fn an_empty_patch_is_accepted_or_rejected() {
    let bodies = [json!({}), json!({"primary": false}), json!({"name": "x"})];
    for (empty_patch, status) in [("accepted", 200), ("refused", 400)] {
        let sandbox = start_with(|args| args.empty_patch = empty_patch.into()).await;
        for body in &bodies {
            let reply = sandbox
                .send_json("PATCH", &presence(FIRST), body.clone())
                .await;
            assert_eq!(reply.status, status, "{empty_patch} {body}");
        }
    }
}

#[tokio::test]
async fn a_presence_has_only_the_captured_fields_if_set() {
    let sandbox = start_with(|args| args.presence_fields = "captured".into()).await;
    let presence = sandbox.get(&presence(FIRST)).await.json(200);
    let fields: Vec<&String> = presence.as_object().unwrap().keys().collect();
    assert_eq!(
        fields,
        [
            "message",
            "modifiedDate",
            "presenceDefinition",
            "selfUri",
            "source"
        ]
    );
}

#[tokio::test]
async fn the_default_locale_setting_selects_the_labels() {
    let path = format!("/api/v2/presence/definitions/{MEAL}");
    let sandbox = start_with(|args| args.default_locale = "de".into()).await;
    let german = sandbox.get(&path).await.json(200);
    assert_eq!(german["languageLabels"], json!({"de": "Essen"}));
    let sandbox = start_with(|args| args.default_locale = "ALL".into()).await;
    let all = sandbox.get(&path).await.json(200);
    assert_eq!(
        all["languageLabels"],
        json!({"en_US": "Meal", "de": "Essen", "fr": "Repas"})
    );
}

#[tokio::test]
async fn a_created_definition_returns_201_if_set() {
    let sandbox = start_with(|args| args.created_status = "201".into()).await;
    let body = json!({"languageLabels": {"en_US": "Lunch"}});
    let made = sandbox
        .send_json("POST", "/api/v2/presence/definitions", body.clone())
        .await
        .json(201);
    assert_eq!(made.get("systemPresence"), None);
    assert_eq!(
        sandbox
            .send_json("POST", "/api/v2/presencedefinitions", body)
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_repeated_delete_returns_204_or_404() {
    for (setting, status) in [("204", 204), ("404", 404)] {
        let sandbox = start_with(|args| args.repeated_delete = setting.into()).await;
        let labels = json!({"languageLabels": {"en_US": "Lunch"}});
        for (path, body) in [
            ("/api/v2/presence/definitions", labels.clone()),
            ("/api/v2/presencedefinitions", labels),
            ("/api/v2/presence/sources", json!({"name": "Door"})),
        ] {
            let made = sandbox.send_json("POST", path, body).await.json(200);
            let path = format!("{path}/{}", made["id"].as_str().unwrap());
            assert_eq!(sandbox.delete(&path).await.status, 204);
            assert_eq!(sandbox.delete(&path).await.status, status, "{path}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_rate_period_setting_changes_the_window() {
    let any = "/api/v2/systempresences";
    let sandbox = Sandbox::new(settings_with(|args| {
        args.rate_limit = "1".into();
        args.rate_period = "2s".into();
    }));
    assert_eq!(call_router(&sandbox, any).await.status(), 200);
    advance(Duration::from_millis(500)).await;
    let rejected = call_router(&sandbox, any).await;
    assert_eq!(rejected.status(), 429);
    assert_eq!(rejected.headers()["retry-after"], "2");
    advance(Duration::from_millis(1500)).await;
    assert_eq!(call_router(&sandbox, any).await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn the_latency_setting_delays_every_reply() {
    let sandbox = start_with(|args| args.latency = "80ms".into()).await;
    for path in ["/api/v2/systempresences", "/nowhere"] {
        let start = Instant::now();
        sandbox.get(path).await;
        assert!(start.elapsed() >= Duration::from_millis(80), "{path}");
    }
}
