//! The columns of the fault table: a call of each kind.

use serde_json::{Value, json};

/// A kind of call, represented by one RPC.
pub struct Column {
    pub name: &'static str,
    pub rpc: &'static str,
    pub request: Value,
    /// A field of the request: its name at the vendor, and its path in the proto.
    pub field: [&'static str; 2],
    /// The body of a successful response.
    pub body: &'static str,
}

impl Column {
    pub fn is_write(&self) -> bool {
        !self.rpc.starts_with("Get")
    }

    pub fn is_bulk_write(&self) -> bool {
        self.rpc == "PutUsersPresencesBulk"
    }
}

/// The users of a bulk call: those of a full batch, and one more.
pub const USERS: usize = 51;

/// The columns, in the order of the cells of a row.
pub fn columns() -> [Column; 7] {
    let users = || (0..USERS).map(|n| format!("user-{n}"));
    let ids: Vec<String> = users().collect();
    let updates: Vec<Value> = users().map(|id| json!({ "id": id })).collect();
    let user = json!({"userId": "u", "body": {"message": "m"}});
    let column = |name, rpc, request, field, body| Column {
        name,
        rpc,
        request,
        field,
        body,
    };
    [
        column(
            "GET",
            "GetUserPresencesPurecloud",
            json!({"userId": "u"}),
            ["userId", "user_id"],
            "{}",
        ),
        column(
            "PUT",
            "PutPresenceDefinition",
            json!({"definitionId": "d", "body": {}}),
            ["languageLabels", "body.language_labels"],
            "{}",
        ),
        column(
            "PATCH",
            "PatchUserPresencesPurecloud",
            user,
            ["presenceDefinition.id", "body.presence_definition.id"],
            "{}",
        ),
        column(
            "POST",
            "PostPresenceSources",
            json!({"body": {}}),
            ["selfUri", "body.self_uri"],
            "{}",
        ),
        column(
            "DELETE",
            "DeletePresenceSource",
            json!({"sourceId": "s"}),
            ["sourceId", "source_id"],
            "",
        ),
        column(
            "bulk read",
            "GetUsersPresencesPurecloudBulk",
            json!({ "id": ids }),
            ["id", "ids"],
            "[]",
        ),
        column(
            "bulk write",
            "PutUsersPresencesBulk",
            json!({ "body": updates }),
            ["[7].presenceDefinition", "body[7].presence_definition"],
            "[]",
        ),
    ]
}
