//! What calls and requests come to, as one of few words: for alerts.
//!
//! The histograms tell more, and begin to exist with their first sample, which
//! is in no rate. So alerts read counters of their own, which have few labels
//! and are there from the start, at 0.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::attempt::CANCELLED;

/// How often each of these results came up. The SDK reads it when somebody
/// asks, so that counting costs a call next to nothing.
#[derive(Debug)]
pub(super) struct Counts<const N: usize> {
    results: [&'static str; N],
    counts: [AtomicU64; N],
}

impl<const N: usize> Counts<N> {
    /// None of these results yet.
    pub(super) fn new(results: [&'static str; N]) -> Self {
        let counts = std::array::from_fn(|_| AtomicU64::new(0));
        Self { results, counts }
    }

    /// Counts a result, which is one of those.
    pub(super) fn add(&self, result: &str) {
        let all = self.results.iter().zip(&self.counts);
        for (_, count) in all.filter(|(known, _)| **known == result) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// Each result with its count.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.counts.iter().map(|count| count.load(Relaxed));
        self.results.into_iter().zip(counts)
    }
}

/// The results of a call.
pub(super) const CALLS: [&str; 3] = [OK, CLIENT_ERROR, SERVER_ERROR];

/// The results of an attempt at a request to the vendor.
pub(super) const REQUESTS: [&str; 6] = [OK, THROTTLED, REFUSED, FAILED, NO_ANSWER, ABANDONED];

const OK: &str = "ok";
/// The caller's fault, as the conventions have it.
const CLIENT_ERROR: &str = "client_error";
/// The gateway's fault, or the vendor's.
const SERVER_ERROR: &str = "server_error";
const THROTTLED: &str = "429";
const REFUSED: &str = "4xx";
const FAILED: &str = "5xx";
/// No answer that is of use: none at all, a broken one, or a redirect.
const NO_ANSWER: &str = "no_answer";
/// Nobody waited for the answer any more, or had time for it.
const ABANDONED: &str = "abandoned";

/// What a call with this status came to.
pub(super) fn call(status: &str, is_fault: bool) -> &'static str {
    match (status, is_fault) {
        (_, true) => SERVER_ERROR,
        ("OK", false) => OK,
        (_, false) => CLIENT_ERROR,
    }
}

/// What an attempt came to that was answered with this status, and failed for
/// this reason.
pub(super) fn request(status: Option<u16>, failed: Option<&str>) -> &'static str {
    match (failed, status) {
        (None, _) => OK,
        (Some(CANCELLED | "timeout"), _) => ABANDONED,
        (_, Some(429)) => THROTTLED,
        (_, Some(400..=499)) => REFUSED,
        (_, Some(500..=599)) => FAILED,
        _ => NO_ANSWER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_result_is_one_of_those_that_are_there_from_the_start() {
        for (status, is_fault, expected) in [
            ("OK", false, "ok"),
            ("NOT_FOUND", false, "client_error"),
            ("INTERNAL", true, "server_error"),
        ] {
            let result = call(status, is_fault);
            assert_eq!(result, expected, "{status}");
            assert!(CALLS.contains(&result));
        }
        for (status, failed, expected) in [
            (Some(200), None, "ok"),
            (Some(429), Some("429"), "429"),
            (Some(404), Some("404"), "4xx"),
            (Some(503), Some("503"), "5xx"),
            (Some(599), Some("_OTHER"), "5xx"),
            (Some(302), Some("redirected"), "no_answer"),
            (Some(200), Some("unreadable_answer"), "no_answer"),
            (None, Some("unreachable"), "no_answer"),
            (None, Some("timeout"), "abandoned"),
            (Some(200), Some("cancelled"), "abandoned"),
        ] {
            let result = request(status, failed);
            assert_eq!(result, expected, "{status:?} {failed:?}");
            assert!(REQUESTS.contains(&result));
        }
    }
}
