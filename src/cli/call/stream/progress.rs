//! The progress of a stream: a bar on the terminal, and counts.

use std::fmt;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::proto::v1::StreamUsersPresenceBulkResponse;

/// How often the bar is redrawn while there is no progress.
const TICK: Duration = Duration::from_millis(200);

/// What became of the ids so far. It prints as one line of text.
pub(super) struct Progress {
    bar: ProgressBar,
    done: i64,
    missing: i64,
    pub failed: i64,
}

impl Progress {
    /// Shows the bar, if the standard error stream is a terminal.
    pub(super) fn new(total: Option<u64>) -> Self {
        let (bar, template) = match total {
            Some(total) => (
                ProgressBar::new(total),
                "{bar:24} {pos}/{len} {percent}%  {msg}  {per_sec}, {eta} left",
            ),
            None => (
                ProgressBar::no_length(),
                "{spinner} {pos}  {msg}  {per_sec}",
            ),
        };
        // A wrong template would leave the default one.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(TICK);
        Self {
            bar,
            done: 0,
            missing: 0,
            failed: 0,
        }
    }

    /// The bar, which has to be suspended while something else is printed.
    pub(super) fn bar(&self) -> ProgressBar {
        self.bar.clone()
    }

    /// Takes over the counts of a response.
    pub(super) fn update(&mut self, response: &StreamUsersPresenceBulkResponse) {
        let counts = response.progress.unwrap_or_default();
        (self.done, self.missing, self.failed) = (counts.done, counts.missing, counts.failed);
        let ended = counts.duplicates + counts.done + counts.missing + counts.failed;
        self.bar.set_position(ended.try_into().unwrap_or_default());
        self.bar.set_message(self.to_string());
    }

    /// Removes the bar.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (done, missing, failed) = (self.done, self.missing, self.failed);
        write!(f, "{done} done, {missing} missing, {failed} failed")
    }
}
