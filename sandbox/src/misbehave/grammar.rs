//! Parsing of faults.

use std::time::Duration;

use super::problem::{Problem, Problems};
use super::rules::is_selector;
use super::words::{self, Means, Word};
use super::{Change, End, Plan, notification};
use crate::settings::within;
use presence_gateway_args::parse_number;

/// The longest text: enough for all faults together, and small enough to echo.
const MAX_TEXT: usize = 500;

/// The default pause between bytes.
const DRIP: Duration = Duration::from_millis(1);

impl Plan {
    /// Parses faults, for example `status=503,retry-after=2,after`. Reports all that
    /// is wrong.
    pub(crate) fn read(text: &str) -> Result<Self, Problems> {
        Self::parse(text).map_err(Problems::from)
    }

    pub(super) fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        let mut plan = Self {
            text: text.trim().to_owned(),
            ..Self::default()
        };
        let mut before = false;
        let mut problems = parts(text, |given, is_first| {
            before |= plan.take_part(given, is_first)? == Means::Before;
            Ok(())
        });
        if problems.is_empty() {
            problems.extend(plan.agrees(before).err().map(Problem::new));
        }
        if problems.is_empty() {
            Ok(plan)
        } else {
            Err(problems)
        }
    }

    /// Takes one behaviour, and returns what it means.
    fn take_part(&mut self, given: &str, is_first: bool) -> Result<Means, Problem> {
        let (name, value) = match given.split_once('=') {
            Some((name, value)) => (name.trim(), Some(value.trim())),
            None => (given, None),
        };
        let word = words::find(name);
        // `after` is a behaviour and, with a value, a selector.
        let is_behaviour = word.is_some_and(|word| word.means != Means::After || value.is_none());
        if is_selector(name) && !is_behaviour {
            let where_to = if is_first {
                "behaviours come first"
            } else {
                "put a space before it, not a comma"
            };
            return Err(Problem::new(format!(
                "`{given}` is a selector of rules: {where_to}."
            )));
        }
        let word = word.ok_or_else(|| {
            if notification::words::is_word(name) {
                Problem::new(format!(
                    "`{given}` is a behaviour of notifications: the rule needs an `on`."
                ))
            } else {
                Problem::no_behaviour(given)
            }
        })?;
        self.take(word, value).map_err(|wrong| {
            let hint = if given.contains(char::is_whitespace) {
                "; commas separate behaviours, and only rules of text have selectors"
            } else {
                ""
            };
            Problem::new(format!("`{given}` {wrong}{hint}"))
        })?;
        Ok(word.means)
    }

    fn take(&mut self, word: &Word, value: Option<&str>) -> Result<(), String> {
        match (word.means, value) {
            (Means::Status, Some(value)) => self.status = Some(parse_number(200..=599)(value)?),
            (Means::Code, Some(value)) if !value.is_empty() => self.code = Some(value.to_owned()),
            (Means::RetryAfter, Some(value)) => {
                self.retry_after = Some(parse_number(0..=u64::MAX)(value)?);
            }
            (Means::Delay, Some(value)) => self.delay = within(Duration::ZERO, value)?,
            (Means::Before, None) => {}
            (Means::After, None) => self.after = true,
            (Means::Change(change), None) => self.changes.push(change),
            (Means::DropSome, None) => self.changes.push(Change::Drop(1)),
            (Means::DropSome, Some(value)) => {
                self.changes
                    .push(Change::Drop(parse_number(1..=10_000)(value)?));
            }
            (Means::End(end), None) => self.end(end)?,
            (Means::Drip, None) => self.end(End::Drip(DRIP))?,
            (Means::Drip, Some(value)) => self.end(End::Drip(within(Duration::ZERO, value)?))?,
            _ => {
                return Err(format!(
                    "is not how it is written:\n  {}  {}",
                    word.written, word.description
                ));
            }
        }
        Ok(())
    }

    fn end(&mut self, end: End) -> Result<(), String> {
        match self.end.replace(end) {
            None => Ok(()),
            Some(_) => Err("cannot happen as well: an answer ends in one way".to_owned()),
        }
    }

    /// Checks that the faults agree, and adds the implied ones.
    fn agrees(&mut self, before: bool) -> Result<(), String> {
        if before && self.after {
            return Err("a write fails `before` it is applied or `after`, not both".into());
        }
        if self.retry_after.is_some() && self.status.is_none() {
            self.status = Some(429);
        }
        if self.code.is_some() && self.status.is_none_or(|status| status < 400) {
            return Err("`code` needs a `status` of 400 or above".to_owned());
        }
        Ok(())
    }
}

/// Takes behaviours one by one, and returns what is wrong with them.
pub(super) fn parts(
    text: &str,
    mut take: impl FnMut(&str, bool) -> Result<(), Problem>,
) -> Vec<Problem> {
    let text = text.trim();
    if text.len() > MAX_TEXT {
        return vec![Problem::new(format!(
            "Behaviours take no more than {MAX_TEXT} bytes together, not {}.",
            text.len()
        ))];
    }
    let mut problems = Vec::new();
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    for (at, given) in parts.iter().enumerate() {
        if given.is_empty() {
            problems.push(Problem::new(nothing(text, at, parts.len())));
        } else {
            problems.extend(take(given, at == 0).err());
        }
    }
    problems
}

/// The error for an empty part of behaviours.
fn nothing(text: &str, at: usize, parts: usize) -> String {
    if parts == 1 {
        return "There is no behaviour here.".to_owned();
    }
    let comma = match at {
        0 => "precedes the first comma",
        at if at + 1 == parts => "follows the last comma",
        _ => "is between two commas",
    };
    format!(
        "In `{text}`, nothing {comma}: behaviours have commas and no spaces between, and \
         selectors follow after a space."
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::misbehave::words::WORDS;

    fn error(text: &str) -> String {
        Plan::read(text).unwrap_err().to_string()
    }

    #[test]
    fn behaviours_combine() {
        let plan = Plan::read("status=503, retry-after=2,delay=250ms ,half-json,after").unwrap();
        assert_eq!((plan.status, plan.retry_after), (Some(503), Some(2)));
        assert_eq!(plan.delay, Duration::from_millis(250));
        assert_eq!((plan.end, plan.after), (Some(End::HalfJson), true));
        let plan = Plan::read("retry-after=7").unwrap();
        assert_eq!(plan.status, Some(429), "`retry-after` implies a 429");
        let plan = Plan::read("shuffle,drop=2,duplicate,drip").unwrap();
        assert_eq!(
            plan.changes,
            [Change::Shuffle, Change::Drop(2), Change::Duplicate]
        );
        assert_eq!(plan.end, Some(End::Drip(DRIP)));
    }

    #[test]
    fn every_listed_behaviour_is_parsed_and_changes_the_plan() {
        for written in WORDS.iter().flat_map(|word| word.written.split(", ")) {
            let text = match written {
                "status=N" => "status=200".to_owned(),
                "code=C" => "status=400,code=c".to_owned(),
                "retry-after=S" => "retry-after=1".to_owned(),
                "drop=N" => "drop=3".to_owned(),
                other => other.to_owned(),
            };
            let plan = Plan::read(&text).unwrap_or_else(|wrong| panic!("{text}: {wrong}"));
            let no_effect = Plan {
                text: text.clone(),
                ..Plan::default()
            };
            assert_eq!(plan == no_effect, text == "before", "{text} has no effect");
        }
    }

    #[test]
    fn a_plan_holds_all_compatible_behaviours_within_500_bytes() {
        let compatible = "status=500,code=internal.server.error,retry-after=1,delay=250ms,wrong-shape,\
                    null-list,null-items,unknown-field,shuffle,drop,duplicate,stranger,after,drip";
        assert!(Plan::read(compatible).is_ok());
        let too_long = "wrong-shape,".repeat(5000) + "cut";
        let wrong = error(&too_long);
        assert!(wrong.contains("no more than 500 bytes"), "{wrong}");
    }

    #[test]
    fn an_error_lists_the_accepted_values() {
        for (text, expected) in [
            ("", "There is no behaviour here."),
            (
                "explode",
                "`explode` is no behaviour. There are status, code, ",
            ),
            (
                "explode",
                "\n\nBehaviours are separated by commas:\n  status=N ",
            ),
            ("status", "status=N"),
            ("cut=1", "the connection closes without a response"),
            (
                "status=99",
                "`status=99` is not a whole number from 200 to 599",
            ),
            ("delay=5", "for example `5s`"),
            ("delay=2h", "`delay=2h` is not between 0s and 1h"),
            ("drip=1year", "is not between 0s and 1h"),
            ("retry-after=soon", "is not a whole number"),
            ("cut,html", "an answer ends in one way"),
            ("before,after,cut", "not both"),
            ("code=x", "`code` needs a `status` of 400 or above"),
            ("status=503,,cut", "nothing is between two commas"),
            (",cut", "nothing precedes the first comma"),
            (
                "status=503,",
                "In `status=503,`, nothing follows the last comma: behaviours have commas and no \
                 spaces between, and selectors follow after a space.",
            ),
            (
                "status=503,times=1",
                "`times=1` is a selector of rules: put a space before it, not a comma.",
            ),
            ("cut,after=1", "`after=1` is a selector of rules: put a"),
            (
                "id=u,cut",
                "`id=u` is a selector of rules: behaviours come first.",
            ),
            ("status=503 times=1", "only rules of text have selectors"),
        ] {
            let wrong = error(text);
            assert!(wrong.contains(expected), "{text}: {wrong}");
        }
    }

    #[test]
    fn an_error_has_all_problems_and_the_choices_once() {
        let wrong = error("explode,status=99,bang,,times=1");
        for expected in [
            "`explode` is no behaviour. There are status, ",
            "\n`status=99` is not a whole number from 200 to 599\n`bang` is no behaviour.\nIn `",
            "\n`times=1` is a selector of rules",
        ] {
            assert!(wrong.contains(expected), "{wrong}");
        }
        assert_eq!(wrong.matches("There are").count(), 1, "{wrong}");
        assert_eq!(wrong.matches("\n\n").count(), 1, "{wrong}");
        let many = error(&"x,".repeat(30));
        assert!(many.contains("\n21 more problems are not shown."), "{many}");
    }
}
