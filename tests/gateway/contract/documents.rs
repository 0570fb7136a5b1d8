//! README.md and the pages in docs/ match the flags, RPCs and reasons of the program.

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::Duration;

use presence_gateway::error::{
    Error, Expired, Failure, NotTried, Reason, TimeLimit, UnknownOutcome, UnreadableBody, Waiting,
    code_name,
};
use presence_gateway::operation::Operation;
use presence_gateway::proto::v1::GetSystempresencesRequest;
use presence_gateway::upstream::region::REGIONS;
use prost_reflect::MethodDescriptor;
use tonic_types::StatusExt;

use crate::support::serve_flags::flags_of_serve;
use crate::support::vendor_api::{api, http, permissions, rpc_name};
use crate::support::{generated, method};

const OPERATIONS_PAGE: &str = "docs/operations.md";

static OPERATIONS: LazyLock<String> =
    LazyLock::new(|| generated::read(OPERATIONS_PAGE, with_operations));

const README: &str = include_str!("../../../README.md");
pub const CONFIGURATION: &str = include_str!("../../../docs/configuration.md");
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
    const HEAD: &str = "\n## Every operation\n";
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

/// An example of each error that has a reason of the gateway and one status.
fn examples() -> Vec<Error> {
    let moment = Duration::from_secs(1);
    let text = String::new;
    let expired = Expired {
        limit: TimeLimit::Caller(moment),
        waiting: Waiting::Nothing,
    };
    vec![
        Error::Invalid(Vec::new()),
        Error::Unauthenticated(Reason::MissingToken, ""),
        Error::Unauthenticated(Reason::MalformedToken, ""),
        Error::RegionNotServed {
            problem: text(),
            served: None,
        },
        Error::Overloaded,
        Error::TooManyStreams,
        Error::TooManyWatches,
        Error::TokenWatches,
        Error::TopicRejected {
            why: None,
            permissions: Vec::new(),
        },
        Error::NotificationsUnavailable(text()),
        Error::TokenRevoked,
        Error::WatchIdle(moment),
        Error::MemoryExhausted,
        Error::MessageEvicted,
        Error::RateLimited {
            delay: moment,
            refused: None,
        },
        Error::TokenConcurrency,
        Error::Draining,
        Error::StreamEnding,
        Error::StreamIdle(moment),
        Error::StreamUnused(moment),
        Error::DeadlineExceeded(expired),
        Error::BatchExpired(moment),
        Error::Unsendable(text()),
        Error::Unreachable(text()),
        Error::NotProcessed {
            why: text(),
            is_end: true,
        },
        Error::ProxyRefused(text()),
        Error::ConnectionLost(text()),
        Error::OutcomeUnknown(UnknownOutcome::DeadlineExceeded(expired)),
        Error::OutcomeUnknown(UnknownOutcome::ConnectionLost(text())),
        Error::OutcomeUnknown(UnknownOutcome::Unreadable(text())),
        Error::Redirected(302),
        Error::Unreadable {
            spec: GetSystempresencesRequest::SPEC,
            http_status: Some(200),
            what: UnreadableBody::Html,
        },
        Error::NotTried(NotTried::DeadlineExceeded),
        Error::NotTried(NotTried::CallFailed),
        Error::NotTried(NotTried::OutcomeUnknown),
        Error::MessageLate(moment),
        Error::MessageTooLarge(0),
        Error::ExtraMessage,
        Error::Malformed(text()),
        Error::UnsupportedEncoding(text()),
        Error::UnknownMethod,
        Error::WatchesOff,
        Error::Panicked,
        Error::NoStream,
        Error::ConnectionDraining,
        Error::ShuttingDown,
    ]
}

#[test]
fn reasons_are_documented_with_their_statuses() {
    let documented: BTreeSet<(String, String)> = rows(section(ERRORS, "Reasons"))
        .iter()
        .filter(|row| !row.contains("(#statuses-of-the-vendor)"))
        .flat_map(|row| {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let reason = cells[1].trim_matches('`').to_owned();
            let statuses = cells[2].split(" or ");
            statuses.map(move |status| (reason.clone(), status.to_owned()))
        })
        .collect();
    let expected: BTreeSet<(String, String)> = examples()
        .into_iter()
        .map(|error| {
            let status = Failure::from(error).into_status(Duration::from_secs(10));
            let info = status.get_details_error_info().unwrap();
            (info.reason, code_name(status.code()).to_owned())
        })
        .collect();
    assert_eq!(documented, expected);
}

/// Returns the flag and the default of each row of a table of settings.
fn documented_flags(section: &str) -> Vec<(String, String)> {
    let rows = rows(section);
    let rows = rows.iter().filter(|row| row.starts_with("| `--"));
    rows.map(|row| {
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
    .collect()
}

/// Returns each flag of `serve` with its default.
fn actual_flags() -> Vec<(String, String)> {
    let flags = flags_of_serve().into_iter();
    let flags = flags.filter(|flag| flag.name != "help");
    flags.map(|flag| (flag.name, flag.default)).collect()
}

#[test]
fn the_flags_of_the_readme_exist_with_their_defaults() {
    let actual = actual_flags();
    let listed = documented_flags(section(README, "Configuration"));
    assert!(listed.len() > 5, "{listed:?}");
    for flag in listed {
        assert!(actual.contains(&flag), "{flag:?} is none of {actual:?}");
    }
}

#[test]
fn exactly_the_flags_of_serve_are_documented_with_their_defaults() {
    let listed = documented_flags(section(CONFIGURATION, "Settings"));
    assert_eq!(listed, actual_flags());
}

#[test]
fn exactly_the_regions_are_documented_with_their_hosts() {
    let rows = rows(section(CONFIGURATION, "Regions"));
    let listed = rows.iter().map(|row| {
        let mut quoted = row.split('`').skip(1).step_by(2);
        (quoted.next().unwrap(), quoted.next().unwrap().to_owned())
    });
    let expected = REGIONS.map(|region| (region.name, region.host()));
    assert_eq!(listed.collect::<Vec<_>>(), expected);
}
