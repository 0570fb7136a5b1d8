//! The columns: a call of each kind.

use serde_json::{Value, json};

/// A kind of call, by one RPC.
pub struct Column {
    pub name: &'static str,
    pub rpc: &'static str,
    pub request: Value,
    /// A field of the request as the vendor names it, and as the caller knows it.
    pub field: [&'static str; 2],
    /// What the vendor answers where all is well.
    pub answer: &'static str,
}

impl Column {
    pub fn is_write(&self) -> bool {
        !self.rpc.starts_with("Get")
    }

    pub fn is_bulk_write(&self) -> bool {
        self.rpc == "PutUsersPresencesBulk"
    }
}

/// How many users a bulk call is about: those of a batch, and one more.
pub const USERS: usize = 51;

/// In the order of a row's cells.
pub fn columns() -> [Column; 7] {
    let users = || (0..USERS).map(|n| format!("user-{n}"));
    let ids: Vec<String> = users().collect();
    let updates: Vec<Value> = users().map(|id| json!({ "id": id })).collect();
    let user = json!({"userId": "u", "body": {"message": "m"}});
    let column = |name, rpc, request, field, answer| Column {
        name,
        rpc,
        request,
        field,
        answer,
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
