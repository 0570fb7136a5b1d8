//! The table: the REST request of each RPC.

use http::Method;
use serde_json::{Value, json};

/// A call, and the REST request that it must send.
pub struct Row {
    pub rpc: &'static str,
    pub request: Value,
    pub method: Method,
    pub path: &'static str,
    pub query: &'static [(&'static str, &'static str)],
    pub body: Option<Value>,
    pub answer: &'static str,
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

    /// Expects the body of the call, with the vendor's field names.
    fn body(self) -> Self {
        Self {
            body: Some(self.request["body"].clone()),
            ..self
        }
    }
}

/// One or more rows for each RPC.
pub fn table() -> Vec<Row> {
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
