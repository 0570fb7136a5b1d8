//! Everyday mistakes with `call`: each message says what was wrong, where, and what
//! would be right. The program runs as it is; the peers are real servers.

mod peers;
mod table;

use std::fmt::Write as _;
use std::path::Path;

use tokio::task::spawn_blocking;

use crate::support::process::{ProcessOutput, run_with_input};
use peers::Peers;
use table::{Mistake, mistakes};

/// The transcript of all mistakes, for a reader who judges the messages.
const TRANSCRIPT: &str = "call-mistakes.txt";

#[tokio::test(flavor = "multi_thread")]
async fn each_message_says_what_was_wrong_and_what_would_be_right() {
    let peers = Peers::start().await;
    let (transcript, wrong) = spawn_blocking(move || make_all(&peers)).await.unwrap();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(TRANSCRIPT);
    std::fs::write(path, transcript).unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Makes all mistakes; returns a transcript, and what is wrong with the messages.
fn make_all(peers: &Peers) -> (String, Vec<String>) {
    let (mut transcript, mut wrong) = (String::new(), Vec::new());
    for mistake in mistakes() {
        let output = mistake.make(peers);
        let shown = mistake.shown(peers, &output);
        let _ = writeln!(transcript, "# {}\n{shown}", mistake.name);
        let lacks = mistake.expected.iter().map(|text| peers.fill(text));
        let lacks: Vec<String> = lacks.filter(|text| !output.stderr.contains(text)).collect();
        if output.code != Some(mistake.code) || !lacks.is_empty() || !output.stdout.is_empty() {
            let name = mistake.name;
            wrong.push(format!(
                "{name}: exit code {}, lacks {lacks:?}:\n{shown}",
                mistake.code
            ));
        }
    }
    (transcript, wrong)
}

impl Mistake {
    fn make(&self, peers: &Peers) -> ProcessOutput {
        let words: Vec<String> = self.words.iter().map(|word| peers.fill(word)).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let variables = self.variables.iter();
        let variables: Vec<_> = variables
            .map(|(name, value)| (*name, peers.fill(value)))
            .collect();
        let variables: Vec<_> = variables
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        run_with_input(&[&["call"], &words[..]].concat(), &variables, self.input)
    }

    /// The command line with its output, as a terminal shows it.
    fn shown(&self, peers: &Peers, output: &ProcessOutput) -> String {
        let quoted = |word: &str| {
            let is_plain =
                |letter: char| letter.is_ascii_alphanumeric() || "-_./:,@".contains(letter);
            if !word.is_empty() && word.chars().all(is_plain) {
                return word.to_owned();
            }
            format!("'{}'", word.replace('\'', r"'\''"))
        };
        let variables = self.variables.iter();
        let variables: String = variables
            .map(|(name, value)| format!("{name}={} ", quoted(&peers.fill(value))))
            .collect();
        let words: String = self
            .words
            .iter()
            .map(|word| format!(" {}", quoted(&peers.fill(word))))
            .collect();
        let code = output
            .code
            .map_or("none".to_owned(), |code| code.to_string());
        format!(
            "$ {variables}presence-gateway call{words}\n{}{}[exit code {code}]\n",
            output.stdout, output.stderr
        )
    }
}
