//! The REST request of each RPC: method, path, query, body and headers.

mod table;

use serde_json::json;

use crate::support::{Gateway, ReceivedRequest, Vendor, methods};
use table::table;

#[test]
fn every_rpc_has_a_row() {
    let table = table();
    for rpc in methods() {
        let has_row = table.iter().any(|row| row.rpc == rpc.name());
        assert!(
            has_row,
            "{} has no row in requests/table.rs: add the request that it must send",
            rpc.name()
        );
    }
}

#[tokio::test]
async fn every_rpc_sends_its_rest_request() {
    for row in table() {
        let vendor = Vendor::with_response(200, row.answer).await;
        let gateway = Gateway::start(&vendor).await;
        let answer = gateway.call(row.rpc, row.request).await;
        answer.unwrap_or_else(|status| panic!("{}: {status:?}", row.rpc));
        let sent = vendor.single_request();
        assert_eq!(
            (&sent.method, sent.path()),
            (&row.method, row.path),
            "{}",
            row.rpc
        );
        let query: Vec<_> = sent.query();
        let query: Vec<_> = query
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        assert_eq!(query, row.query, "{}", row.rpc);
        assert_eq!(
            (!sent.body.is_empty()).then(|| sent.json()),
            row.body,
            "{}",
            row.rpc
        );
        check_headers(&sent, row.body.is_some());
    }
}

fn check_headers(sent: &ReceivedRequest, has_body: bool) {
    let header = |name: &str| sent.headers.get(name).map(|value| value.to_str().unwrap());
    assert_eq!(header("authorization"), Some("Bearer token"));
    assert_eq!(header("accept"), Some("application/json"));
    assert_eq!(header("accept-encoding"), Some("identity"));
    assert_eq!(
        header("user-agent"),
        Some(concat!("presence-gateway/", env!("CARGO_PKG_VERSION")))
    );
    assert_eq!(
        header("content-type"),
        has_body.then_some("application/json")
    );
    let known = [
        "authorization",
        "accept",
        "accept-encoding",
        "user-agent",
        "content-type",
        "content-length",
        "host",
    ];
    let unknown: Vec<_> = sent
        .headers
        .keys()
        .filter(|key| !known.contains(&key.as_str()))
        .collect();
    assert!(unknown.is_empty(), "the gateway also sent {unknown:?}");
}

#[tokio::test]
async fn any_id_is_sent_as_one_path_segment() {
    let vendor = Vendor::with_response(200, "{}").await;
    let gateway = Gateway::start(&vendor).await;
    for (id, segment) in [
        ("a/b", "a%2Fb"),
        ("/", "%2F"),
        ("..%2f..", "..%252f.."),
        ("a?b#c&d=e;f", "a%3Fb%23c%26d%3De%3Bf"),
        ("\\a\\", "%5Ca%5C"),
        ("\r\n\t\0", "%0D%0A%09%00"),
        ("%2e%2e", "%252e%252e"),
        ("...", "..."),
        (" ", "%20"),
        ("Zo\u{eb}\u{1f355}\u{202e}", "Zo%C3%AB%F0%9F%8D%95%E2%80%AE"),
        ("a-b_c.d~e", "a-b_c.d~e"),
        ("a:b@c!$'()*+,", "a%3Ab%40c%21%24%27%28%29%2A%2B%2C"),
    ] {
        gateway
            .call("GetUserPresencesPurecloud", json!({"userId": id}))
            .await
            .unwrap();
        let sent = vendor.received().pop().unwrap();
        assert_eq!(
            sent.path_and_query,
            format!("/api/v2/users/{segment}/presences/purecloud")
        );
    }
    let longest = "x".repeat(256);
    gateway
        .call("GetUserPresencesPurecloud", json!({"userId": longest}))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_list_is_sent_as_one_parameter_with_its_elements_escaped() {
    let vendor = Vendor::with_response(200, "[]").await;
    let gateway = Gateway::start(&vendor).await;
    let ids = json!({"id": ["a&id=b", "c=d", "#", "+", "%2C", "?"]});
    gateway
        .call("GetUsersPresencesPurecloudBulk", ids)
        .await
        .unwrap();
    let sent = vendor.single_request();
    assert_eq!(
        sent.path_and_query,
        "/api/v2/users/presences/purecloud/bulk?id=a%26id%3Db%2Cc%3Dd%2C%23%2C%2B%2C%252C%2C%3F"
    );
}

#[tokio::test]
async fn a_date_is_sent_in_the_vendors_format() {
    let vendor = Vendor::with_response(200, "{}").await;
    let gateway = Gateway::start(&vendor).await;
    for (date, written) in [
        ("2026-11-23T10:15:30Z", "2026-11-23T10:15:30.000Z"),
        ("2026-11-23T10:15:30.123456789Z", "2026-11-23T10:15:30.123Z"),
        ("1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"),
    ] {
        let request = json!({"userId": "u", "body": {"modifiedDate": date}});
        gateway
            .call("PatchUserPresencesPurecloud", request)
            .await
            .unwrap();
        assert_eq!(
            vendor.received().pop().unwrap().json()["modifiedDate"],
            written
        );
    }
}

#[tokio::test]
async fn the_path_of_the_upstream_url_prefixes_the_path() {
    let vendor = Vendor::with_response(200, "{}").await;
    for prefix in ["/genesys/eu", "/genesys/eu/"] {
        let upstream = format!("http://{}{prefix}", vendor.address);
        let gateway = Gateway::start_at(&upstream).await;
        gateway
            .call("GetPresenceSettings", json!({}))
            .await
            .unwrap();
        let sent = vendor.received().pop().unwrap();
        assert_eq!(sent.path_and_query, "/genesys/eu/api/v2/presence/settings");
    }
}
