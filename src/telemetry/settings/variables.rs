//! Variables of the environment that are no flags.

use std::env;

use crate::config::value::Problems;

/// Variables, and what is found wrong with them. One that is set to nothing
/// is one that is not set.
pub(crate) struct Variables<'a>(&'a mut Problems);

impl<'a> Variables<'a> {
    /// Those of the process.
    pub(crate) fn new(problems: &'a mut Problems) -> Self {
        Self(problems)
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

    /// Remembers a problem, told as a whole sentence that names the variable.
    pub(crate) fn problem(&mut self, problem: String) {
        self.0.add(problem);
    }

    /// Remembers a problem unless it is known.
    pub(crate) fn problem_once(&mut self, problem: String) {
        if !self.0.has(&problem) {
            self.0.add(problem);
        }
    }
}
