//! What is sent: the REST request of each RPC, in every detail.

use http::Method;
use serde_json::{Value, json};

use crate::support::{Gateway, ReceivedRequest, Vendor, methods};

/// What an RPC is called with, and what must go out.
struct Row {
    rpc: &'static str,
    request: Value,
    method: Method,
    path: &'static str,
    query: &'static [(&'static str, &'static str)],
    body: Option<Value>,
    answer: &'static str,
}

fn row(rpc: &'static str, request: Value, method: Method, path: &'static str) -> Row {
    let answer = match rpc {
        _ if method == Method::DELETE => "",
        "GetSystempresences" => "[]",
        _ if rpc.contains("Bulk") => "[]",
        _ => "{}",
    };
    Row {
        rpc,
        request,
        method,
        path,
        query: &[],
        body: None,
        answer,
    }
}

impl Row {
    fn query(self, query: &'static [(&'static str, &'static str)]) -> Self {
        Self { query, ..self }
    }

    /// The body is the request's own, spelt by the vendor.
    fn body(self) -> Self {
        Self {
            body: Some(self.request["body"].clone()),
            ..self
        }
    }
}

/// One row or more for each RPC.
fn table() -> Vec<Row> {
    let definition = json!({
        "id": "d", "name": "Lunch", "type": "User", "languageLabels": {"en_US": "Lunch", "": ""},
        "systemPresence": "Meal", "divisionId": "*", "deactivated": false, "selfUri": "/x",
    });
    let organization_presence = json!({
        "name": "", "languageLabels": {"de": "Mittag"}, "systemPresence": "On Queue",
        "deactivated": false, "primary": true,
        "createdBy": {"id": "u", "name": "Zo\u{eb}", "email": "", "selfUri": "/u"},
        "createdDate": "2026-11-23T10:15:30.123Z", "modifiedDate": "0001-01-01T00:00:00.000Z",
    });
    let presence = json!({
        "id": "p", "name": "n", "source": "PURECLOUD", "sourceId": "s", "primary": false,
        "presenceDefinition": {"id": "d", "systemPresence": "Available", "selfUri": "/d"},
        "futurePresenceDefinition": {"id": "f"}, "message": "",
        "modifiedDate": "9999-12-31T23:59:59.999Z", "selfUri": "/p",
    });
    let settings = json!({
        "id": "s", "name": "", "requestingOffQueueEnabled": false,
        "restorePresenceSettings":
            {"enabled": false, "restoreTimeMilliseconds": 0, "restoreOnQueueEnabled": true},
        "defaultPrimaryPresenceRegisteredSourceId": "r", "selfUri": "/s",
    });
    let source =
        json!({"name": "Door", "description": "", "type": "RegisteredSource", "deactivated": true});
    let primary = json!({"sourceId": "s", "registered": false});
    vec![
        row(
            "DeletePresenceDefinition",
            json!({"definitionId": "d"}),
            Method::DELETE,
            "/api/v2/presence/definitions/d",
        ),
        row(
            "DeletePresenceSource",
            json!({"sourceId": "s"}),
            Method::DELETE,
            "/api/v2/presence/sources/s",
        ),
        row(
            "GetPresenceDefinition",
            json!({"definitionId": "d", "localeCode": "ALL"}),
            Method::GET,
            "/api/v2/presence/definitions/d",
        )
        .query(&[("localeCode", "ALL")]),
        row("GetPresenceDefinitions", json!({}), Method::GET, "/api/v2/presence/definitions"),
        row(
            "GetPresenceDefinitions",
            json!({"deactivated": "", "divisionId": ["*", "a b"], "localeCode": "pt_BR"}),
            Method::GET,
            "/api/v2/presence/definitions",
        )
        .query(&[("deactivated", ""), ("divisionId", "*,a b"), ("localeCode", "pt_BR")]),
        row("GetPresenceSettings", json!({}), Method::GET, "/api/v2/presence/settings"),
        row("GetPresenceSource", json!({"sourceId": "s"}), Method::GET, "/api/v2/presence/sources/s"),
        row("GetPresenceSources", json!({}), Method::GET, "/api/v2/presence/sources"),
        row(
            "GetPresenceSources",
            json!({"deactivated": "true"}),
            Method::GET,
            "/api/v2/presence/sources",
        )
        .query(&[("deactivated", "true")]),
        row(
            "GetPresenceUserPrimarysource",
            json!({"userId": "u"}),
            Method::GET,
            "/api/v2/presence/users/u/primarysource",
        ),
        row("GetSystempresences", json!({}), Method::GET, "/api/v2/systempresences"),
        row(
            "GetUserPresence",
            json!({"userId": "u", "sourceId": "s"}),
            Method::GET,
            "/api/v2/users/u/presences/s",
        ),
        row(
            "GetUserPresencesPurecloud",
            json!({"userId": "u"}),
            Method::GET,
            "/api/v2/users/u/presences/purecloud",
        ),
        row(
            "GetUsersPresenceBulk",
            json!({"sourceId": "s", "id": ["a", "b/%", "a", "\u{e9}"], "allowPartialResults": true}),
            Method::GET,
            "/api/v2/users/presences/s/bulk",
        )
        .query(&[("id", "a,b/%,\u{e9}")]),
        row(
            "GetUsersPresencesPurecloudBulk",
            json!({}),
            Method::GET,
            "/api/v2/users/presences/purecloud/bulk",
        ),
        row(
            "GetUsersPresencesPurecloudBulk",
            json!({"id": ["a"]}),
            Method::GET,
            "/api/v2/users/presences/purecloud/bulk",
        )
        .query(&[("id", "a")]),
        row(
            "PatchUserPresence",
            json!({"userId": "u", "sourceId": "s", "body": presence}),
            Method::PATCH,
            "/api/v2/users/u/presences/s",
        )
        .body(),
        row(
            "PatchUserPresencesPurecloud",
            json!({"userId": "u", "body": {}}),
            Method::PATCH,
            "/api/v2/users/u/presences/purecloud",
        )
        .body(),
        row(
            "PostPresenceDefinitions",
            json!({"body": definition}),
            Method::POST,
            "/api/v2/presence/definitions",
        )
        .body(),
        row("PostPresenceSources", json!({"body": source}), Method::POST, "/api/v2/presence/sources")
            .body(),
        row(
            "PutPresenceDefinition",
            json!({"definitionId": "d", "body": definition}),
            Method::PUT,
            "/api/v2/presence/definitions/d",
        )
        .body(),
        row("PutPresenceSettings", json!({"body": settings}), Method::PUT, "/api/v2/presence/settings")
            .body(),
        row(
            "PutPresenceSource",
            json!({"sourceId": "s", "body": source}),
            Method::PUT,
            "/api/v2/presence/sources/s",
        )
        .body(),
        row(
            "PutPresenceUserPrimarysource",
            json!({"userId": "u", "body": primary}),
            Method::PUT,
            "/api/v2/presence/users/u/primarysource",
        )
        .body(),
        row(
            "PutUsersPresencesBulk",
            json!({"body": [presence, {"id": "q", "primary": true}], "allowPartialResults": true}),
            Method::PUT,
            "/api/v2/users/presences/bulk",
        )
        .body(),
        row(
            "DeleteOrganizationPresence",
            json!({"presenceId": "p"}),
            Method::DELETE,
            "/api/v2/presencedefinitions/p",
        ),
        row(
            "GetOrganizationPresence",
            json!({"presenceId": "p", "localeCode": "he"}),
            Method::GET,
            "/api/v2/presencedefinitions/p",
        )
        .query(&[("localeCode", "he")]),
        row(
            "GetOrganizationPresences",
            json!({"pageNumber": 0, "pageSize": 5_000_000_000_i64, "deleted": "ALL", "localeCode": "en_US"}),
            Method::GET,
            "/api/v2/presencedefinitions",
        )
        .query(&[
            ("pageNumber", "0"),
            ("pageSize", "5000000000"),
            ("deleted", "ALL"),
            ("localeCode", "en_US"),
        ]),
        row(
            "PostOrganizationPresences",
            json!({"body": organization_presence}),
            Method::POST,
            "/api/v2/presencedefinitions",
        )
        .body(),
        row(
            "PutOrganizationPresence",
            json!({"presenceId": "p", "body": organization_presence}),
            Method::PUT,
            "/api/v2/presencedefinitions/p",
        )
        .body(),
    ]
}

#[test]
fn every_rpc_has_a_row() {
    let table = table();
    for rpc in methods() {
        let has_row = table.iter().any(|row| row.rpc == rpc.name());
        assert!(
            has_row,
            "{} has no row in this file: say what it must send",
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
    assert!(unknown.is_empty(), "the vendor was also sent {unknown:?}");
}

#[tokio::test]
async fn an_id_is_one_segment_whatever_it_holds() {
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
async fn a_list_is_one_parameter_and_nothing_in_it_can_become_another() {
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
async fn a_date_is_written_as_the_vendor_writes_it() {
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
async fn a_prefix_of_the_upstreams_path_stands_before_the_path() {
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
