//! docs/sandbox.md documents every flag, behaviour, endpoint and bound, and no other.

use std::collections::BTreeSet;

use crate::bounds::{
    MAX_CHANNELS, MAX_DEFINITIONS, MAX_ID, MAX_JOURNAL, MAX_MESSAGES, MAX_PRESENCES, MAX_QUEUED,
    MAX_RULES, MAX_SOURCES, MAX_TEXT, MAX_TOKENS, MAX_TOPICS, MAX_USERS,
};
use crate::misbehave::{notification, rules, words::WORDS};
use crate::settings::flags;
use crate::usage::ENDPOINTS;

const GUIDE: &str = include_str!("../../../docs/sandbox.md");

/// The rows of the table below a heading, as cells.
fn table(heading: &str) -> Vec<Vec<&'static str>> {
    let (_, section) = GUIDE.split_once(&format!("\n{heading}\n")).unwrap();
    let rows = section.lines().skip_while(|line| !line.starts_with('|'));
    let rows = rows.take_while(|line| line.starts_with('|')).skip(2);
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}

/// The texts between backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The words that start with a prefix; each ends before the first character
/// outside `letters`.
fn words_with<'a>(prefix: &str, text: &'a str, letters: fn(char) -> bool) -> BTreeSet<&'a str> {
    let found = text.match_indices(prefix).map(|(at, _)| &text[at..]);
    found
        .map(|rest| {
            let end = rest.find(|letter| !letters(letter));
            &rest[..end.unwrap_or(rest.len())]
        })
        .collect()
}

#[test]
fn every_flag_is_documented_with_its_variable_default_and_values() {
    let rows = table("## Settings");
    assert_eq!(rows.len(), flags().len());
    for (flag, row) in flags().iter().zip(rows) {
        let name = format!("`--{}`", flag.name);
        let default = format!("`{}`", flag.default);
        let variable = format!("`{}`", flag.variable);
        assert_eq!(row[..3], [name, default, variable]);
        for value in quoted(&flag.help) {
            let value = format!("`{value}`");
            assert!(row[3].contains(&value), "{value}: {row:?}");
        }
        let reason = format!("\n- **`--{}`**: ", flag.name);
        assert_eq!(GUIDE.matches(&reason).count(), 1, "{reason}");
    }
}

#[test]
fn every_documented_flag_exists() {
    let mut known: BTreeSet<String> = flags()
        .into_iter()
        .flat_map(|flag| [format!("--{}", flag.name), flag.variable])
        .collect();
    // Flags of the commands that start the sandbox.
    for other in ["--listen", "--sandbox", "--upstream-url", "--token"] {
        known.insert(other.to_owned());
    }
    known.insert("PRESENCE_GATEWAY_SANDBOX_LISTEN".to_owned());
    let written = words_with("--", GUIDE, |letter| {
        letter.is_ascii_lowercase() || letter == '-'
    });
    let flags = written.into_iter().filter(|word| !word.ends_with('-'));
    let variables = words_with("PRESENCE_GATEWAY_", GUIDE, |letter| {
        letter.is_ascii_uppercase() || letter == '_'
    });
    let unknown: Vec<&str> = flags
        .chain(variables)
        .filter(|word| !known.contains(*word))
        .collect();
    assert_eq!(unknown, Vec::<&str>::new());
}

#[test]
fn the_documented_behaviours_are_all_behaviours() {
    let documented: Vec<String> = table("### Behaviours")
        .into_iter()
        .map(|row| quoted(row[0]).join(", "))
        .collect();
    assert_eq!(documented, WORDS.map(|word| word.written));
}

#[test]
fn the_documented_behaviours_of_notifications_are_all_behaviours() {
    let documented = table("### Behaviours of notifications");
    let documented: Vec<[String; 2]> = documented
        .into_iter()
        .map(|row| [quoted(row[0]).join(", "), quoted(row[1]).join(" ")])
        .collect();
    let known = notification::words::WORDS.iter().map(|(word, on)| {
        let on = notification::words::occasions(on).join(" ");
        [word.written.to_owned(), on]
    });
    assert_eq!(documented, known.collect::<Vec<_>>());
    let occasions = notification::words::OCCASIONS.map(|(_, name, _)| name);
    let documented = table("#### Occasions");
    let documented: Vec<&str> = documented.iter().flat_map(|row| quoted(row[0])).collect();
    assert_eq!(documented, occasions);
}

#[test]
fn the_documented_selectors_are_all_selectors() {
    let described = rules::SELECTORS.map(|(example, _)| example.split('=').next().unwrap());
    // The two examples of the help, of requests and of notifications, have all of them.
    let examples = rules::HELP
        .lines()
        .filter(|line| line.starts_with("  ") && !line.contains('{'));
    let selectors = examples.flat_map(|line| line.split_whitespace().skip(1));
    let selectors: BTreeSet<&str> = selectors
        .map(|word| word.split('=').next().unwrap())
        .collect();
    assert_eq!(selectors, described.into_iter().collect());
    let documented = table("### Rules");
    let documented: Vec<&str> = documented.iter().flat_map(|row| quoted(row[0])).collect();
    assert_eq!(documented, described);
}

#[test]
fn the_documented_endpoints_are_all_endpoints() {
    let lines = ENDPOINTS
        .lines()
        .map(|line| line.split_whitespace().take(2));
    let endpoints = lines.map(|words| words.collect::<Vec<_>>().join(" "));
    let endpoints: Vec<String> = endpoints.filter(|line| line.contains(" /")).collect();
    let documented = table("## Control endpoints");
    let documented: Vec<&str> = documented.iter().flat_map(|row| quoted(row[0])).collect();
    assert_eq!(documented, endpoints);
}

#[test]
fn every_bound_is_documented_with_its_number() {
    let documented = table("## Bounds");
    let documented: Vec<&str> = documented.iter().map(|row| row[1]).collect();
    let bounds = [
        MAX_USERS,
        MAX_PRESENCES,
        MAX_MESSAGES,
        MAX_DEFINITIONS,
        MAX_SOURCES,
        MAX_RULES,
        MAX_TOKENS,
        MAX_CHANNELS,
        MAX_TOPICS,
        MAX_QUEUED,
        MAX_JOURNAL,
        MAX_ID,
        MAX_TEXT,
    ];
    assert_eq!(documented, bounds.map(|bound| bound.to_string()));
}
