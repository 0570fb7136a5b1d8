//! Reads user ids, one on each line of a file or of the standard input.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::thread;

use tokio::sync::mpsc;

use crate::bulk::BATCH_SIZE;

/// The name of the standard input.
pub(super) const STANDARD_INPUT: &str = "-";

/// How many ids are read ahead.
const READ_AHEAD: usize = 1000;

/// The longest line that is read, in bytes. The gateway rejects even shorter ids.
const MAX_LINE_BYTES: u64 = 4096;

/// Ids that a thread reads ahead of the stream.
#[derive(Debug)]
pub(super) struct IdReader {
    lines: mpsc::Receiver<io::Result<String>>,
    /// The error that ended the reading, returned after the ids before it.
    error: Option<io::Error>,
    /// How many ids there are, if that is known.
    pub total: Option<u64>,
}

impl IdReader {
    /// Opens the file, and starts to read it.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened, or one of its lines cannot be read.
    pub(super) fn open(file: &str) -> io::Result<Self> {
        let (sender, lines) = mpsc::channel(READ_AHEAD);
        let mut total = None;
        if file == STANDARD_INPUT {
            thread::spawn(move || send_lines(io::stdin().lock(), &sender));
        } else {
            let metadata = fs::metadata(file)?;
            if metadata.is_dir() {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            // Anything else, such as a pipe, can be read only once.
            if metadata.is_file() {
                total = Some(count(BufReader::new(File::open(file)?))?);
            }
            let file = BufReader::new(File::open(file)?);
            thread::spawn(move || send_lines(file, &sender));
        }
        Ok(Self {
            lines,
            error: None,
            total,
        })
    }

    /// Returns the ids that have been read, at most one batch: that many fit into
    /// a message even if each has the longest line. Waits for the first; `None`
    /// at the end.
    pub(super) async fn next(&mut self) -> Option<io::Result<Vec<String>>> {
        let mut ids = Vec::with_capacity(BATCH_SIZE);
        self.lines.recv_many(&mut ids, BATCH_SIZE).await;
        // An error is the last of the lines.
        if let Some(error) = ids.pop_if(|line| line.is_err()) {
            self.error = error.err();
        }
        if ids.is_empty() {
            return self.error.take().map(Err);
        }
        Some(ids.into_iter().collect())
    }
}

/// The lines that are not blank, trimmed.
fn lines(mut file: impl BufRead) -> impl Iterator<Item = io::Result<String>> {
    std::iter::from_fn(move || {
        loop {
            let mut line = String::new();
            match io::Read::take(&mut file, MAX_LINE_BYTES).read_line(&mut line) {
                Ok(0) => return None,
                Err(error) => return Some(Err(error)),
                Ok(_) if line.len() as u64 >= MAX_LINE_BYTES => {
                    let wrong = format!(
                        "a line has {MAX_LINE_BYTES} bytes or more, which is too long for an id"
                    );
                    return Some(Err(io::Error::new(io::ErrorKind::InvalidData, wrong)));
                }
                Ok(_) => {}
            }
            // Some editors begin a file with a byte order mark.
            let id = line.trim_start_matches('\u{feff}').trim();
            if !id.is_empty() {
                return Some(Ok(id.to_owned()));
            }
        }
    })
}

fn count(file: impl BufRead) -> io::Result<u64> {
    lines(file).try_fold(0, |count, line| line.map(|_| count + 1))
}

/// Sends lines until the end, the first error, or until the receiver is gone.
fn send_lines(file: impl BufRead, to: &mpsc::Sender<io::Result<String>>) {
    for line in lines(file) {
        let is_error = line.is_err();
        if to.blocking_send(line).is_err() || is_error {
            return;
        }
    }
}
