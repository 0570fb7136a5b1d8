//! Rules that select requests, and give them faults.

use serde_json::json;

use super::*;

const ANY: &str = "/api/v2/systempresences";

#[tokio::test]
async fn rules_change_the_next_matching_replies() {
    let sandbox = start().await;
    let rule = "status=503 method=GET path=/systempresences times=2 after=1";
    let listed = sandbox
        .control("POST", "/sandbox/misbehave", rule)
        .await
        .json(200);
    assert_eq!(listed["rules"][0]["misbehave"], "status=503");
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(sandbox.get(ANY).await.status);
    }
    assert_eq!(statuses, [200, 503, 503, 200]);
    assert_eq!(
        sandbox
            .control("GET", "/sandbox/misbehave", "")
            .await
            .json(200),
        json!({"rules": []})
    );

    let rules = json!([
        {"misbehave": "status=500", "token": "other"},
        {"misbehave": "status=502", "path": "*/systempresences"},
    ]);
    sandbox
        .control("POST", "/sandbox/misbehave", &rules.to_string())
        .await
        .json(200);
    assert_eq!(sandbox.get(ANY).await.status, 502);
    let header = sandbox.misbehaving(ANY, "status=504").await;
    assert_eq!(header.status, 504, "the header takes precedence over rules");
    let shown = sandbox.control("GET", "/sandbox/misbehave", "").await;
    assert!(!shown.text.contains("other"), "a token is not shown");
    sandbox
        .control("DELETE", "/sandbox/misbehave", "")
        .await
        .json(200);
    assert_eq!(sandbox.get(ANY).await.status, 200);
}

#[tokio::test]
async fn a_malformed_rule_is_rejected_in_plain_text() {
    let sandbox = start().await;
    let rejected = sandbox
        .control("POST", "/sandbox/misbehave", "explode path=/x")
        .await;
    assert_eq!(
        (rejected.status, rejected.header("content-type")),
        (400, "text/plain; charset=utf-8")
    );
    assert!(
        rejected.text.contains("`explode` is no behaviour"),
        "{}",
        rejected.text
    );
    assert!(rejected.text.contains("cut-body"), "{}", rejected.text);
}

#[tokio::test]
async fn a_rule_selects_the_requests_that_name_an_id() {
    let sandbox = start().await;
    let presence = |user: &str| format!("/api/v2/users/{user}/presences/purecloud");
    let bulk = |query: String| format!("/api/v2/users/presences/purecloud/bulk?{query}");
    let rule = async |rule: &str| {
        let added = sandbox.control("POST", "/sandbox/misbehave", rule).await;
        added.json(200);
    };

    rule(&format!("status=500 id={SECOND}")).await;
    for (path, status) in [
        (presence(FIRST), 200),
        (presence(SECOND), 500),
        (presence(&SECOND.replace("00000000-", "%30%30000000-")), 500),
        (bulk(String::new()), 200),
        (bulk(format!("id={FIRST},{LAST}")), 200),
        (bulk(format!("id={FIRST},{SECOND}")), 500),
        (bulk(format!("id={FIRST}%2C{SECOND}")), 500),
        (bulk(format!("id={FIRST}&id={SECOND}")), 500),
        (bulk(format!("id={FIRST}&other={SECOND}")), 200),
        (bulk(format!("id={SECOND}-")), 200),
    ] {
        assert_eq!(sandbox.get(&path).await.status, status, "{path}");
    }
    let updates = |users: [&str; 2]| json!(users.map(|id| json!({"id": id, "message": "hi"})));
    for (body, status) in [
        (updates([FIRST, LAST]), 200),
        (updates([FIRST, SECOND]), 500),
        (json!([{"id": FIRST, "message": SECOND}]), 200),
    ] {
        let path = "/api/v2/users/presences/bulk";
        let answer = sandbox.send_json("PUT", path, body).await;
        assert_eq!(answer.status, status, "{}", answer.text);
    }
    sandbox.control("DELETE", "/sandbox/misbehave", "").await;

    // In any case of letters; others do not use the rule up.
    sandbox.control("POST", "/sandbox/users", "AbC").await;
    rule(r#"{"misbehave": "status=500", "id": "aBc", "times": 1}"#).await;
    for (query, status) in [
        (format!("id={FIRST}"), 200),
        (format!("id={FIRST},ABC"), 500),
        (format!("id={FIRST},ABC"), 200),
    ] {
        assert_eq!(
            sandbox.get(&bulk(query.clone())).await.status,
            status,
            "{query}"
        );
    }
}

#[tokio::test]
async fn rules_apply_to_the_token_endpoint() {
    let sandbox = start().await;
    sandbox
        .control(
            "POST",
            "/sandbox/misbehave",
            "status=400 path=/oauth/token times=1",
        )
        .await;
    assert_eq!(
        sandbox.control("POST", "/oauth/token", "").await.status,
        400
    );
    assert_eq!(
        sandbox.control("POST", "/oauth/token", "").await.status,
        401
    );
}
