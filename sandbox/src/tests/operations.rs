//! The sandbox has the operations of the vendor, as recorded in the fixture.

use serde_json::{Value, json};

use crate::operation::{Operation, Permissions};
use crate::routes::OPERATIONS;

/// The vendor's operations, as recorded in the fixture.
fn described() -> Vec<Value> {
    let page = include_str!("../../../tests/fixtures/presence-api.json");
    let mut page: Value = serde_json::from_str(page).unwrap();
    serde_json::from_value(page["operations"].take()).unwrap()
}

/// The path of an operation with the names of its variables taken out.
fn template(path: &str) -> String {
    let path = path.strip_prefix("/api/v2/").unwrap_or(path);
    let segments = path.split('/').map(|segment| match segment {
        variable if variable.starts_with('{') => "{}",
        literal => literal,
    });
    segments.collect::<Vec<_>>().join("/")
}

/// The permissions of an operation, in the form of the fixture.
fn permissions(operation: &Operation) -> Value {
    match operation.permissions {
        Permissions::None => Value::Null,
        Permissions::All(names) => json!({"mode": "ALL", "names": names}),
        Permissions::Any(names) => json!({"mode": "ANY", "names": names}),
    }
}

#[test]
fn the_sandbox_has_every_operation_of_the_vendor() {
    for operation in described() {
        let name = operation["operation"].as_str().unwrap();
        let found = OPERATIONS.iter().find(|one| one.name == name);
        let found = found.unwrap_or_else(|| {
            panic!(
                "the sandbox has no operation {name}: add a line to OPERATIONS in sandbox/src/routes.rs"
            )
        });
        assert_eq!(found.method, operation["method"], "{name}");
        let path = operation["path"].as_str().unwrap();
        assert_eq!(found.template, template(path), "{name}");
        let expected = match &operation["permissions"] {
            // The vendor's page lists none for a PATCH; see `EDIT_PRESENCE`.
            Value::Null if found.method == "PATCH" => {
                json!({"mode": "ANY", "names": ["presence:userPresence:edit"]})
            }
            permissions => permissions.clone(),
        };
        assert_eq!(permissions(found), expected, "{name}");
    }
}

#[test]
fn the_sandbox_has_no_other_operation() {
    let described = described();
    for Operation { name, .. } in OPERATIONS {
        assert!(
            described.iter().any(|one| one["operation"] == *name),
            "{name} is no operation in tests/fixtures/presence-api.json"
        );
    }
}
