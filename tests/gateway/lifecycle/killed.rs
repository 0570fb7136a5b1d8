//! Stops gateways in the middle of writes, and compares what callers received
//! with what the vendor applied.
//!
//! Plays a few rounds. `KILLED_ROUNDS` sets another number, and `KILLED_SEED`
//! repeats a round that failed (CONTRIBUTING.md).

mod caller;
mod claims;
mod misbehaviour;
mod round;
mod sandbox;
mod tally;
mod write;

use std::env;
use std::io::{self, Write as _};

use claims::Claim;
use round::{Stop, play};
use sandbox::Sandbox;
use tally::Tally;

/// The rounds without `KILLED_ROUNDS`: enough for every kind of claim.
const ROUNDS: u64 = 2;

/// Prints the seed of the round that fails.
struct SeedReport(u64);

impl Drop for SeedReport {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let seed = self.0;
            let _ = writeln!(io::stderr(), "in the round of KILLED_SEED={seed}");
        }
    }
}

fn number_from(variable: &str) -> Option<u64> {
    let value = env::var(variable).ok()?;
    let number = value.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable} is no number: {value}")))
}

/// Plays all rounds of one kind of stop.
async fn play_rounds(stop: Stop) -> Tally {
    let rounds = number_from("KILLED_ROUNDS");
    let first = number_from("KILLED_SEED").unwrap_or_else(|| fastrand::u64(..1 << 32));
    let mut sandbox = Sandbox::start().await;
    let mut tally = Tally::default();
    for seed in first..first + rounds.unwrap_or(ROUNDS) {
        let _seed = SeedReport(seed);
        tally.add(play(&mut sandbox, stop, seed).await);
    }
    if let Some(rounds) = rounds {
        let _ = writeln!(io::stderr(), "{rounds} rounds of {stop:?}:\n{tally}");
    }
    tally
}

#[track_caller]
fn assert_has(tally: &Tally, claim: Claim, source: &str, is_applied: bool) {
    assert!(
        tally.count(claim, source, is_applied) > 0,
        "no change was {claim:?} ({source}) with applied: {is_applied}; the rounds prove little:\n{tally}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_reports_every_write_correctly() {
    let tally = play_rounds(Stop::Drain).await;
    assert_has(&tally, Claim::Applied, "OK", true);
    assert_has(&tally, Claim::Unknown, "OUTCOME_UNKNOWN", true);
    assert_has(&tally, Claim::Unknown, "report, unknown", true);
    assert_has(&tally, Claim::NotApplied, "SHUTTING_DOWN", false);
    assert_has(&tally, Claim::NotApplied, "report, not_tried", false);
    assert_has(&tally, Claim::NotApplied, "partial, NOT_TRIED", false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_contradicts_no_response() {
    let tally = play_rounds(Stop::SecondSignal).await;
    assert_has(&tally, Claim::Applied, "OK", true);
    assert_has(&tally, Claim::NotApplied, "SHUTTING_DOWN", false);
    assert_has(&tally, Claim::NoStatus, "", true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_contradicts_no_response() {
    let tally = play_rounds(Stop::Kill).await;
    assert_has(&tally, Claim::Applied, "OK", true);
    assert_has(&tally, Claim::NoStatus, "", true);
    assert_has(&tally, Claim::NoStatus, "", false);
}
