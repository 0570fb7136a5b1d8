//! Killed in the middle of writes: what callers were told is held against what
//! the vendor applied.
//!
//! Some rounds each time; `KILLED_ROUNDS` asks for more, and `KILLED_SEED` for
//! those that went wrong (CONTRIBUTING.md).

mod caller;
mod fate;
mod round;
mod tally;
mod told;
mod vendor;
mod write;

use std::env;
use std::io::{self, Write as _};

use round::{Ending, play};
use tally::Tally;
use told::Claim;
use vendor::Vendor;

/// How many rounds there are unless told: enough for every kind of end.
const ROUNDS: u64 = 2;

/// Says which round it was that failed.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let seed = self.0;
            let _ = writeln!(io::stderr(), "in the round of KILLED_SEED={seed}");
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    let value = env::var(variable).ok()?;
    let number = value.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable} is no number: {value}")))
}

/// Plays all rounds that end so.
async fn rounds(ending: Ending) -> Tally {
    let rounds = number("KILLED_ROUNDS");
    let first = number("KILLED_SEED").unwrap_or_else(|| fastrand::u64(..1 << 32));
    let mut vendor = Vendor::start().await;
    let mut tally = Tally::default();
    for seed in first..first + rounds.unwrap_or(ROUNDS) {
        let _seed = Seed(seed);
        tally.add(play(&mut vendor, ending, seed).await);
    }
    if let Some(rounds) = rounds {
        let _ = writeln!(io::stderr(), "{rounds} rounds {ending:?}:\n{tally}");
    }
    tally
}

#[track_caller]
fn seen(tally: &Tally, claim: Claim, word: &str, is_applied: bool) {
    assert!(
        tally.of(claim, word, is_applied) > 0,
        "nothing was {claim:?} ({word}) and applied: {is_applied}, so this shows little:\n{tally}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_tells_the_truth_of_every_write() {
    let tally = rounds(Ending::Drained).await;
    seen(&tally, Claim::Applied, "OK", true);
    seen(&tally, Claim::Unknown, "OUTCOME_UNKNOWN", true);
    seen(&tally, Claim::Unknown, "report, unknown", true);
    seen(&tally, Claim::NotApplied, "SHUTTING_DOWN", false);
    seen(&tally, Claim::NotApplied, "report, not_tried", false);
    seen(&tally, Claim::NotApplied, "partial, NOT_TRIED", false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_makes_no_lie_of_what_was_told() {
    let tally = rounds(Ending::Hurried).await;
    seen(&tally, Claim::Applied, "OK", true);
    seen(&tally, Claim::NotApplied, "SHUTTING_DOWN", false);
    seen(&tally, Claim::Nothing, "", true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_makes_no_lie_of_what_was_told() {
    let tally = rounds(Ending::Killed).await;
    seen(&tally, Claim::Applied, "OK", true);
    seen(&tally, Claim::Nothing, "", true);
    seen(&tally, Claim::Nothing, "", false);
}
