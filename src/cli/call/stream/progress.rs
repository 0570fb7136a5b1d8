//! The progress of a stream: a bar on the terminal, and counts.

use std::fmt;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::proto::v1::{StreamProgress, StreamUsersPresenceBulkResponse};

/// How often the bar is redrawn while there is no progress.
const TICK: Duration = Duration::from_millis(200);

/// What became of the ids so far. It prints as one line of text.
pub(super) struct Progress {
    bar: ProgressBar,
    pub counts: StreamProgress,
}

impl Progress {
    /// Shows the bar, if the standard error stream is a terminal and the caller a
    /// person.
    pub(super) fn new(total: Option<u64>, is_shown: bool) -> Self {
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
        if !is_shown {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        // A wrong template would leave the default one.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(TICK);
        let counts = StreamProgress::default();
        Self { bar, counts }
    }

    /// The bar, which has to be suspended while something else is printed.
    pub(super) fn bar(&self) -> ProgressBar {
        self.bar.clone()
    }

    /// Takes over the counts of a response.
    pub(super) fn update(&mut self, response: &StreamUsersPresenceBulkResponse) {
        let counts = response.progress.unwrap_or_default();
        self.counts = counts;
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
        let counts = &self.counts;
        let (done, missing, failed) = (counts.done, counts.missing, counts.failed);
        write!(f, "{done} done, {missing} missing, {failed} failed")
    }
}
