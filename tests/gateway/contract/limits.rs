//! docs/configuration.md matches the constants of the source.

use std::collections::BTreeMap;
use std::fs::{read_dir, read_to_string};
use std::path::Path;

const DOCS: &str = include_str!("../../../docs/configuration.md");

/// Constants that limit nothing visible to a caller or an operator. An entry that
/// ends with `::` covers its whole module.
const OTHERS: [&str; 26] = [
    // Constants of the subcommand `call`, which `call --help` documents.
    "cli::call::",
    // The ranges and defaults of settings, which `--help` documents.
    "config::",
    "rpc::DEFAULT_MAX_BULK_IDS",
    // The first sizes of buffers, which grow.
    "grpc::codec::",
    // Values given by a format or a clock.
    "bulk::presence::",
    "proto::wire::",
    "deadline::NEVER",
    "error::reason::MAX_REASON",
    "error::reason::MIN_REASON",
    "rpc::repeated_fields::MAX_DEPTH",
    "server::request_bodies::PREFIX_LEN",
    "telemetry::propagation::TRACEPARENT_LENGTH",
    "upstream::budget_store::clock::TICK",
    // Sizes and intervals that save time and change no result.
    "bulk::read::coalesce::pending::WAKE_OVERHEAD",
    "bulk::stream::fetch::EXPECTED_RESPONSE",
    "server::http1::LONG_LINE",
    "server::public::ASSUMED_DEADLINE",
    "telemetry::export::flush::SHUTDOWN",
    "telemetry::call::MIN_WAIT",
    "tls::pem::PIPE_INTERVAL",
    "upstream::body::PREALLOCATION",
    "upstream::socket::MAX_WRITE_BUFFER",
    "upstream::socket::READ_BUFFER",
    "watch::plan::IDLE",
    "upstream::rate_limit::throttle::ROUNDING",
    "upstream::rate_limit::window::FIRST_SWEEP",
];

/// Returns the documented value of each constant, in bytes, items or
/// milliseconds.
fn documented() -> BTreeMap<String, u128> {
    let rows = DOCS.lines().filter_map(|line| {
        let row = line.strip_prefix("| ")?.strip_suffix("` |")?;
        let (row, name) = row.rsplit_once(" | `")?;
        let (_, value) = row.rsplit_once(" | ")?;
        Some((name.to_owned(), number(value)))
    });
    rows.collect()
}

/// Parses a number with its unit.
fn number(value: &str) -> u128 {
    let value = value.replace(',', "");
    let (number, unit) = value.split_once(' ').unwrap_or((&value, ""));
    let number: u128 = number.trim_start_matches("1/").parse().unwrap();
    let factor = match unit {
        "" | "ms" => 1,
        "s" => 1000,
        "min" => 60_000,
        "h" => 3_600_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        unit => panic!("unknown unit {unit}"),
    };
    number * factor
}

/// Returns the expression of each numeric constant at the top level of a module, by
/// path.
fn constants() -> BTreeMap<String, String> {
    let mut constants = BTreeMap::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    collect(&root, "", &mut constants);
    constants
}

fn collect(directory: &Path, module: &str, constants: &mut BTreeMap<String, String>) {
    for entry in read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        if ["tests", "simulation"].contains(&name) {
            continue;
        }
        let module = format!("{module}{name}::");
        if path.is_dir() {
            collect(&path, &module, constants);
            continue;
        }
        for line in read_to_string(&path).unwrap().lines() {
            if let Some((name, expression)) = constant(line) {
                constants.insert(format!("{module}{name}"), expression.to_owned());
            }
        }
    }
}

/// Returns the name and the expression of a constant that is a number or a
/// duration.
fn constant(line: &str) -> Option<(&str, &str)> {
    let (visibility, declaration) = line.split_once("const ")?;
    let is_top_level = visibility.is_empty() || visibility.starts_with("pub");
    let (name, declaration) = declaration.split_once(": ").filter(|_| is_top_level)?;
    let (kind, expression) = declaration.strip_suffix(';')?.split_once(" = ")?;
    let is_number = ["Duration", "usize", "u64", "u32"].contains(&kind);
    is_number.then_some((name, expression))
}

/// Evaluates an expression of `constants`.
fn evaluate(expression: &str, constants: &BTreeMap<String, String>) -> u128 {
    let evaluate = |expression| evaluate(expression, constants);
    let units = [
        ("millis", 1),
        ("secs", 1000),
        ("mins", 60_000),
        ("hours", 3_600_000),
    ];
    for (unit, factor) in units {
        let inner = expression.strip_prefix(&format!("Duration::from_{unit}("));
        if let Some(inner) = inner.and_then(|inner| inner.strip_suffix(')')) {
            return factor * evaluate(inner);
        }
    }
    if let Some(inner) = expression.strip_suffix(" as usize") {
        return evaluate(inner);
    }
    if let Some((left, right)) = expression.split_once(" - ") {
        return evaluate(left) - evaluate(right);
    }
    if let Some((left, right)) = expression.split_once(" * ") {
        return evaluate(left) * evaluate(right);
    }
    if let Ok(number) = expression.replace('_', "").parse() {
        return number;
    }
    let suffix = format!("::{expression}");
    let mut named = constants.iter().filter(|(name, _)| name.ends_with(&suffix));
    match (named.next(), named.next()) {
        (Some((_, expression)), None) => evaluate(expression),
        _ => panic!("this test cannot evaluate `{expression}`"),
    }
}

#[test]
fn documented_limits_have_the_values_of_the_constants() {
    let constants = constants();
    let differences = documented().into_iter().filter_map(|(name, value)| {
        let expression = constants.get(&name)?;
        let actual = evaluate(expression, &constants);
        let text = format!("{name}: {value} in docs/configuration.md, {actual} in the source");
        (actual != value).then_some(text)
    });
    let differences: Vec<_> = differences.collect();
    assert!(differences.is_empty(), "{differences:#?}");
}

#[test]
fn documented_limits_name_existing_constants() {
    let constants = constants();
    let documented = documented();
    let unknown: Vec<_> = documented
        .keys()
        .filter(|&name| !constants.contains_key(name))
        .collect();
    assert!(unknown.is_empty(), "docs/configuration.md: {unknown:#?}");
}

#[test]
fn every_limit_is_documented() {
    let documented = documented();
    let constants = constants();
    let is_other = |name: &str| OTHERS.iter().any(|other| name.starts_with(other));
    let missing: Vec<_> = constants
        .keys()
        .filter(|&name| !documented.contains_key(name) && !is_other(name))
        .collect();
    assert!(
        missing.is_empty(),
        "neither in docs/configuration.md nor in OTHERS: {missing:#?}"
    );
    let exists = |other: &str| constants.keys().any(|name| name.starts_with(other));
    let unknown: Vec<_> = OTHERS.into_iter().filter(|other| !exists(other)).collect();
    assert!(unknown.is_empty(), "no longer in the source: {unknown:#?}");
}
