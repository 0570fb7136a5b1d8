//! Parsing of rules: lines of text, or JSON.

use serde_json::Value;

use super::Rule;
use crate::ids::{token_hash, token_label};
use crate::misbehave::Plan;
use presence_gateway_args::parse_number;

/// The syntax of a rule, for error messages.
pub(crate) const HELP: &str = "\
A rule is a line of text: behaviours, then selectors, separated by spaces; all selectors must match:
  status=503,retry-after=2 method=GET path=/bulk token=TOKEN times=2 after=1
or JSON, one object or a list of them:
  {\"misbehave\": \"status=503\", \"method\": \"GET\", \"path\": \"/bulk\", \"token\": \"TOKEN\", \"times\": 2, \"after\": 1}
`path` is a part of the path or, with a `*`, a pattern for the whole path; `times` is how often
the rule applies, else always; `after` is how many matching requests it skips first.
";

/// The selectors of a rule, with an example of each and what it selects.
#[rustfmt::skip]
pub(crate) const SELECTORS: [(&str, &str); 5] = [
    ("method=GET", "requests with this method"),
    ("path=/bulk", "requests with this text in their path; with a *, it is a pattern for the whole path"),
    ("token=TOKEN", "requests with this token; the rule keeps only its hash"),
    ("times=2", "this number of matching requests, then the rule ends; without it, all"),
    ("after=1", "not this number of matching requests at first"),
];

/// Parses at least one rule; the error says what is wrong.
pub(super) fn read(text: &str) -> Result<Vec<Rule>, String> {
    let rules = match text.trim_start().chars().next() {
        Some('{' | '[') => from_json(text)?,
        _ => from_lines(text)?,
    };
    if rules.is_empty() {
        return Err(format!("There is no rule here.\n\n{HELP}"));
    }
    Ok(rules)
}

impl Rule {
    fn select(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "method" => self.method = Some(value.to_ascii_uppercase()),
            "path" => self.path = Some(value.to_owned()),
            "token" => self.token = Some((token_hash(value), token_label(value))),
            "times" => self.times = Some(parse_number(1..=u64::MAX)(value)?),
            "after" => self.after = parse_number(0..=u64::MAX)(value)?,
            _ => return Err(no_selector()),
        }
        Ok(())
    }
}

/// The end of the error for a word that is no selector.
fn no_selector() -> String {
    let names = SELECTORS.map(|(example, _)| &example[..=example.find('=').unwrap_or_default()]);
    format!("is no selector. There are {}.\n\n{HELP}", names.join(", "))
}

fn from_lines(text: &str) -> Result<Vec<Rule>, String> {
    let lines = text.lines().map(str::trim).enumerate();
    let rules = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let is_one = text.lines().nth(1).is_none();
    let named = |at: usize, wrong| {
        if is_one {
            wrong
        } else {
            format!("Line {}: {wrong}", at + 1)
        }
    };
    rules
        .map(|(at, line)| from_line(line).map_err(|wrong| named(at, wrong)))
        .collect()
}

fn from_line(line: &str) -> Result<Rule, String> {
    let mut words = line.split_whitespace();
    let mut rule = Rule {
        plan: Plan::read(words.next().unwrap_or_default())?,
        ..Rule::default()
    };
    for word in words {
        let (name, value) = word
            .split_once('=')
            .ok_or_else(|| format!("`{word}` {}", no_selector()))?;
        rule.select(name, value)
            .map_err(|wrong| format!("`{word}` {wrong}"))?;
    }
    Ok(rule)
}

fn from_json(text: &str) -> Result<Vec<Rule>, String> {
    match serde_json::from_str(text) {
        Ok(Value::Array(list)) => list.iter().map(from_object).collect(),
        Ok(one) => Ok(vec![from_object(&one)?]),
        Err(wrong) => Err(format!("This is no JSON: {wrong}.\n\n{HELP}")),
    }
}

fn from_object(value: &Value) -> Result<Rule, String> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let fields = value
        .as_object()
        .ok_or_else(|| format!("`{value}` is no rule.\n\n{HELP}"))?;
    let behaviours = fields.get("misbehave").and_then(text);
    let behaviours =
        behaviours.ok_or_else(|| format!("`{value}` has no `misbehave`.\n\n{HELP}"))?;
    let mut rule = Rule {
        plan: Plan::read(&behaviours)?,
        ..Rule::default()
    };
    for (name, value) in fields.iter().filter(|(name, _)| *name != "misbehave") {
        if !value.is_null() {
            let value =
                text(value).ok_or_else(|| format!("`{name}` is neither text nor number."))?;
            rule.select(name, &value)
                .map_err(|wrong| format!("`{name}` {wrong}"))?;
        }
    }
    Ok(rule)
}
