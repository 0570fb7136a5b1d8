//! Rules: which requests and which notifications get faults, and how often.

#[cfg(test)]
mod tests;
mod written;

use serde_json::{Value, json};

pub(crate) use written::{HELP, SELECTORS};
pub(super) use written::{is_selector, names};

use super::Plan;
use super::notification::{NotificationPlan, On};
use super::path::path_fits;
use crate::bounds::MAX_RULES;

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
    /// The faults of a response; none if the rule is for notifications.
    plan: Plan,
    /// When it applies to notifications, and their faults.
    notification: Option<(On, NotificationPlan)>,
    method: Option<String>,
    path: Option<String>,
    id: Option<String>,
    channel: Option<String>,
    /// The hash and the label of a token. The token itself is not stored.
    token: Option<(u64, String)>,
    times: Option<u64>,
    after: u64,
    /// The number of requests or occasions that it applied to.
    applied: u64,
}

/// What happens to a channel, for which there may be a rule.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Occasion<'a> {
    pub(crate) on: On,
    pub(crate) channel: &'a str,
    /// The hash of the channel's token.
    pub(crate) token: u64,
}

impl Rules {
    /// Adds all rules or, on an error, none. Returns those that apply at once, and are
    /// not kept.
    pub(crate) fn add(&mut self, text: &str) -> Result<Vec<Self>, String> {
        let rules = written::read(text).map_err(|problems| problems.to_string())?;
        let (now, kept): (Vec<Rule>, Vec<Rule>) = rules
            .into_iter()
            .partition(|rule| rule.occasion() == Some(On::Now));
        if self.rules.len() + kept.len() > MAX_RULES {
            return Err(format!("There can be no more than {MAX_RULES} rules."));
        }
        for mut rule in kept {
            rule.number = self.added;
            self.added += 1;
            self.rules.push(rule);
        }
        let alone = |rule| Self {
            rules: vec![rule],
            added: 0,
        };
        Ok(now.into_iter().map(alone).collect())
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
        token: Option<u64>,
        names: impl Fn(&str) -> bool,
    ) -> Option<Plan> {
        self.take(
            |rule| {
                rule.notification.is_none()
                    && rule.fits(method, path, token)
                    && rule.id.as_deref().is_none_or(&names)
            },
            |rule| rule.plan.clone(),
        )
    }

    /// The faults of an occasion of notifications, if a rule matches.
    ///
    /// `names` tells whether it is about a user.
    pub(crate) fn notification(
        &mut self,
        occasion: Occasion<'_>,
        names: impl Fn(&str) -> bool,
    ) -> Option<NotificationPlan> {
        self.take(
            |rule| {
                rule.occasion() == Some(occasion.on)
                    && rule.is_for(Some(occasion.token))
                    && rule
                        .channel
                        .as_ref()
                        .is_none_or(|wanted| wanted == occasion.channel)
                    && rule.id.as_deref().is_none_or(&names)
            },
            |rule| rule.notification.as_ref().map(|(_, plan)| plan.clone()),
        )
        .flatten()
    }

    /// Whether a channel without a connection can have the faults of a rule here.
    pub(crate) fn need_no_connection(&self) -> bool {
        let plans = self
            .rules
            .iter()
            .filter_map(|rule| rule.notification.as_ref());
        plans
            .into_iter()
            .any(|(_, plan)| plan.needs_no_connection())
    }

    /// The faults of the first rule that fits and whose `after` is over.
    fn take<T>(&mut self, fits: impl Fn(&Rule) -> bool, faults: impl Fn(&Rule) -> T) -> Option<T> {
        let mut due = None;
        for (at, rule) in self.rules.iter_mut().enumerate() {
            if !fits(rule) {
                continue;
            }
            if rule.after == 0 {
                due = Some(at);
                break;
            }
            rule.after -= 1;
        }
        let rule = self.rules.get_mut(due?)?;
        let faults = faults(rule);
        rule.applied += 1;
        rule.times = rule.times.map(|times| times.saturating_sub(1));
        if rule.times == Some(0) {
            self.rules.remove(due?);
        }
        Some(faults)
    }

    /// The remaining rules.
    pub(crate) fn list(&self) -> Value {
        self.rules
            .iter()
            .map(|rule| {
                json!({
                    "number": rule.number,
                    "misbehave": rule.text(),
                    "on": rule.occasion().map(On::name),
                    "method": rule.method,
                    "path": rule.path,
                    "id": rule.id,
                    "channel": rule.channel,
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
    /// When it applies to notifications.
    fn occasion(&self) -> Option<On> {
        self.notification.as_ref().map(|(on, _)| *on)
    }

    /// Its faults as they were written.
    fn text(&self) -> &str {
        match &self.notification {
            Some((_, plan)) => plan.text(),
            None => self.plan.text(),
        }
    }

    /// Whether it is for this token.
    fn is_for(&self, token: Option<u64>) -> bool {
        let wanted = self.token.as_ref().map(|(hash, _)| *hash);
        wanted.is_none_or(|hash| token == Some(hash))
    }

    fn fits(&self, method: &str, path: &str, token: Option<u64>) -> bool {
        self.method
            .as_ref()
            .is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
            && self
                .path
                .as_ref()
                .is_none_or(|wanted| path_fits(wanted, path))
            && self.is_for(token)
    }
}
