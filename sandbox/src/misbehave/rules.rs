//! Rules: which requests get faults, and how often.

mod written;

use serde_json::{Value, json};

pub(crate) use written::{HELP, SELECTORS};

use super::Plan;
use super::path::path_fits;
use crate::bounds::MAX_RULES;
use crate::ids::token_hash;

/// The rules in order of arrival; the first match applies.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    rules: Vec<Rule>,
    /// The number of rules that were ever added.
    added: u64,
}

/// One rule.
#[derive(Debug, Default)]
struct Rule {
    number: u64,
    plan: Plan,
    method: Option<String>,
    path: Option<String>,
    /// The hash and the label of a token. The token itself is not stored.
    token: Option<(u64, String)>,
    times: Option<u64>,
    after: u64,
    /// The number of requests that it applied to.
    applied: u64,
}

impl Rules {
    /// Adds all rules or, on an error, none.
    pub(crate) fn add(&mut self, text: &str) -> Result<(), String> {
        let rules = written::read(text)?;
        if self.rules.len() + rules.len() > MAX_RULES {
            return Err(format!("There can be no more than {MAX_RULES} rules."));
        }
        for mut rule in rules {
            rule.number = self.added;
            self.added += 1;
            self.rules.push(rule);
        }
        Ok(())
    }

    /// Removes a rule, if it is there.
    pub(crate) fn remove(&mut self, number: u64) -> bool {
        let before = self.rules.len();
        self.rules.retain(|rule| rule.number != number);
        self.rules.len() < before
    }

    /// Removes all rules. Numbers are not reused.
    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    /// The faults of a request, if a rule matches. An exhausted rule is removed.
    pub(crate) fn apply(&mut self, method: &str, path: &str, token: Option<&str>) -> Option<Plan> {
        let mut due = None;
        for (at, rule) in self.rules.iter_mut().enumerate() {
            if !rule.fits(method, path, token) {
                continue;
            }
            if rule.after == 0 {
                due = Some(at);
                break;
            }
            rule.after -= 1;
        }
        let rule = self.rules.get_mut(due?)?;
        let plan = rule.plan.clone();
        rule.applied += 1;
        rule.times = rule.times.map(|times| times.saturating_sub(1));
        if rule.times == Some(0) {
            self.rules.remove(due?);
        }
        Some(plan)
    }

    /// The remaining rules.
    pub(crate) fn list(&self) -> Value {
        self.rules
            .iter()
            .map(|rule| {
                json!({
                    "number": rule.number,
                    "misbehave": rule.plan.text(),
                    "method": rule.method,
                    "path": rule.path,
                    "token": rule.token.as_ref().map(|(_, label)| label),
                    "times": rule.times,
                    "after": rule.after,
                    "applied": rule.applied,
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(rules: &mut Rules, method: &str, path: &str, token: &str) -> Option<String> {
        rules
            .apply(method, path, Some(token))
            .map(|plan| plan.text().to_owned())
    }

    #[test]
    fn a_rule_applies_only_if_all_its_selectors_match() {
        let mut rules = Rules::default();
        rules
            .add("# a comment\n\nstatus=500 method=get path=/bulk token=t times=2 after=1")
            .unwrap();
        assert_eq!(apply(&mut rules, "PUT", "/x/bulk", "t"), None);
        assert_eq!(apply(&mut rules, "GET", "/x", "t"), None);
        assert_eq!(apply(&mut rules, "GET", "/x/bulk", "u"), None);
        assert_eq!(
            apply(&mut rules, "GET", "/x/bulk", "t"),
            None,
            "`after=1` skips one request"
        );
        assert_eq!(
            apply(&mut rules, "GET", "/x/bulk", "t").as_deref(),
            Some("status=500")
        );
        assert_eq!(
            apply(&mut rules, "GET", "/x/bulk", "t").as_deref(),
            Some("status=500")
        );
        assert_eq!(apply(&mut rules, "GET", "/x/bulk", "t"), None, "used up");
        assert_eq!(rules.list(), json!([]));
    }

    #[test]
    fn the_first_matching_rule_applies() {
        let mut rules = Rules::default();
        rules
            .add(r#"[{"misbehave": "cut", "times": 1}, {"misbehave": "html", "path": "*/presences/*"}]"#)
            .unwrap();
        assert_eq!(
            apply(&mut rules, "GET", "/a/presences/b", "t").as_deref(),
            Some("cut")
        );
        assert_eq!(
            apply(&mut rules, "GET", "/a/presences/b", "t").as_deref(),
            Some("html")
        );
        assert_eq!(apply(&mut rules, "GET", "/a/presences", "t"), None);
    }

    #[test]
    fn malformed_rules_are_rejected_and_add_nothing() {
        let mut rules = Rules::default();
        for (text, expected) in [
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
            assert!(wrong.contains(expected), "{text}: {wrong}");
        }
        assert_eq!(rules.list(), json!([]));
        assert!(rules.add(&"cut\n".repeat(101)).unwrap_err().contains("100"));
    }

    #[test]
    fn the_token_of_a_rule_is_never_listed() {
        let mut rules = Rules::default();
        rules.add("cut token=secret").unwrap();
        assert!(!rules.list().to_string().contains("secret"));
        assert!(!format!("{rules:?}").contains("secret"));
    }
}
