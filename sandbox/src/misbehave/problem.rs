//! What is wrong with behaviours and rules, so that a user sees all of it at once.

use std::fmt;

use super::{rules, words};

/// How many problems an error shows.
const MAX_SHOWN: usize = 10;

/// One thing that is wrong.
#[derive(Debug)]
pub(crate) struct Problem {
    /// The rule that has it, if there are several: `Line 2: `.
    place: String,
    text: String,
    help: Help,
}

/// The part of the grammar that an error shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Help {
    Nothing,
    Behaviours,
    Selectors,
    Rules,
}

impl Problem {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self::with(Help::Nothing, text.into())
    }

    pub(super) fn no_behaviour(given: &str) -> Self {
        Self::with(Help::Behaviours, format!("`{given}` is no behaviour."))
    }

    pub(super) fn no_selector(given: &str) -> Self {
        Self::with(Help::Selectors, format!("`{given}` is no selector."))
    }

    pub(super) fn no_rule(text: impl Into<String>) -> Self {
        Self::with(Help::Rules, text.into())
    }

    /// The same problem, of this rule.
    pub(super) fn at(mut self, place: &str) -> Self {
        place.clone_into(&mut self.place);
        self
    }

    fn with(help: Help, text: String) -> Self {
        Self {
            place: String::new(),
            text,
            help,
        }
    }
}

/// Everything that is wrong: a line for each problem, then the grammar that it needs.
#[derive(Debug)]
pub(crate) struct Problems(Vec<Problem>);

impl From<Vec<Problem>> for Problems {
    fn from(problems: Vec<Problem>) -> Self {
        Self(problems)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut choices = [
            (Help::Behaviours, words::names()),
            (Help::Selectors, rules::names()),
        ]
        .map(|(help, names)| (help, Some(names)));
        for (at, Problem { place, text, help }) in self.0.iter().take(MAX_SHOWN).enumerate() {
            let newline = if at == 0 { "" } else { "\n" };
            write!(f, "{newline}{place}{text}")?;
            // The first of a kind has the choices.
            let choices = choices.iter_mut().find(|(of, _)| of == help);
            if let Some(names) = choices.and_then(|(_, names)| names.take()) {
                write!(f, " There are {names}.")?;
            }
        }
        let more = self.0.len().saturating_sub(MAX_SHOWN);
        if more > 0 {
            write!(f, "\n{more} more problems are not shown.")?;
        }
        let has = |wanted: &[Help]| self.0.iter().any(|problem| wanted.contains(&problem.help));
        if has(&[Help::Behaviours]) {
            write!(f, "\n\n{}", words::help())?;
        }
        if has(&[Help::Selectors, Help::Rules]) {
            write!(f, "\n\n{}", rules::HELP)?;
        }
        Ok(())
    }
}
