//! Limits that the vendor enforces, and the format of its errors.

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;

const ANY: &str = "/api/v2/systempresences";

fn presence_path() -> String {
    format!("/api/v2/users/{FIRST}/presences/purecloud")
}

async fn send_with_token(sandbox: &RunningSandbox, method: &str, path: &str, token: &str) -> Reply {
    let url = format!("http://{}{path}", sandbox.address);
    let request = sandbox
        .client
        .request(method.parse().unwrap(), url)
        .bearer_auth(token);
    send(json(request, &json!({"message": "x"}))).await
}

#[tokio::test]
async fn a_request_needs_a_bearer_token() {
    let sandbox = start().await;
    let url = format!("http://{}{ANY}", sandbox.address);
    for authorization in [
        None,
        Some("Basic abc"),
        Some("Bearer"),
        Some("Bearer  "),
        Some("t"),
    ] {
        let mut request = sandbox.client.get(&url);
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        send(request).await.error(401, "authentication.required");
    }
    let lower = sandbox.client.get(&url).header("authorization", "bearer t");
    assert_eq!(send(lower).await.status, 200);
}

#[tokio::test]
async fn magic_tokens_cause_the_error_of_their_name() {
    let sandbox = start().await;
    send_with_token(&sandbox, "GET", ANY, "expired")
        .await
        .error(401, "credentials.expired");

    let path = "/api/v2/presence/settings";
    let one = send_with_token(&sandbox, "GET", path, "forbidden")
        .await
        .error(403, "missing.permissions");
    assert_eq!(
        one["messageParams"],
        json!({"permissions": "presence:settings:view"})
    );
    assert!(
        one["message"]
            .as_str()
            .unwrap()
            .ends_with("permission(s): presence:settings:view")
    );
    assert!(
        one["messageWithParams"]
            .as_str()
            .unwrap()
            .ends_with("{permissions}")
    );

    let path = format!("/api/v2/presence/definitions/{BUSY}");
    let any = send_with_token(&sandbox, "DELETE", &path, "forbidden").await;
    let any = any.error(403, "missing.any.permissions");
    assert_eq!(
        any["messageParams"]["permissions"],
        "presence:presenceDefinition:delete, presence:presenceDefinition:edit"
    );
    let change = send_with_token(&sandbox, "PATCH", &presence_path(), "forbidden").await;
    change.error(403, "missing.any.permissions");
    send_with_token(&sandbox, "GET", ANY, "forbidden")
        .await
        .error(403, "not.authorized");
}

#[tokio::test]
async fn unknown_paths_and_methods_return_errors_in_the_vendor_format() {
    let sandbox = start().await;
    for path in [
        "/elsewhere",
        "/api/v2",
        "/api/v2/presence",
        "/api/v2/presence/sources/",
        "/api/v2//x",
    ] {
        sandbox.get(path).await.error(404, "not.found");
    }
    let wrong = send(sandbox.request("POST", "/api/v2/presence/settings")).await;
    wrong.error(405, "method.not.allowed");
    assert_eq!(wrong.header("allow"), "GET, PUT");
    let wrong = send(sandbox.request("PATCH", "/api/v2/users/presences/purecloud/bulk")).await;
    assert_eq!((wrong.status, wrong.header("allow")), (405, "GET"));
}

#[tokio::test]
async fn a_body_must_be_json_of_at_most_512000_bytes() {
    let sandbox = start().await;
    let patch = || sandbox.request("PATCH", &presence_path());
    send(patch().body("{}"))
        .await
        .error(415, "unsupported.media.type");
    let form = patch()
        .header("content-type", "application/x-www-form-urlencoded")
        .body("a=b");
    send(form).await.error(415, "unsupported.media.type");
    let typed = || patch().header("content-type", "application/json; charset=utf-8");
    for malformed in ["", "{", "{\"message\":}", "nonsense"] {
        send(typed().body(malformed))
            .await
            .error(400, "bad.request");
    }
    let sized = |bytes: usize| json!({"message": "x".repeat(bytes - r#"{"message":""}"#.len())});
    assert_eq!(send(json(patch(), &sized(512_000))).await.status, 200);
    let large = send(json(patch(), &sized(512_001))).await;
    let large = large.error(413, "request.entity.too.large");
    assert_eq!(
        large["message"],
        "The request is over the size limit. Maximum bytes: 512000"
    );
    assert_eq!(send(json(patch(), &sized(4_000_000))).await.status, 413);
}

#[tokio::test]
async fn a_token_may_send_300_requests_a_minute() {
    let sandbox = start().await;
    for _ in 0..300 {
        assert_eq!(sandbox.get(ANY).await.status, 200);
    }
    let rejected = sandbox.get(ANY).await;
    let seconds: u64 = rejected.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&seconds));
    let body = rejected.error(429, "too.many.requests.retry.after");
    assert_eq!(
        body["message"],
        format!("Rate limit exceeded the maximum. Retry the request in [{seconds}] seconds")
    );
    assert_eq!(
        send_with_token(&sandbox, "GET", ANY, "other").await.status,
        200
    );
    assert_eq!(sandbox.control("GET", "/sandbox", "").await.status, 200);
}

#[tokio::test]
async fn every_reply_has_a_new_correlation_id() {
    let sandbox = start().await;
    let mut seen = std::collections::HashSet::new();
    for path in [ANY, ANY, "/nowhere", "/api/v2/presence/sources/none"] {
        let id = sandbox
            .get(path)
            .await
            .header("inin-correlation-id")
            .to_owned();
        assert_eq!(id.len(), 36);
        assert!(seen.insert(id));
    }
}

#[tokio::test]
async fn header_names_have_the_case_that_the_official_sdks_expect() {
    let sandbox = start_with(|args| args.rate_limit = "1".into()).await;
    sandbox.get(ANY).await;
    let mut stream = TcpStream::connect(&sandbox.address).await.unwrap();
    let request = format!(
        "GET {ANY} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer t\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 429 Too Many Requests\r\n"),
        "{answer}"
    );
    assert!(answer.contains("\r\nRetry-After: "), "{answer}");
    assert!(
        answer.contains("\r\nContent-Type: application/json\r\n"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_path_segment_is_decoded_once() {
    let sandbox = start().await;
    sandbox
        .control("POST", "/sandbox/users", r#"["a/b", "100%25", "é?#"]"#)
        .await
        .json(200);
    for (segment, id) in [
        ("a%2Fb", "a/b"),
        ("100%2525", "100%25"),
        ("%C3%A9%3F%23", "é?#"),
    ] {
        let presence = sandbox
            .get(&format!("/api/v2/users/{segment}/presences/purecloud"))
            .await;
        assert_eq!(
            presence.json(200)["selfUri"],
            format!("/api/v2/users/{id}/presences")
        );
    }
}

#[tokio::test]
async fn client_credentials_get_a_token() {
    let sandbox = start().await;
    let url = format!("http://{}/oauth/token", sandbox.address);
    let form = "application/x-www-form-urlencoded";
    let request_token = |body: &'static str| {
        let request = sandbox.client.post(&url).basic_auth("id", Some("secret"));
        request.header("content-type", form).body(body)
    };
    let granted = send(request_token("grant_type=client_credentials"))
        .await
        .json(200);
    assert_eq!(
        (&granted["token_type"], &granted["expires_in"]),
        (&json!("bearer"), &json!(86399))
    );
    let token = granted["access_token"].as_str().unwrap();
    assert_eq!(
        send_with_token(&sandbox, "GET", ANY, token).await.status,
        200
    );

    let rejected = send(request_token("grant_type=password")).await.json(400);
    assert_eq!(rejected["error"], "unsupported_grant_type");
    let rejected = send(request_token("")).await.json(400);
    assert_eq!(rejected["error"], "invalid_request");
    assert!(rejected["error_description"].is_string());
    let anonymous = sandbox
        .client
        .post(&url)
        .body("grant_type=client_credentials");
    assert_eq!(send(anonymous).await.json(401)["error"], "invalid_client");
}
