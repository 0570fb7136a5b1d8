//! Ids of users, one on each line of a file or of the standard input.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::thread;

use tokio::sync::mpsc;

/// The name that stands for the standard input.
pub(super) const STANDARD_INPUT: &str = "-";

/// How many ids are read ahead.
const AHEAD: usize = 1000;

/// How many ids one message holds: a batch, which any gateway takes, also of
/// the longest lines.
const MESSAGE: usize = 50;

/// The longest line that is read, in bytes; the gateway refuses a shorter one already.
const MAX_LINE: u64 = 4096;

/// Ids that are read as they are wanted.
#[derive(Debug)]
pub(super) struct Ids {
    lines: mpsc::Receiver<io::Result<String>>,
    /// Why there are no more, which is told after those before it.
    failed: Option<io::Error>,
    /// How many there are, where that can be known.
    pub total: Option<u64>,
}

impl Ids {
    /// Begins to read them.
    ///
    /// # Errors
    ///
    /// If there is no such file.
    pub(super) fn of(file: &str) -> io::Result<Self> {
        let (sender, lines) = mpsc::channel(AHEAD);
        if file == STANDARD_INPUT {
            thread::spawn(move || read(io::stdin().lock(), &sender));
            return Ok(Self::new(lines, None));
        }
        let total = File::open(file).and_then(|file| {
            let metadata = file.metadata()?;
            if metadata.is_dir() {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            // A pipe could be read once only.
            let is_file = metadata.is_file();
            is_file.then(|| count(BufReader::new(file))).transpose()
        })?;
        let file = BufReader::new(File::open(file)?);
        thread::spawn(move || read(file, &sender));
        Ok(Self::new(lines, total))
    }

    fn new(lines: mpsc::Receiver<io::Result<String>>, total: Option<u64>) -> Self {
        Self {
            lines,
            failed: None,
            total,
        }
    }

    /// As many ids as are there, up to what a message holds; waits for the
    /// first one, and gives nothing at the end.
    pub(super) async fn next(&mut self) -> Option<io::Result<Vec<String>>> {
        if let Some(error) = self.failed.take() {
            return Some(Err(error));
        }
        let mut ids = match self.lines.recv().await? {
            Ok(first) => vec![first],
            Err(error) => return Some(Err(error)),
        };
        while ids.len() < MESSAGE
            && let Ok(line) = self.lines.try_recv()
        {
            match line {
                Ok(line) => ids.push(line),
                Err(error) => {
                    self.failed = Some(error);
                    break;
                }
            }
        }
        Some(Ok(ids))
    }
}

/// The lines that hold anything, without what surrounds it.
fn lines(mut file: impl BufRead) -> impl Iterator<Item = io::Result<String>> {
    std::iter::from_fn(move || {
        loop {
            let mut line = String::new();
            match io::Read::take(&mut file, MAX_LINE).read_line(&mut line) {
                Ok(0) => return None,
                Err(error) => return Some(Err(error)),
                Ok(_) if line.len() as u64 >= MAX_LINE => {
                    let wrong = format!("a line has {MAX_LINE} bytes and more, which no id has");
                    return Some(Err(io::Error::new(io::ErrorKind::InvalidData, wrong)));
                }
                Ok(_) => {}
            }
            // Some editors begin a file with a mark of its encoding.
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

/// Reads until the end, the first error, or when nobody wants more.
fn read(file: impl BufRead, to: &mpsc::Sender<io::Result<String>>) {
    for line in lines(file) {
        let is_error = line.is_err();
        if to.blocking_send(line).is_err() || is_error {
            return;
        }
    }
}
