//! The words in which a wrong answer is asked for.

use std::time::Duration;

use super::{Change, End, Plan};
use crate::config::value::{duration, number};

/// The behaviours, told to who writes them wrong.
pub(in crate::sandbox) const HELP: &str = "\
Behaviours are separated by commas:
  status=N        a status from 200 to 599; from 400 on with the vendor's error body
  code=C          the error's code; with status=400 or above
  retry-after=S   the header, in whole seconds; alone it is a 429
  delay=250ms     the answer waits
  cut             the connection closes without an answer
  cut-body        the connection closes in the middle of the body
  never           no answer at all
  drip, drip=5ms  the body comes a byte at a time
  garbage         bytes that are no JSON
  html            a page instead of JSON
  half-json       the first half of the body, as if it were whole
  empty           no body
  redirect        302 to another host
  huge            a body without an end
  wrong-shape     an array for an object, an object for an array
  null-list       null instead of a list
  null-items      a null in front of each list's items
  unknown-field   a field that nobody knows, in every object
  shuffle         a list in the opposite order
  drop, drop=N    a list without its last N items
  duplicate       a list with its first item twice
  stranger        a list with one item more, of a user that nobody asked for
  before          a write is not carried out (this is the default)
  after           a write is carried out, then it goes wrong
At most one of cut, cut-body, never, drip, garbage, html, half-json, empty, redirect, huge.
";

/// How long a byte waits where nobody says.
const DRIP: Duration = Duration::from_millis(1);

impl Plan {
    /// Reads behaviours, such as `status=503,retry-after=2,after`; else says what is wrong.
    pub(in crate::sandbox) fn read(text: &str) -> Result<Self, String> {
        let mut plan = Self {
            text: text.trim().to_owned(),
            ..Self::default()
        };
        let mut before = false;
        for word in text.split(',').map(str::trim) {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name.trim(), Some(value.trim())),
                None => (word, None),
            };
            match (name, value) {
                ("before", None) => before = true,
                _ => plan
                    .take(name, value)
                    .map_err(|wrong| format!("`{word}` {wrong}"))?,
            }
        }
        plan.agrees(before)?;
        Ok(plan)
    }

    fn take(&mut self, name: &str, value: Option<&str>) -> Result<(), String> {
        match (name, value) {
            ("after", None) => self.after = true,
            ("status", Some(value)) => self.status = Some(number(200..=599)(value)?),
            ("code", Some(value)) if !value.is_empty() => self.code = Some(value.to_owned()),
            ("retry-after", Some(value)) => self.retry_after = Some(number(0..=u64::MAX)(value)?),
            ("delay", Some(value)) => self.delay = duration(value)?,
            ("drip", Some(value)) => self.end(End::Drip(duration(value)?))?,
            ("drip", None) => self.end(End::Drip(DRIP))?,
            ("drop", Some(value)) => self.changes.push(Change::Drop(number(1..=10_000)(value)?)),
            ("drop", None) => self.changes.push(Change::Drop(1)),
            (_, Some(_)) => return Err(unknown(name)),
            (_, None) => match (change(name), end(name)) {
                (Some(change), _) => self.changes.push(change),
                (None, Some(end)) => self.end(end)?,
                (None, None) => return Err(unknown(name)),
            },
        }
        Ok(())
    }

    fn end(&mut self, end: End) -> Result<(), String> {
        match self.end.replace(end) {
            None => Ok(()),
            Some(_) => Err("cannot happen as well: an answer ends in one way".to_owned()),
        }
    }

    /// Checks the behaviours against each other, and adds what goes without saying.
    fn agrees(&mut self, before: bool) -> Result<(), String> {
        if before && self.after {
            return Err(
                "a write goes wrong `before` it is carried out or `after`, not both".into(),
            );
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

fn change(name: &str) -> Option<Change> {
    Some(match name {
        "shuffle" => Change::Shuffle,
        "duplicate" => Change::Duplicate,
        "stranger" => Change::Stranger,
        "null-list" => Change::NullList,
        "null-items" => Change::NullItems,
        "unknown-field" => Change::UnknownField,
        "wrong-shape" => Change::WrongShape,
        _ => return None,
    })
}

fn end(name: &str) -> Option<End> {
    Some(match name {
        "cut" => End::Cut,
        "cut-body" => End::CutBody,
        "never" => End::Never,
        "garbage" => End::Garbage,
        "html" => End::Html,
        "half-json" => End::HalfJson,
        "empty" => End::Empty,
        "redirect" => End::Redirect,
        "huge" => End::Huge,
        _ => return None,
    })
}

/// What to say of a word that is no behaviour, or one that is written wrong.
fn unknown(name: &str) -> String {
    let line = HELP.lines().find(|line| {
        let names = line
            .split("  ")
            .find(|part| !part.is_empty())
            .unwrap_or_default();
        names
            .split(", ")
            .any(|one| one.trim().split('=').next() == Some(name))
    });
    match line {
        Some(line) if !name.is_empty() => format!("is not how it is written:\n{line}"),
        _ => format!("is no behaviour. {HELP}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behaviours_combine() {
        let plan = Plan::read("status=503, retry-after=2,delay=250ms ,half-json,after").unwrap();
        assert_eq!((plan.status, plan.retry_after), (Some(503), Some(2)));
        assert_eq!(plan.delay, Duration::from_millis(250));
        assert_eq!((plan.end, plan.after), (Some(End::HalfJson), true));
        let plan = Plan::read("retry-after=7").unwrap();
        assert_eq!(plan.status, Some(429), "alone it is a 429");
        let plan = Plan::read("shuffle,drop=2,duplicate,drip").unwrap();
        assert_eq!(
            plan.changes,
            [Change::Shuffle, Change::Drop(2), Change::Duplicate]
        );
        assert_eq!(plan.end, Some(End::Drip(DRIP)));
    }

    #[test]
    fn each_behaviour_of_the_help_can_be_asked_for() {
        let lines = HELP.lines().filter(|line| line.starts_with("  "));
        let mut read = 0;
        for line in lines {
            let names = line.trim_start().split("  ").next().unwrap();
            for name in names.split(", ") {
                let word = match name {
                    "status=N" => "status=200".to_owned(),
                    "code=C" => "status=400,code=c".to_owned(),
                    "retry-after=S" => "retry-after=1".to_owned(),
                    "drop=N" => "drop=3".to_owned(),
                    other => other.to_owned(),
                };
                Plan::read(&word).unwrap_or_else(|wrong| panic!("{word}: {wrong}"));
                read += 1;
            }
        }
        assert_eq!(read, 26);
    }

    #[test]
    fn a_mistake_is_told_with_what_would_be_right() {
        for (text, told) in [
            ("", "Behaviours are separated by commas"),
            (
                "explode",
                "`explode` is no behaviour. Behaviours are separated by commas",
            ),
            ("status", "status=N"),
            ("cut=1", "the connection closes without an answer"),
            (
                "status=99",
                "`status=99` is not a whole number from 200 to 599",
            ),
            ("delay=5", "such as `5s`"),
            ("retry-after=soon", "is not a whole number"),
            ("cut,html", "an answer ends in one way"),
            ("before,after,cut", "not both"),
            ("code=x", "`code` needs a `status` of 400 or above"),
            ("status=503,,cut", "is no behaviour"),
        ] {
            let wrong = Plan::read(text).unwrap_err();
            assert!(wrong.contains(told), "{text}: {wrong}");
        }
    }
}
