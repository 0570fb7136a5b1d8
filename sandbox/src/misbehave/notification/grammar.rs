//! Parsing of faults of notifications.

use std::time::Duration;

use presence_gateway_args::{parse_duration, parse_number};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::words::{self, Means, On, names, occasions};
use super::{Action, Change, NotificationPlan, Raw, Spelling};
use crate::misbehave::grammar::parts;
use crate::misbehave::problem::Problem;
use crate::misbehave::rules::is_selector;
use crate::notifications::channel::LIFETIME;
use crate::settings::within;

/// The length of a huge text, unless the rule has another one.
const HUGE: usize = 10 * 1024 * 1024;

/// The longest text that is sent.
const MAX_HUGE: usize = 64 * 1024 * 1024;

/// How long after its announcement a socket is closed: about a minute **[A]**.
const CLOSING: Duration = Duration::from_mins(1);

impl NotificationPlan {
    /// Parses faults for one occasion, for example `duplicate,delay=1s`.
    pub(in crate::misbehave) fn parse(text: &str, on: On) -> Result<Self, Vec<Problem>> {
        let mut plan = Self {
            text: text.trim().to_owned(),
            ..Self::default()
        };
        let mut problems = parts(text, |given, is_first| plan.take_part(given, is_first, on));
        let at_once = plan.actions.iter().find_map(|action| match action {
            Action::TokenRevoked => Some("token-revoked"),
            Action::NoLongerSubscribed => Some("no-longer-subscribed"),
            Action::Expire => Some("expire"),
            _ => None,
        });
        if let Some(name) = at_once.filter(|_| !plan.delay.is_zero()) {
            problems.push(Problem::new(format!(
                "`{name}` happens at once: it has no `delay`."
            )));
        }
        if problems.is_empty() {
            Ok(plan)
        } else {
            Err(problems)
        }
    }

    fn take_part(&mut self, given: &str, is_first: bool, on: On) -> Result<(), Problem> {
        let (name, value) = match given.split_once('=') {
            Some((name, value)) => (name.trim(), Some(value.trim())),
            None => (given, None),
        };
        let Some((word, possible)) = words::find(name) else {
            if is_selector(name) {
                let where_to = if is_first {
                    "behaviours come first"
                } else {
                    "put a space before it, not a comma"
                };
                return Err(Problem::new(format!(
                    "`{given}` is a selector of rules: {where_to}."
                )));
            }
            return Err(Problem::new(format!(
                "`{given}` is no behaviour of notifications. With `on={}` there are {}.",
                on.name(),
                names(on)
            )));
        };
        if !possible.contains(&on) {
            return Err(Problem::new(format!(
                "`{given}` is not possible with `on={}`, but with `on={}`.",
                on.name(),
                occasions(possible).join("`, `on=")
            )));
        }
        let wrong = |wrong: String| Problem::new(format!("`{given}` {wrong}."));
        let form = || {
            wrong(format!(
                "is not how it is written:\n  {}  {}",
                word.written, word.description
            ))
        };
        let action = match (&word.means, value) {
            (Means::Delay, Some(value)) => {
                self.delay = within(Duration::ZERO, value).map_err(wrong)?;
                return Ok(());
            }
            (Means::Plain(action), None) => action.clone(),
            (Means::Huge, None) => Action::Raw(Raw::Huge(HUGE)),
            (Means::Huge, Some(value)) => {
                let bytes = parse_number(1..=MAX_HUGE)(value).map_err(wrong)?;
                Action::Raw(Raw::Huge(bytes))
            }
            (Means::Date, value) => Action::Change(Change::Date(value.map(str::to_owned))),
            (Means::Spelling, Some(value)) => Action::Change(Change::Spelling(match value {
                "spaced" => Spelling::Spaced,
                "joined" => Spelling::Joined,
                "lower" => Spelling::Lower,
                "new" => Spelling::New,
                _ => return Err(form()),
            })),
            (Means::SocketClosing, None) => Action::SocketClosing(CLOSING),
            (Means::SocketClosing, Some(value)) => {
                Action::SocketClosing(within(Duration::ZERO, value).map_err(wrong)?)
            }
            (Means::Silence, None) => Action::Silence(None),
            (Means::Silence, Some(value)) => {
                Action::Silence(Some(within(Duration::ZERO, value).map_err(wrong)?))
            }
            (Means::Close, Some(value)) => {
                let code = parse_number(1000..=4999)(value).map_err(wrong)?;
                if !CloseCode::from(code).is_allowed() {
                    return Err(wrong("is a code that no close frame can have".to_owned()));
                }
                Action::Close(code)
            }
            (Means::Expires, Some(value)) => {
                let lifetime = parse_duration(value).map_err(wrong)?;
                if lifetime > LIFETIME {
                    return Err(wrong("is longer than 24h".to_owned()));
                }
                Action::Lifetime(lifetime)
            }
            (Means::Uri, Some(value)) if !value.is_empty() => Action::Uri(value.to_owned()),
            _ => return Err(form()),
        };
        self.actions.push(action);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::misbehave::notification::words::WORDS;
    use crate::misbehave::problem::Problems;

    fn error(text: &str, on: On) -> String {
        let problems = NotificationPlan::parse(text, on).unwrap_err();
        Problems::from(problems).to_string()
    }

    #[test]
    fn every_listed_behaviour_is_parsed_on_each_of_its_occasions() {
        for (word, on) in &WORDS {
            for written in word.written.split(", ") {
                let text = match written {
                    "spelling=HOW" => "spelling=lower",
                    "huge=BYTES" => "huge=5",
                    "close=CODE" => "close=4000",
                    other => other,
                };
                for on in *on {
                    let plan = NotificationPlan::parse(text, *on).unwrap();
                    let changes = !plan.actions.is_empty() || plan.delay > Duration::ZERO;
                    assert!(changes, "{text} has no effect");
                }
            }
        }
    }

    #[test]
    fn an_error_says_what_would_be_right() {
        for (text, on, expected) in [
            ("bang", On::Event, "With `on=event` there are delay, drop, "),
            (
                "reject",
                On::Event,
                "`reject` is not possible with `on=event`, but with `on=subscribe`.",
            ),
            (
                "drop",
                On::Now,
                "but with `on=event`, `on=heartbeat`, `on=pong`.",
            ),
            (
                "close",
                On::Now,
                "close=CODE  the socket is closed with this code.",
            ),
            (
                "close=7",
                On::Now,
                "`close=7` is not a whole number from 1000 to 4999.",
            ),
            ("close=1006", On::Now, "a code that no close frame can have"),
            (
                "token-revoked,delay=1s",
                On::Connect,
                "`token-revoked` happens at once: it has no `delay`.",
            ),
            ("spelling=odd", On::Event, "is not how it is written"),
            ("silence=5", On::Now, "for example `5s`"),
            ("expires=25h", On::Channel, "is longer than 24h"),
            ("uri=", On::Channel, "uri=URI"),
            ("cut=1", On::Now, "is not how it is written"),
            ("cut,,", On::Now, "nothing is between two commas"),
            ("cut,times=1", On::Now, "put a space before it, not a comma"),
            ("times=1,cut", On::Now, "behaviours come first"),
        ] {
            let wrong = error(text, on);
            assert!(wrong.contains(expected), "{text}: {wrong}");
        }
    }
}
