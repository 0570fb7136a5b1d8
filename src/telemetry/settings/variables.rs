//! Variables of the environment that are no flags.

use std::env;

use super::choice::{Choice, Unsupported};
use crate::args::ConfigErrors;

/// Variables, and what is found wrong with them. One that is set to nothing
/// is one that is not set.
pub(crate) struct Variables<'a> {
    problems: &'a mut ConfigErrors,
    unsupported: Vec<Unsupported>,
}

impl<'a> Variables<'a> {
    /// Those of the process.
    pub(crate) fn new(problems: &'a mut ConfigErrors) -> Self {
        Self {
            problems,
            unsupported: Vec::new(),
        }
    }

    /// The values that were ignored, in the order in which they were read.
    pub(super) fn take_unsupported(&mut self) -> Vec<Unsupported> {
        std::mem::take(&mut self.unsupported)
    }

    /// The text of a variable.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        let text = env::var_os(name)?.into_string();
        if text.is_err() {
            self.problem(format!("{name}: its value is no text in UTF-8"));
        }
        let text = text.ok()?.trim().to_owned();
        (!text.is_empty()).then_some(text)
    }

    /// Whether a variable is there, and set to nothing.
    pub(crate) fn is_empty(name: &str) -> bool {
        env::var_os(name).is_some_and(|text| text.is_empty())
    }

    /// Reads a variable; one that cannot be read is remembered and gives `None`.
    pub(crate) fn read<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let raw = self.text(name)?;
        let read = parse(&raw);
        read.map_err(|wrong| self.problem(format!("{name}: `{raw}` {wrong}")))
            .ok()
    }

    /// Reads a variable that holds one name; gives `None` where there is none
    /// that is supported.
    pub(super) fn choose<T: Copy>(&mut self, name: &str, choice: &Choice<T>) -> Option<T> {
        let raw = self.text(name)?;
        self.look_up(name, &raw, choice)
    }

    /// Reads a variable that holds a list of names; gives `None` where there
    /// is none that is supported.
    pub(super) fn choose_all<T: Copy>(&mut self, name: &str, choice: &Choice<T>) -> Option<Vec<T>> {
        let raw = self.text(name)?;
        let entries = raw.split(',').map(str::trim);
        let entries = entries.filter(|entry| !entry.is_empty());
        let chosen = entries.filter_map(|entry| self.look_up(name, entry, choice));
        let chosen: Vec<T> = chosen.collect();
        (!chosen.is_empty()).then_some(chosen)
    }

    /// Looks up a value of a variable. One that is not supported is remembered,
    /// and one that is a mistake is a problem; both once, since a general
    /// variable is read for each signal.
    pub(super) fn look_up<T: Copy>(
        &mut self,
        name: &str,
        value: &str,
        choice: &Choice<T>,
    ) -> Option<T> {
        let found = choice.find(value);
        if found.is_some() {
            return found;
        }
        if let Some(value) = choice.unsupported(value) {
            let unsupported = Unsupported {
                setting: name.to_owned(),
                value,
                instead: choice.instead,
            };
            if !self.unsupported.contains(&unsupported) {
                self.unsupported.push(unsupported);
            }
        } else {
            let names = choice.names();
            self.problem_once(format!("{name}: `{value}` is none of {names}"));
        }
        None
    }

    /// Remembers a problem, told as a whole sentence that names the variable.
    pub(crate) fn problem(&mut self, problem: String) {
        self.problems.add(problem);
    }

    /// Remembers a problem unless it is known.
    pub(crate) fn problem_once(&mut self, problem: String) {
        if !self.problems.has(&problem) {
            self.problems.add(problem);
        }
    }
}
