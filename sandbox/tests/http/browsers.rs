//! What browsers get, and what they may not do.

use serde_json::json;

use super::*;

const ANY: &str = "/api/v2/systempresences";

#[tokio::test]
async fn a_browser_gets_a_page_and_curl_a_text() {
    let sandbox = start().await;
    let url = format!("http://{}/", sandbox.address);
    let accepting = |types: &str| sandbox.client.get(&url).header("accept", types);
    let page = send(accepting("text/html,application/xhtml+xml,*/*;q=0.8")).await;
    assert_eq!(
        (page.status, page.header("content-type")),
        (200, "text/html; charset=utf-8")
    );
    let again = send(accepting("text/html")).await;
    let [first, second] = [&page, &again].map(|page| {
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; "), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        let (_, nonce) = policy.split_once("script-src 'nonce-").unwrap();
        let nonce = nonce.split('\'').next().unwrap().to_owned();
        assert!(page.text.contains(&format!("<script nonce=\"{nonce}\">")));
        nonce
    });
    assert_ne!(first, second, "a nonce is for one response");
    let text = send(accepting("*/*")).await;
    assert_eq!(text.header("content-type"), "text/plain; charset=utf-8");
    assert!(text.text.contains("Commands to paste:"), "{}", text.text);

    let favicon = sandbox.control("GET", "/favicon.ico", "").await;
    assert_eq!(favicon.status, 404);
    let journal = sandbox.control("GET", "/sandbox/requests", "").await;
    assert_eq!(journal.json(200)["requests"], json!([]));
    send(sandbox.request("POST", "/"))
        .await
        .error(404, "not.found");
}

#[tokio::test]
async fn a_web_page_of_somebody_else_cannot_use_the_control_endpoints() {
    let sandbox = start().await;
    let host = sandbox.address.as_str();
    let port = host.rsplit(':').next().unwrap();
    let (own, page) = (format!("http://{host}"), format!("http://localhost:{port}"));
    let localhost = format!("localhost:{port}");
    let rebound = format!("evil.example:{port}");
    let its_page = format!("http://{rebound}");
    let other_port = "http://127.0.0.1:3000".to_owned();
    let (none, null) = (String::new(), "null".to_owned());
    for (method, host, origin, status) in [
        ("POST", host, &none, 200),
        ("POST", host, &own, 200),
        ("POST", localhost.as_str(), &page, 200),
        ("POST", host, &other_port, 403),
        ("POST", host, &its_page, 403),
        ("POST", host, &null, 403),
        ("POST", rebound.as_str(), &its_page, 403),
        ("GET", rebound.as_str(), &none, 403),
        ("GET", host, &other_port, 200),
    ] {
        let url = format!("{own}/sandbox/users");
        let mut request = sandbox.client.request(method.parse().unwrap(), url);
        request = request.header("host", host).body("alice");
        if !origin.is_empty() {
            request = request.header("origin", origin);
        }
        let reply = send(request).await;
        assert_eq!(
            reply.status, status,
            "{method} {host} {origin}: {}",
            reply.text
        );
    }
    // Also where it listens on every address, as in a container.
    let open = start_at("0.0.0.0:0", |args| args.allowed_hosts = ".test".to_owned()).await;
    for (host, status) in [
        ("evil.example", 403),
        ("sandbox.test:8080", 200),
        ("sandbox", 200),
        ("192.0.2.1", 200),
    ] {
        for (method, path) in [
            ("POST", "/sandbox/reset"),
            ("GET", "/"),
            ("GET", "/sandbox"),
        ] {
            let url = format!("http://{}{path}", open.address);
            let request = open.client.request(method.parse().unwrap(), url);
            let origin = format!("http://{host}");
            let request = request.header("host", host).header("origin", origin);
            let reply = send(request.header("accept", "text/html")).await;
            assert_eq!(
                reply.status, status,
                "{method} {path} {host}: {}",
                reply.text
            );
        }
    }
    // The simulated API is for any name: programs call it in the vendor's place.
    let renamed = sandbox
        .request("GET", ANY)
        .header("host", "api.mypurecloud.com");
    assert_eq!(send(renamed).await.status, 200);
}
