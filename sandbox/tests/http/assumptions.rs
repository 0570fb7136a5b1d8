//! Each setting is honoured; its default is tested with what it is about.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, advance};

use super::bulk::{READ, WRITE};
use super::*;

pub(super) fn presence(user: &str) -> String {
    format!("/api/v2/users/{user}/presences/purecloud")
}

#[tokio::test]
async fn the_number_of_users_can_be_set() {
    let served = sandbox_with(|args| args.users = "1".into()).await;
    assert_eq!(served.get(&presence(FIRST)).await.status, 200);
    assert_eq!(served.get(&presence(SECOND)).await.status, 404);
}

#[tokio::test]
async fn unknown_users_can_be_found() {
    let served = sandbox_with(|args| args.unknown_users = "found".into()).await;
    assert_eq!(served.get(&presence("anyone")).await.status, 200);
    let list = served
        .get(&format!("{READ}?id=someone,{FIRST}"))
        .await
        .json(200);
    assert_eq!(each(&list, "userId"), ["someone", FIRST]);
    let update = json!([{"id": "new", "message": "hello"}]);
    assert_eq!(
        each(
            &served.send("PUT", WRITE, update).await.json(200),
            "message"
        ),
        ["hello"]
    );
}

#[tokio::test]
async fn malformed_ids_can_be_refused() {
    let served = sandbox_with(|args| args.malformed_ids = "refused".into()).await;
    assert_eq!(
        served.get(&presence("nobody")).await.refused_field(),
        "userId"
    );
    assert_eq!(
        served
            .get(&format!("{READ}?id=nobody,{FIRST}"))
            .await
            .status,
        400
    );
    let unknown = AVAILABLE;
    assert_eq!(
        served.get(&presence(unknown)).await.status,
        404,
        "it is a UUID"
    );
    assert_eq!(
        served.get(&format!("{READ}?id={unknown}")).await.json(200),
        json!([])
    );
}

#[tokio::test]
async fn custom_sources_can_be_refused() {
    let served = sandbox_with(|args| args.custom_sources = "refused".into()).await;
    let path = format!("/api/v2/users/{FIRST}/presences/Phone");
    let patched = served.send("PATCH", &path, json!({"message": "x"})).await;
    assert_eq!(
        patched.error(404, "not.found")["entityName"],
        "PresenceSource"
    );
}

#[tokio::test]
async fn the_rate_limit_can_be_set_slide_and_be_lifted() {
    let any = "/api/v2/systempresences";
    let served = sandbox_with(|args| {
        args.rate_limit = "2".into();
        args.rate_window = "sliding".into();
    })
    .await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(served.get(any).await.status);
    }
    assert_eq!(statuses, [200, 200, 429]);

    let served = sandbox_with(|args| args.rate_limit = "0".into()).await;
    for _ in 0..350 {
        assert_eq!(served.get(any).await.status, 200);
    }
}

#[tokio::test]
async fn a_null_is_nothing_or_clears_or_is_refused() {
    for (nulls, message) in [
        ("absent", Some("kept")),
        ("clear", Some("")),
        ("refused", None),
    ] {
        let served = sandbox_with(|args| args.nulls = nulls.into()).await;
        let path = presence(FIRST);
        served
            .send("PATCH", &path, json!({"message": "kept"}))
            .await
            .json(200);
        let answer = served.send("PATCH", &path, json!({"message": null})).await;
        match message {
            Some(message) => assert_eq!(answer.json(200)["message"], message, "{nulls}"),
            None => assert_eq!(answer.refused_field(), "message", "{nulls}"),
        }
    }
}

#[tokio::test]
async fn a_patch_of_nothing_can_be_refused() {
    let bodies = [json!({}), json!({"primary": false}), json!({"name": "x"})];
    for (empty_patch, status) in [("accepted", 200), ("refused", 400)] {
        let served = sandbox_with(|args| args.empty_patch = empty_patch.into()).await;
        for body in &bodies {
            let answer = served.send("PATCH", &presence(FIRST), body.clone()).await;
            assert_eq!(answer.status, status, "{empty_patch} {body}");
        }
    }
}

#[tokio::test]
async fn a_presence_can_have_the_captured_fields_only() {
    let served = sandbox_with(|args| args.presence_fields = "captured".into()).await;
    let seen = served.get(&presence(FIRST)).await.json(200);
    let fields: Vec<&String> = seen.as_object().unwrap().keys().collect();
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
async fn the_default_locale_can_be_set() {
    let path = format!("/api/v2/presence/definitions/{MEAL}");
    let served = sandbox_with(|args| args.default_locale = "de".into()).await;
    let german = served.get(&path).await.json(200);
    assert_eq!(german["languageLabels"], json!({"de": "Essen"}));
    let served = sandbox_with(|args| args.default_locale = "ALL".into()).await;
    let all = served.get(&path).await.json(200);
    assert_eq!(
        all["languageLabels"],
        json!({"en_US": "Meal", "de": "Essen", "fr": "Repas"})
    );
}

#[tokio::test]
async fn a_created_definition_can_be_a_201() {
    let served = sandbox_with(|args| args.created_status = "201".into()).await;
    let body = json!({"languageLabels": {"en_US": "Lunch"}});
    let made = served
        .send("POST", "/api/v2/presence/definitions", body.clone())
        .await
        .json(201);
    assert_eq!(made.get("systemPresence"), None);
    assert_eq!(
        served
            .send("POST", "/api/v2/presencedefinitions", body)
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_second_delete_is_204_or_404() {
    for (setting, status) in [("204", 204), ("404", 404)] {
        let served = sandbox_with(|args| args.repeated_delete = setting.into()).await;
        let labels = json!({"languageLabels": {"en_US": "Lunch"}});
        for (path, body) in [
            ("/api/v2/presence/definitions", labels.clone()),
            ("/api/v2/presencedefinitions", labels),
            ("/api/v2/presence/sources", json!({"name": "Door"})),
        ] {
            let made = served.send("POST", path, body).await.json(200);
            let path = format!("{path}/{}", made["id"].as_str().unwrap());
            assert_eq!(served.delete(&path).await.status, 204);
            assert_eq!(served.delete(&path).await.status, status, "{path}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_period_of_the_rate_limit_can_be_set() {
    let any = "/api/v2/systempresences";
    let sandbox = Sandbox::new(settings_with(|args| {
        args.rate_limit = "1".into();
        args.rate_period = "2s".into();
    }));
    assert_eq!(unserved(&sandbox, any).await.status(), 200);
    advance(Duration::from_millis(500)).await;
    let refused = unserved(&sandbox, any).await;
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()["retry-after"], "2");
    advance(Duration::from_millis(1500)).await;
    assert_eq!(unserved(&sandbox, any).await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn every_answer_takes_as_long_as_is_set() {
    let served = sandbox_with(|args| args.latency = "80ms".into()).await;
    for path in ["/api/v2/systempresences", "/nowhere"] {
        let start = Instant::now();
        served.get(path).await;
        assert!(start.elapsed() >= Duration::from_millis(80), "{path}");
    }
}
