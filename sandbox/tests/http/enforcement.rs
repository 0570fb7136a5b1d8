//! What the vendor enforces, and the shape of its errors.

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;

const ANY: &str = "/api/v2/systempresences";

fn patched() -> String {
    format!("/api/v2/users/{FIRST}/presences/purecloud")
}

async fn as_token(served: &Served, method: &str, path: &str, token: &str) -> Received {
    let url = format!("http://{}{path}", served.address);
    let request = served
        .client
        .request(method.parse().unwrap(), url)
        .bearer_auth(token);
    received(json(request, &json!({"message": "x"}))).await
}

#[tokio::test]
async fn a_bearer_token_is_needed() {
    let served = sandbox().await;
    let url = format!("http://{}{ANY}", served.address);
    for authorization in [
        None,
        Some("Basic abc"),
        Some("Bearer"),
        Some("Bearer  "),
        Some("t"),
    ] {
        let mut request = served.client.get(&url);
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        received(request)
            .await
            .error(401, "authentication.required");
    }
    let lower = served.client.get(&url).header("authorization", "bearer t");
    assert_eq!(received(lower).await.status, 200);
}

#[tokio::test]
async fn magic_tokens_are_refused_as_their_names_say() {
    let served = sandbox().await;
    as_token(&served, "GET", ANY, "expired")
        .await
        .error(401, "credentials.expired");

    let path = "/api/v2/presence/settings";
    let one = as_token(&served, "GET", path, "forbidden")
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
    let any = as_token(&served, "DELETE", &path, "forbidden").await;
    let any = any.error(403, "missing.any.permissions");
    assert_eq!(
        any["messageParams"]["permissions"],
        "presence:presenceDefinition:delete, presence:presenceDefinition:edit"
    );
    let change = as_token(&served, "PATCH", &patched(), "forbidden").await;
    change.error(403, "missing.any.permissions");
    as_token(&served, "GET", ANY, "forbidden")
        .await
        .error(403, "not.authorized");
}

#[tokio::test]
async fn unknown_paths_and_wrong_methods_are_told_in_the_vendors_shape() {
    let served = sandbox().await;
    for path in [
        "/",
        "/api/v2",
        "/api/v2/presence",
        "/api/v2/presence/sources/",
        "/api/v2//x",
    ] {
        served.get(path).await.error(404, "not.found");
    }
    let wrong = received(served.request("POST", "/api/v2/presence/settings")).await;
    wrong.error(405, "method.not.allowed");
    assert_eq!(wrong.header("allow"), "GET, PUT");
    let wrong = received(served.request("PATCH", "/api/v2/users/presences/purecloud/bulk")).await;
    assert_eq!((wrong.status, wrong.header("allow")), (405, "GET"));
}

#[tokio::test]
async fn a_body_must_be_json_of_bounded_size() {
    let served = sandbox().await;
    let patch = || served.request("PATCH", &patched());
    received(patch().body("{}"))
        .await
        .error(415, "unsupported.media.type");
    let form = patch()
        .header("content-type", "application/x-www-form-urlencoded")
        .body("a=b");
    received(form).await.error(415, "unsupported.media.type");
    let typed = || patch().header("content-type", "application/json; charset=utf-8");
    for malformed in ["", "{", "{\"message\":}", "nonsense"] {
        received(typed().body(malformed))
            .await
            .error(400, "bad.request");
    }
    let sized = |bytes: usize| json!({"message": "x".repeat(bytes - r#"{"message":""}"#.len())});
    assert_eq!(received(json(patch(), &sized(512_000))).await.status, 200);
    let large = received(json(patch(), &sized(512_001))).await;
    let large = large.error(413, "request.entity.too.large");
    assert_eq!(
        large["message"],
        "The request is over the size limit. Maximum bytes: 512000"
    );
    assert_eq!(received(json(patch(), &sized(4_000_000))).await.status, 413);
}

#[tokio::test]
async fn three_hundred_requests_a_minute_are_allowed_to_a_token() {
    let served = sandbox().await;
    for _ in 0..300 {
        assert_eq!(served.get(ANY).await.status, 200);
    }
    let refused = served.get(ANY).await;
    let seconds: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&seconds));
    let body = refused.error(429, "too.many.requests.retry.after");
    assert_eq!(
        body["message"],
        format!("Rate limit exceeded the maximum. Retry the request in [{seconds}] seconds")
    );
    assert_eq!(as_token(&served, "GET", ANY, "other").await.status, 200);
    assert_eq!(served.control("GET", "/sandbox", "").await.status, 200);
}

#[tokio::test]
async fn every_answer_has_a_fresh_correlation_id() {
    let served = sandbox().await;
    let mut seen = std::collections::HashSet::new();
    for path in [ANY, ANY, "/nowhere", "/api/v2/presence/sources/none"] {
        let id = served
            .get(path)
            .await
            .header("inin-correlation-id")
            .to_owned();
        assert_eq!(id.len(), 36);
        assert!(seen.insert(id));
    }
}

#[tokio::test]
async fn headers_are_spelt_as_the_official_sdks_look_for_them() {
    let served = sandbox_with(|args| args.rate_limit = "1".into()).await;
    served.get(ANY).await;
    let mut stream = TcpStream::connect(&served.address).await.unwrap();
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
    let served = sandbox().await;
    served
        .control("POST", "/sandbox/users", r#"["a/b", "100%25", "é?#"]"#)
        .await
        .json(200);
    for (segment, id) in [
        ("a%2Fb", "a/b"),
        ("100%2525", "100%25"),
        ("%C3%A9%3F%23", "é?#"),
    ] {
        let presence = served
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
    let served = sandbox().await;
    let url = format!("http://{}/oauth/token", served.address);
    let form = "application/x-www-form-urlencoded";
    let ask = |body: &'static str| {
        let request = served.client.post(&url).basic_auth("id", Some("secret"));
        request.header("content-type", form).body(body)
    };
    let granted = received(ask("grant_type=client_credentials"))
        .await
        .json(200);
    assert_eq!(
        (&granted["token_type"], &granted["expires_in"]),
        (&json!("bearer"), &json!(86399))
    );
    let token = granted["access_token"].as_str().unwrap();
    assert_eq!(as_token(&served, "GET", ANY, token).await.status, 200);

    let refused = received(ask("grant_type=password")).await.json(400);
    assert_eq!(refused["error"], "unsupported_grant_type");
    let refused = received(ask("")).await.json(400);
    assert_eq!(refused["error"], "invalid_request");
    assert!(refused["error_description"].is_string());
    let anonymous = served
        .client
        .post(&url)
        .body("grant_type=client_credentials");
    assert_eq!(
        received(anonymous).await.json(401)["error"],
        "invalid_client"
    );
}
