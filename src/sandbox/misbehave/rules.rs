//! Rules: which requests get a wrong answer, and how often.

use serde_json::{Value, json};

use super::Plan;
use crate::config::value::number;
use crate::sandbox::identity::{token_hash, token_label};

/// How many rules there can be.
const MAX_RULES: usize = 100;

/// How a rule is written, told to who writes one wrong.
pub(in crate::sandbox) const HELP: &str = "\
A rule is a line of text: behaviours, then selectors with a space between, all of which must fit:
  status=503,retry-after=2 method=GET path=/bulk token=TOKEN times=2 after=1
or JSON, one object or a list of them:
  {\"misbehave\": \"status=503\", \"method\": \"GET\", \"path\": \"/bulk\", \"token\": \"TOKEN\", \"times\": 2, \"after\": 1}
`path` is a part of the path, or a pattern for the whole path where it has a `*`;
`times` is how often the rule is used, else always; `after` is how many requests it lets pass first.
";

/// The rules, in the order in which they came; the first that fits a request is used.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Rules(Vec<Rule>);

/// One rule.
#[derive(Debug, Default)]
struct Rule {
    plan: Plan,
    method: Option<String>,
    path: Option<String>,
    /// The hash and the label of a token; the token itself is not kept.
    token: Option<(u64, String)>,
    times: Option<u64>,
    after: u64,
}

impl Rules {
    /// Adds rules, all or none; else says what is wrong.
    pub(in crate::sandbox) fn add(&mut self, text: &str) -> Result<(), String> {
        let rules = match text.trim_start().chars().next() {
            Some('{' | '[') => from_json(text)?,
            _ => from_lines(text)?,
        };
        if rules.is_empty() {
            return Err(format!("There is no rule here. {HELP}"));
        }
        if self.0.len() + rules.len() > MAX_RULES {
            return Err(format!("There can be no more than {MAX_RULES} rules."));
        }
        self.0.extend(rules);
        Ok(())
    }

    /// Forgets all rules.
    pub(in crate::sandbox) fn clear(&mut self) {
        self.0.clear();
    }

    /// What is to go wrong with a request; a rule that was used up is forgotten.
    pub(in crate::sandbox) fn apply(
        &mut self,
        method: &str,
        path: &str,
        token: Option<&str>,
    ) -> Option<Plan> {
        let mut due = None;
        for (at, rule) in self.0.iter_mut().enumerate() {
            if !rule.fits(method, path, token) {
                continue;
            }
            if rule.after == 0 {
                due = Some(at);
                break;
            }
            rule.after -= 1;
        }
        let rule = self.0.get_mut(due?)?;
        let plan = rule.plan.clone();
        rule.times = rule.times.map(|times| times.saturating_sub(1));
        if rule.times == Some(0) {
            self.0.remove(due?);
        }
        Some(plan)
    }

    /// The rules that are left.
    pub(in crate::sandbox) fn list(&self) -> Value {
        self.0
            .iter()
            .map(|rule| {
                json!({
                    "misbehave": rule.plan.text(),
                    "method": rule.method,
                    "path": rule.path,
                    "token": rule.token.as_ref().map(|(_, label)| label),
                    "times": rule.times,
                    "after": rule.after,
                })
            })
            .collect()
    }
}

impl Rule {
    fn fits(&self, method: &str, path: &str, token: Option<&str>) -> bool {
        self.method
            .as_ref()
            .is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
            && self
                .path
                .as_ref()
                .is_none_or(|wanted| path_fits(wanted, path))
            && self
                .token
                .as_ref()
                .is_none_or(|(hash, _)| token.map(token_hash) == Some(*hash))
    }

    fn select(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "method" => self.method = Some(value.to_ascii_uppercase()),
            "path" => self.path = Some(value.to_owned()),
            "token" => self.token = Some((token_hash(value), token_label(value))),
            "times" => self.times = Some(number(1..=u64::MAX)(value)?),
            "after" => self.after = number(0..=u64::MAX)(value)?,
            _ => return Err(format!("is no selector. {HELP}")),
        }
        Ok(())
    }
}

fn from_lines(text: &str) -> Result<Vec<Rule>, String> {
    let lines = text.lines().map(str::trim).enumerate();
    let told = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    told.map(|(at, line)| from_line(line).map_err(|wrong| format!("Line {}: {wrong}", at + 1)))
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
            .ok_or_else(|| format!("`{word}` is no selector. {HELP}"))?;
        rule.select(name, value)
            .map_err(|wrong| format!("`{word}` {wrong}"))?;
    }
    Ok(rule)
}

fn from_json(text: &str) -> Result<Vec<Rule>, String> {
    match serde_json::from_str(text) {
        Ok(Value::Array(list)) => list.iter().map(from_object).collect(),
        Ok(one) => Ok(vec![from_object(&one)?]),
        Err(wrong) => Err(format!("This is no JSON: {wrong}. {HELP}")),
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
        .ok_or_else(|| format!("`{value}` is no rule. {HELP}"))?;
    let behaviours = fields.get("misbehave").and_then(text);
    let behaviours = behaviours.ok_or_else(|| format!("`{value}` has no `misbehave`. {HELP}"))?;
    let mut rule = Rule {
        plan: Plan::read(&behaviours)?,
        ..Rule::default()
    };
    for (name, value) in fields.iter().filter(|(name, _)| *name != "misbehave") {
        if !value.is_null() {
            let told =
                text(value).ok_or_else(|| format!("`{name}` is neither text nor number."))?;
            rule.select(name, &told)
                .map_err(|wrong| format!("`{name}` {wrong}"))?;
        }
    }
    Ok(rule)
}

/// Whether a path has `wanted` in it, or is of its pattern.
fn path_fits(wanted: &str, path: &str) -> bool {
    let Some((start, rest)) = wanted.split_once('*') else {
        return path.contains(wanted);
    };
    let Some(mut left) = path.strip_prefix(start) else {
        return false;
    };
    let (between, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in between.split('*') {
        let Some(at) = left.find(part) else {
            return false;
        };
        left = &left[at + part.len()..];
    }
    left.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(rules: &mut Rules, method: &str, path: &str, token: &str) -> Option<String> {
        rules
            .apply(method, path, Some(token))
            .map(|plan| plan.text().to_owned())
    }

    #[test]
    fn a_rule_is_used_where_all_its_selectors_fit() {
        let mut rules = Rules::default();
        rules
            .add("# a comment\n\nstatus=500 method=get path=/bulk token=t times=2 after=1")
            .unwrap();
        assert_eq!(used(&mut rules, "PUT", "/x/bulk", "t"), None);
        assert_eq!(used(&mut rules, "GET", "/x", "t"), None);
        assert_eq!(used(&mut rules, "GET", "/x/bulk", "u"), None);
        assert_eq!(
            used(&mut rules, "GET", "/x/bulk", "t"),
            None,
            "lets one pass"
        );
        assert_eq!(
            used(&mut rules, "GET", "/x/bulk", "t").as_deref(),
            Some("status=500")
        );
        assert_eq!(
            used(&mut rules, "GET", "/x/bulk", "t").as_deref(),
            Some("status=500")
        );
        assert_eq!(used(&mut rules, "GET", "/x/bulk", "t"), None, "used up");
        assert_eq!(rules.list(), json!([]));
    }

    #[test]
    fn the_first_rule_that_fits_is_used() {
        let mut rules = Rules::default();
        rules
            .add(r#"[{"misbehave": "cut", "times": 1}, {"misbehave": "html", "path": "*/presences/*"}]"#)
            .unwrap();
        assert_eq!(
            used(&mut rules, "GET", "/a/presences/b", "t").as_deref(),
            Some("cut")
        );
        assert_eq!(
            used(&mut rules, "GET", "/a/presences/b", "t").as_deref(),
            Some("html")
        );
        assert_eq!(used(&mut rules, "GET", "/a/presences", "t"), None);
    }

    #[test]
    fn a_pattern_is_for_the_whole_path() {
        for (pattern, path, fits) in [
            ("bulk", "/a/bulk/b", true),
            ("/a*", "/a/bulk", true),
            ("*bulk", "/a/bulk", true),
            ("*bulk", "/a/bulk/b", false),
            ("/a/*/c", "/a/b/c", true),
            ("/a/*/c", "/a/c", false),
            ("/a/*/*/d", "/a/b/c/d", true),
            ("/a/*/x/*", "/a/b/c/d", false),
            ("*", "", true),
        ] {
            assert_eq!(path_fits(pattern, path), fits, "{pattern} {path}");
        }
    }

    #[test]
    fn mistakes_add_nothing_and_are_told() {
        let mut rules = Rules::default();
        for (text, told) in [
            ("", "There is no rule here"),
            ("cut\nexplode", "Line 2: `explode` is no behaviour"),
            ("cut colour=red", "`colour=red` is no selector"),
            ("cut method", "`method` is no selector"),
            ("cut times=0", "`times=0` is not a whole number from 1"),
            ("{", "This is no JSON"),
            ("[1]", "`1` is no rule"),
            (r#"{"method": "GET"}"#, "has no `misbehave`"),
            (
                r#"{"misbehave": "cut", "times": []}"#,
                "neither text nor number",
            ),
        ] {
            let wrong = rules.add(text).unwrap_err();
            assert!(wrong.contains(told), "{text}: {wrong}");
        }
        assert_eq!(rules.list(), json!([]));
        assert!(rules.add(&"cut\n".repeat(101)).unwrap_err().contains("100"));
    }

    #[test]
    fn a_token_is_not_shown() {
        let mut rules = Rules::default();
        rules.add("cut token=secret").unwrap();
        assert!(!rules.list().to_string().contains("secret"));
        assert!(!format!("{rules:?}").contains("secret"));
    }
}
