//! Rules: which requests get faults, and how often.

#[cfg(test)]
mod tests;
mod written;

use serde_json::{Value, json};

pub(crate) use written::{HELP, SELECTORS};
pub(super) use written::{is_selector, names};

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
    id: Option<String>,
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
        let rules = written::read(text).map_err(|problems| problems.to_string())?;
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
    ///
    /// `names` tells whether the request names an id. It is asked only for a rule that
    /// selects by one, because the ids may have to be read from a body.
    pub(crate) fn apply(
        &mut self,
        method: &str,
        path: &str,
        token: Option<&str>,
        names: impl Fn(&str) -> bool,
    ) -> Option<Plan> {
        let mut due = None;
        for (at, rule) in self.rules.iter_mut().enumerate() {
            if !rule.fits(method, path, token) || !rule.id.as_deref().is_none_or(&names) {
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
                    "id": rule.id,
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
