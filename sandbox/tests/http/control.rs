//! The sandbox's own endpoints.

use serde_json::json;

use super::*;

const ANY: &str = "/api/v2/systempresences";

#[tokio::test]
async fn a_page_says_what_is_here() {
    let served = sandbox().await;
    let page = served.control("GET", "/sandbox", "").await;
    assert_eq!(
        (page.status, page.header("content-type")),
        (200, "text/plain; charset=utf-8")
    );
    for told in [
        "/sandbox/misbehave",
        "cut-body",
        "times=2",
        "--unknown-users missing",
    ] {
        assert!(page.text.contains(told), "{told}");
    }
    assert_eq!(
        served.control("GET", "/sandbox/elsewhere", "").await.status,
        404
    );
}

#[tokio::test]
async fn rules_make_the_next_answers_wrong() {
    let served = sandbox().await;
    let rule = "status=503 method=GET path=/systempresences times=2 after=1";
    let listed = served
        .control("POST", "/sandbox/misbehave", rule)
        .await
        .json(200);
    assert_eq!(listed["rules"][0]["misbehave"], "status=503");
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(served.get(ANY).await.status);
    }
    assert_eq!(statuses, [200, 503, 503, 200]);
    assert_eq!(
        served
            .control("GET", "/sandbox/misbehave", "")
            .await
            .json(200),
        json!({"rules": []})
    );

    let rules = json!([
        {"misbehave": "status=500", "token": "other"},
        {"misbehave": "status=502", "path": "*/systempresences"},
    ]);
    served
        .control("POST", "/sandbox/misbehave", &rules.to_string())
        .await
        .json(200);
    assert_eq!(served.get(ANY).await.status, 502);
    let header = served.misbehaving(ANY, "status=504").await;
    assert_eq!(header.status, 504, "a request's own wish comes first");
    let shown = served.control("GET", "/sandbox/misbehave", "").await;
    assert!(!shown.text.contains("other"), "a token is not shown");
    served
        .control("DELETE", "/sandbox/misbehave", "")
        .await
        .json(200);
    assert_eq!(served.get(ANY).await.status, 200);
}

#[tokio::test]
async fn a_malformed_rule_is_refused_in_plain_text() {
    let served = sandbox().await;
    let refused = served
        .control("POST", "/sandbox/misbehave", "explode path=/x")
        .await;
    assert_eq!(
        (refused.status, refused.header("content-type")),
        (400, "text/plain; charset=utf-8")
    );
    assert!(
        refused.text.contains("`explode` is no behaviour"),
        "{}",
        refused.text
    );
    assert!(refused.text.contains("cut-body"), "{}", refused.text);
}

#[tokio::test]
async fn rules_reach_the_token_endpoint_too() {
    let served = sandbox().await;
    served
        .control(
            "POST",
            "/sandbox/misbehave",
            "status=400 path=/oauth/token times=1",
        )
        .await;
    assert_eq!(served.control("POST", "/oauth/token", "").await.status, 400);
    assert_eq!(served.control("POST", "/oauth/token", "").await.status, 401);
}

#[tokio::test]
async fn what_was_received_is_listed_without_tokens_or_bodies() {
    let served = sandbox().await;
    served
        .get("/api/v2/users/presences/purecloud/bulk?id=a%2Cb&id=c")
        .await;
    let body = json!({"message": "a secret message"});
    served
        .send(
            "PATCH",
            &format!("/api/v2/users/{FIRST}/presences/purecloud"),
            body,
        )
        .await;
    let secret = served.client.get(format!("http://{}{ANY}", served.address));
    let answered = received(secret.bearer_auth("a-secret-token")).await;
    served.misbehaving(ANY, "status=503").await;
    let cut = served
        .request("GET", ANY)
        .header("X-Sandbox-Misbehave", "cut");
    assert!(cut.send().await.is_err());

    let list = served.control("GET", "/sandbox/requests", "").await;
    assert!(!list.text.contains("secret"), "{}", list.text);
    let list = list.json(200);
    let requests = list["requests"].as_array().unwrap();
    assert_eq!(
        requests.len(),
        5,
        "the sandbox's own endpoints are not listed"
    );
    assert_eq!(requests[0]["query"], json!([["id", "a,b"], ["id", "c"]]));
    assert_eq!(
        requests[0]["operation"],
        "get_users_presences_purecloud_bulk"
    );
    assert_eq!(
        (&requests[1]["method"], &requests[1]["status"]),
        (&json!("PATCH"), &json!(200))
    );
    assert_eq!(
        requests[2]["correlationId"],
        answered.header("inin-correlation-id")
    );
    assert_eq!(requests[0]["token"], requests[1]["token"]);
    assert_ne!(requests[1]["token"], requests[2]["token"]);
    assert_eq!(
        (&requests[3]["misbehaved"], &requests[3]["status"]),
        (&json!("status=503"), &json!(503))
    );
    assert_eq!(
        (&requests[4]["misbehaved"], &requests[4]["status"]),
        (&json!("cut"), &Value::Null)
    );

    served
        .control("DELETE", "/sandbox/requests", "")
        .await
        .json(200);
    let list = served
        .control("GET", "/sandbox/requests", "")
        .await
        .json(200);
    assert_eq!(list, json!({"forgotten": 5, "requests": []}));
}

#[tokio::test]
async fn users_are_added_and_forgotten_by_a_reset() {
    let served = sandbox().await;
    let presence = |user: &str| format!("/api/v2/users/{user}/presences/purecloud");
    assert_eq!(served.get(&presence("new")).await.status, 404);
    let users = served
        .control("POST", "/sandbox/users", r#"["new", "newer"]"#)
        .await
        .json(200);
    assert_eq!(users["users"].as_array().unwrap().len(), 102);
    served
        .control("POST", "/sandbox/users", "third, fourth\nfifth")
        .await
        .json(200);
    for user in ["new", "newer", "third", "fourth", "fifth"] {
        assert_eq!(served.get(&presence(user)).await.status, 200, "{user}");
    }
    for wrong in ["", "[]", "[1]", "{", r#"{"ids": []}"#] {
        assert_eq!(
            served.control("POST", "/sandbox/users", wrong).await.status,
            400,
            "{wrong}"
        );
    }
    served
        .control("POST", "/sandbox/misbehave", "html")
        .await
        .json(200);
    served.control("POST", "/sandbox/reset", "").await.json(200);
    assert_eq!(served.get(&presence("new")).await.status, 404);
    assert_eq!(served.get(&presence(FIRST)).await.status, 200);
}
