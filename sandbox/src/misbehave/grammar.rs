//! Parsing of faults.

use std::time::Duration;

use super::words::{self, Means, Word, choices};
use super::{Change, End, Plan};
use crate::settings::within;
use presence_gateway_args::parse_number;

/// The longest text: enough for all faults together, and small enough to echo.
const MAX_TEXT: usize = 500;

/// The default pause between bytes.
const DRIP: Duration = Duration::from_millis(1);

impl Plan {
    /// Parses faults, for example `status=503,retry-after=2,after`.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.len() > MAX_TEXT {
            return Err(format!(
                "Behaviours take no more than {MAX_TEXT} bytes together, not {}.",
                text.len()
            ));
        }
        let mut plan = Self {
            text: text.to_owned(),
            ..Self::default()
        };
        let mut before = false;
        for given in text.split(',').map(str::trim) {
            let (name, value) = match given.split_once('=') {
                Some((name, value)) => (name.trim(), Some(value.trim())),
                None => (given, None),
            };
            let word = words::find(name)
                .ok_or_else(|| format!("`{given}` is no behaviour. {}", choices()))?;
            plan.take(word, value)
                .map_err(|wrong| format!("`{given}` {wrong}"))?;
            before |= word.means == Means::Before;
        }
        plan.agrees(before)?;
        Ok(plan)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::misbehave::words::WORDS;

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
        let wrong = Plan::read(&too_long).unwrap_err();
        assert!(wrong.contains("no more than 500 bytes"), "{wrong}");
    }

    #[test]
    fn an_error_lists_the_accepted_values() {
        for (text, expected) in [
            ("", "`` is no behaviour. There are status, code, "),
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
            ("status=503,,cut", "is no behaviour"),
        ] {
            let wrong = Plan::read(text).unwrap_err();
            assert!(wrong.contains(expected), "{text}: {wrong}");
        }
    }
}
