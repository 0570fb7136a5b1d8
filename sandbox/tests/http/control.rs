//! The sandbox's own endpoints.

use serde_json::json;

use super::*;

const ANY: &str = "/api/v2/systempresences";

#[tokio::test]
async fn the_help_page_lists_endpoints_behaviours_and_settings() {
    let sandbox = start().await;
    let page = sandbox.control("GET", "/sandbox", "").await;
    assert_eq!(
        (page.status, page.header("content-type")),
        (200, "text/plain; charset=utf-8")
    );
    for expected in [
        "/sandbox/misbehave",
        "cut-body",
        "times=2",
        "--unknown-users missing",
    ] {
        assert!(page.text.contains(expected), "{expected}");
    }
}

#[tokio::test]
async fn an_unknown_endpoint_is_named_before_the_usage() {
    let sandbox = start().await;
    for (method, path, wrong) in [
        ("GET", "/sandbox/elsewhere", "."),
        ("POST", "/sandbox/misbehave/1/2", "."),
        ("GET", "/sandbox/reset", ": this path takes POST."),
        (
            "PATCH",
            "/sandbox/misbehave",
            ": this path takes GET, POST, DELETE.",
        ),
        ("GET", "/sandbox/misbehave/7", ": this path takes DELETE."),
        ("DELETE", "/sandbox/presences/a/b", ": this path takes PUT."),
    ] {
        let answer = sandbox.control(method, path, "").await;
        let expected = format!(
            "There is no endpoint `{method} {path}`{wrong}\n\nA simulated Genesys Cloud presence API."
        );
        assert_eq!(answer.status, 404, "{method} {path}");
        assert!(answer.text.starts_with(&expected), "{}", answer.text);
    }
}

#[tokio::test]
async fn the_journal_lists_requests_without_tokens_or_bodies() {
    let sandbox = start().await;
    sandbox
        .get("/api/v2/users/presences/purecloud/bulk?id=a%2Cb&id=c")
        .await;
    let body = json!({"message": "a secret message"});
    sandbox
        .send_json(
            "PATCH",
            &format!("/api/v2/users/{FIRST}/presences/purecloud"),
            body,
        )
        .await;
    let secret = sandbox
        .client
        .get(format!("http://{}{ANY}", sandbox.address));
    let answered = send(secret.bearer_auth("a-secret-token")).await;
    sandbox.misbehaving(ANY, "status=503").await;
    let cut = sandbox
        .request("GET", ANY)
        .header("X-Sandbox-Misbehave", "cut");
    assert!(cut.send().await.is_err());

    let list = sandbox.control("GET", "/sandbox/requests", "").await;
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

    sandbox
        .control("DELETE", "/sandbox/requests", "")
        .await
        .json(200);
    let list = sandbox
        .control("GET", "/sandbox/requests", "")
        .await
        .json(200);
    assert_eq!(list, json!({"forgotten": 5, "requests": []}));
}

#[tokio::test]
async fn a_reset_removes_added_users_and_rules() {
    let sandbox = start().await;
    let presence = |user: &str| format!("/api/v2/users/{user}/presences/purecloud");
    assert_eq!(sandbox.get(&presence("new")).await.status, 404);
    let users = sandbox
        .control("POST", "/sandbox/users", r#"["new", "newer"]"#)
        .await
        .json(200);
    assert_eq!(users["users"].as_array().unwrap().len(), 102);
    sandbox
        .control("POST", "/sandbox/users", "third, fourth\nfifth")
        .await
        .json(200);
    for user in ["new", "newer", "third", "fourth", "fifth"] {
        assert_eq!(sandbox.get(&presence(user)).await.status, 200, "{user}");
    }
    for wrong in ["", "[]", "[1]", "{", r#"{"ids": []}"#] {
        assert_eq!(
            sandbox
                .control("POST", "/sandbox/users", wrong)
                .await
                .status,
            400,
            "{wrong}"
        );
    }
    sandbox
        .control("POST", "/sandbox/misbehave", "html")
        .await
        .json(200);
    sandbox
        .control("POST", "/sandbox/reset", "")
        .await
        .json(200);
    assert_eq!(sandbox.get(&presence("new")).await.status, 404);
    assert_eq!(sandbox.get(&presence(FIRST)).await.status, 200);
}
