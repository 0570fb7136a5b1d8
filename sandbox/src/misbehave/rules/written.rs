//! Parsing of rules: lines of text, or JSON.

use serde_json::Value;

use super::Rule;
use crate::bounds::MAX_RULES;
use crate::ids::{token_hash, token_label};
use crate::misbehave::notification::{NotificationPlan, On};
use crate::misbehave::problem::{Problem, Problems};
use crate::misbehave::{Plan, words};
use presence_gateway_args::parse_number;

/// The syntax of a rule, for error messages.
pub(crate) const HELP: &str = "\
A rule is a line of text: behaviours, then selectors, separated by spaces; all selectors must match:
  status=500,delay=1s method=GET path=/bulk id=USER token=TOKEN times=2 after=1
or JSON, one object or a list of them:
  {\"misbehave\": \"status=500\", \"method\": \"GET\", \"id\": \"USER\", \"times\": 2, \"after\": 1}
`path` is a part of the path or, with a `*`, a pattern for the whole path; `id` is one that the
request names, in its path or in its list; `times` is how often the rule applies, else always;
`after` is how many matching requests it skips first. With `on`, a rule is for notifications:
  duplicate,delay=1s on=event channel=ID id=USER token=TOKEN times=2 after=1
";

/// The selectors of a rule, with an example of each and what it selects.
#[rustfmt::skip]
pub(crate) const SELECTORS: [(&str, &str); 8] = [
    ("method=GET", "requests with this method"),
    ("path=/bulk", "requests with this text in their path; with a *, it is a pattern for the whole path"),
    ("id=USER", "requests with this id in their path, in the ids of a bulk read, or in an update of a bulk write; with on, notifications about this user, or of a channel with a topic of the user"),
    ("token=TOKEN", "requests with this token, or the channels of this token; the rule keeps only its hash"),
    ("on=event", "notifications at this moment, instead of requests"),
    ("channel=ID", "notifications of this channel; with on"),
    ("times=2", "this number of matching requests, then the rule ends; without it, all"),
    ("after=1", "not this number of matching requests at first"),
];

/// The methods of the operations.
const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

/// Whether there is a selector with this name.
pub(in crate::misbehave) fn is_selector(name: &str) -> bool {
    example(name).is_some()
}

/// The names of all selectors, as they are written.
pub(in crate::misbehave) fn names() -> String {
    let name = |(example, _): (&'static str, _)| {
        let end = example.find('=').unwrap_or_default();
        &example[..=end]
    };
    SELECTORS.map(name).join(", ")
}

fn example(name: &str) -> Option<&'static str> {
    let mut examples = SELECTORS.iter().map(|(example, _)| *example);
    examples.find(|example| {
        example
            .split_once('=')
            .is_some_and(|(known, _)| known == name)
    })
}

/// Parses at least one rule. The error has all that is wrong with any of them.
pub(super) fn read(text: &str) -> Result<Vec<Rule>, Problems> {
    let read = match text.trim_start().chars().next() {
        Some('{' | '[') => from_json(text)?,
        _ => from_lines(text),
    };
    if read.is_empty() {
        return Err(vec![Problem::no_rule("There is no rule here.")].into());
    }
    let (mut rules, mut problems) = (Vec::new(), Vec::new());
    for (place, rule) in read {
        match rule {
            Ok(rule) => rules.push(rule),
            Err(wrong) => problems.extend(wrong.into_iter().map(|problem| problem.at(&place))),
        }
    }
    if problems.is_empty() {
        Ok(rules)
    } else {
        Err(problems.into())
    }
}

/// A rule or what is wrong with it, and what names it among others.
type Read = (String, Result<Rule, Vec<Problem>>);

fn from_lines(text: &str) -> Vec<Read> {
    let lines = text.lines().map(str::trim).enumerate();
    let rules = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let is_one = text.lines().nth(1).is_none();
    let place = |at: usize| {
        if is_one {
            String::new()
        } else {
            format!("Line {}: ", at + 1)
        }
    };
    // One more than there can be is an error already.
    let rules = rules.take(MAX_RULES + 1);
    rules
        .map(|(at, line)| (place(at), from_line(line)))
        .collect()
}

fn from_line(line: &str) -> Result<Rule, Vec<Problem>> {
    let mut words = line.split_whitespace();
    let mut rule = Rule::default();
    let mut problems = Vec::new();
    let behaviours = words.next().unwrap_or_default();
    let on = words.clone().find_map(|word| word.strip_prefix("on="));
    problems.extend(rule.behave(behaviours, on));
    let mut given = Vec::new();
    for word in words {
        match selector(word) {
            Ok((name, _)) if given.contains(&name) => {
                problems.push(Problem::new(format!("`{word}`: `{name}` is given twice.")));
            }
            Ok((name, value)) => {
                given.push(name);
                problems.extend(rule.select(name, value, word).err());
            }
            Err(problem) => problems.push(problem),
        }
    }
    rule.checked(problems)
}

/// The name and the value of a selector in a line of text.
fn selector(word: &str) -> Result<(&str, &str), Problem> {
    let (first, rest) = word
        .split_once(',')
        .map_or((word, None), |(first, rest)| (first, Some(rest)));
    let is_misplaced = |part: &str| {
        part.is_empty()
            || part
                .split_once('=')
                .is_some_and(|(name, _)| is_selector(name))
    };
    if first.is_empty() || rest.is_some_and(|rest| rest.split(',').any(is_misplaced)) {
        return Err(Problem::new(format!(
            "In `{word}`, selectors are separated by spaces, without commas."
        )));
    }
    let is_behaviour = |part: &&str| match part.split_once('=') {
        Some((name, _)) => words::find(name).is_some() && !is_selector(name),
        None => words::find(part).is_some(),
    };
    if let Some(behaviour) = word.split(',').find(is_behaviour) {
        return Err(Problem::new(format!(
            "`{behaviour}` is a behaviour: behaviours come first, with commas and no spaces between."
        )));
    }
    match word.split_once('=') {
        Some((name, value)) if is_selector(name) => Ok((name, value)),
        None if is_selector(word) => Ok((word, "")),
        _ => Err(Problem::no_selector(word)),
    }
}

impl Rule {
    /// Sets the faults, of notifications if the rule has an `on`.
    fn behave(&mut self, behaviours: &str, on: Option<&str>) -> Vec<Problem> {
        match on.map(On::named) {
            None => match Plan::parse(behaviours) {
                Ok(plan) => self.plan = plan,
                Err(problems) => return problems,
            },
            Some(Ok(on)) => match NotificationPlan::parse(behaviours, on) {
                Ok(plan) => self.notification = Some((on, plan)),
                Err(problems) => return problems,
            },
            // Reported with the selector.
            Some(Err(_)) => {}
        }
        Vec::new()
    }

    /// The rule, if there are no problems and its selectors agree.
    fn checked(self, mut problems: Vec<Problem>) -> Result<Self, Vec<Problem>> {
        let of_requests = [("method", &self.method), ("path", &self.path)];
        for (name, value) in of_requests {
            if self.notification.is_some() && value.is_some() {
                problems.push(Problem::new(format!(
                    "`{name}` selects requests; a rule with `on` has none."
                )));
            }
        }
        if problems.is_empty() && self.notification.is_none() && self.channel.is_some() {
            problems.push(Problem::new(
                "`channel` selects notifications; the rule needs an `on`.",
            ));
        }
        if problems.is_empty() {
            Ok(self)
        } else {
            Err(problems)
        }
    }

    /// Sets a selector, which was given as `word`.
    fn select(&mut self, name: &str, value: &str, word: &str) -> Result<(), Problem> {
        let wrong = |wrong: String| Problem::new(format!("`{word}` {wrong}"));
        let Some(example) = example(name) else {
            return Err(Problem::no_selector(word));
        };
        if value.is_empty() {
            return Err(wrong(format!(
                "has no value: write for example `{example}`."
            )));
        }
        match name {
            "method" => {
                let method = value.to_ascii_uppercase();
                if !METHODS.contains(&method.as_str()) {
                    return Err(wrong(format!("is none of {}.", METHODS.join(", "))));
                }
                self.method = Some(method);
            }
            "path" => self.path = Some(value.to_owned()),
            "id" if value.contains(',') => {
                return Err(wrong(
                    "is more than one id: use a rule for each.".to_owned(),
                ));
            }
            "id" => self.id = Some(value.to_owned()),
            "token" => self.token = Some((token_hash(value), token_label(value))),
            "channel" => self.channel = Some(value.to_owned()),
            // Its value is taken by `behave`.
            "on" => {
                On::named(value).map_err(|problem| wrong(format!("{problem}.")))?;
            }
            "times" => self.times = Some(parse_number(1..=u64::MAX)(value).map_err(wrong)?),
            _ => self.after = parse_number(0..=u64::MAX)(value).map_err(wrong)?,
        }
        Ok(())
    }
}

fn from_json(text: &str) -> Result<Vec<Read>, Problems> {
    let list = match serde_json::from_str(text) {
        Ok(Value::Array(list)) => list,
        Ok(one) => vec![one],
        Err(wrong) => {
            let wrong = format!("This is no JSON: {wrong}.");
            return Err(vec![Problem::no_rule(wrong)].into());
        }
    };
    let is_one = list.len() == 1;
    let place = |at: usize| {
        if is_one {
            String::new()
        } else {
            format!("Rule {}: ", at + 1)
        }
    };
    let rules = list.iter().take(MAX_RULES + 1).enumerate();
    Ok(rules
        .map(|(at, value)| (place(at), from_object(value)))
        .collect())
}

fn from_object(value: &Value) -> Result<Rule, Vec<Problem>> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let no_rule = |wrong: &str| vec![Problem::no_rule(format!("`{value}` {wrong}."))];
    let fields = value.as_object().ok_or_else(|| no_rule("is no rule"))?;
    let behaviours = fields.get("misbehave").and_then(text);
    let behaviours = behaviours.ok_or_else(|| no_rule("has no `misbehave`"))?;
    let mut rule = Rule::default();
    let mut problems = Vec::new();
    let on = fields.get("on").and_then(text);
    problems.extend(rule.behave(&behaviours, on.as_deref()));
    for (name, value) in fields.iter().filter(|(name, _)| *name != "misbehave") {
        match text(value) {
            Some(text) => problems.extend(rule.select(name, &text, name).err()),
            None if value.is_null() => {}
            None => problems.push(Problem::new(format!(
                "`{name}` is neither text nor number."
            ))),
        }
    }
    rule.checked(problems)
}
