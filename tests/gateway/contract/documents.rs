//! The pages in docs/ match the flags, RPCs and reasons of the program.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use presence_gateway::error::Reason;
use prost_reflect::MethodDescriptor;

use crate::support::serve_flags::flags_of_serve;
use crate::support::vendor_api::{api, http, permissions, rpc_name};
use crate::support::{generated, method};

const OPERATIONS_PAGE: &str = "docs/operations.md";

static OPERATIONS: LazyLock<String> =
    LazyLock::new(|| generated::read(OPERATIONS_PAGE, with_operations));

const CONFIGURATION: &str = include_str!("../../../docs/configuration.md");
const ERRORS: &str = include_str!("../../../docs/errors.md");
pub const TELEMETRY: &str = include_str!("../../../docs/telemetry.md");

/// Returns the text below a heading of a page, up to the next one.
pub fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let (_, rest) = page
        .split_once(&format!("\n## {heading}\n"))
        .unwrap_or_else(|| panic!("the page has no section `{heading}`"));
    rest.split("\n## ").next().unwrap_or(rest)
}

/// Returns the rows of the tables in a section, without their heads.
pub fn rows(section: &str) -> Vec<&str> {
    let is_row = |line: &&str| line.starts_with("| `");
    section.lines().filter(is_row).collect()
}

/// Returns the cell with the permissions of an RPC.
fn permission_cell(rpc: &MethodDescriptor) -> String {
    let Some(permissions) = permissions(rpc) else {
        return "none".to_owned();
    };
    let names = permissions.names.iter().map(|name| format!("`{name}`"));
    let names: Vec<String> = names.collect();
    let joined = names.join(if permissions.mode == 1 {
        " or "
    } else {
        " and "
    });
    match permissions.condition.as_str() {
        "" => joined,
        condition => format!("{joined}, needed {condition}"),
    }
}

/// Returns the page with the table of operations generated from the proto.
fn with_operations(page: &str) -> String {
    const HEAD: &str = "\n## Operations\n";
    const RULE: &str = "\n|---|---|---|---|\n";
    let (before, section) = page.split_once(HEAD).unwrap();
    let (head, rest) = section.split_once(RULE).unwrap();
    let (_, after) = rest.split_once("\n\n").unwrap();
    let rows: Vec<String> = api()
        .operations
        .iter()
        .map(|operation| {
            let name = rpc_name(operation);
            let rpc = method(&name);
            let (verb, _, _) = http(&rpc);
            let deprecated = if rpc.parent_service().name() == "LegacyPresenceService" {
                " (deprecated)"
            } else {
                ""
            };
            format!(
                "| `{}`{deprecated} | `{name}` | `{verb} {}` | {} |",
                operation.operation,
                operation.path,
                permission_cell(&rpc)
            )
        })
        .collect();
    let rows = rows.join("\n");
    format!("{before}{HEAD}{head}{RULE}{rows}\n\n{after}")
}

#[test]
fn the_table_of_operations_matches_the_proto() {
    generated::assert_current(OPERATIONS_PAGE, &OPERATIONS, with_operations);
}

#[test]
fn exactly_the_existing_reasons_are_documented() {
    let documented: BTreeSet<&str> = rows(section(ERRORS, "Reasons"))
        .iter()
        .filter_map(|row| row.split('`').nth(1))
        .collect();
    let reasons: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    assert_eq!(documented, reasons);
}

#[test]
fn exactly_the_flags_of_serve_are_documented_with_their_defaults() {
    let listed: Vec<(String, String)> = rows(section(CONFIGURATION, "Settings"))
        .iter()
        .filter(|row| row.starts_with("| `--"))
        .map(|row| {
            let mut cells = row.trim_matches('|').split('|').map(str::trim);
            let flag = cells.next().unwrap().trim_matches('`');
            let flag = flag
                .trim_start_matches("--")
                .split([' ', '='])
                .next()
                .unwrap();
            let default = cells.next().unwrap().replace('`', "");
            (flag.to_owned(), default)
        })
        .collect();
    let expected: Vec<(String, String)> = flags_of_serve()
        .into_iter()
        .filter(|flag| flag.name != "help")
        .map(|flag| (flag.name, flag.default))
        .collect();
    assert_eq!(listed, expected);
}
