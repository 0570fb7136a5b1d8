//! The results of calls and requests, counted for alerts.
//!
//! A histogram has more detail, but exists only from its first sample on, which
//! no rate includes. So alerts read these counters, which have few labels and
//! start at 0.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::error_type::{CANCELLED, NOT_ACCEPTED};

/// A counter for each result. The SDK reads it only for an export, so counting
/// costs a call next to nothing.
#[derive(Debug)]
pub(super) struct Counts<const N: usize> {
    results: [&'static str; N],
    counts: [AtomicU64; N],
}

impl<const N: usize> Counts<N> {
    /// Counters at 0.
    pub(super) fn new(results: [&'static str; N]) -> Self {
        let counts = std::array::from_fn(|_| AtomicU64::new(0));
        Self { results, counts }
    }

    /// Counts a result.
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

/// The results of an attempt of a request to the vendor.
pub(super) const REQUESTS: [&str; 7] = [
    OK,
    THROTTLED,
    REFUSED,
    FAILED,
    NO_ANSWER,
    NOT_ACCEPTED,
    ABANDONED,
];

const OK: &str = "ok";
/// The caller's fault, by OpenTelemetry's conventions.
const CLIENT_ERROR: &str = "client_error";
/// The gateway's fault, or the vendor's.
const SERVER_ERROR: &str = "server_error";
const THROTTLED: &str = "429";
const REFUSED: &str = "4xx";
const FAILED: &str = "5xx";
/// No usable response: none at all, a broken one, or a redirect.
const NO_ANSWER: &str = "no_answer";
/// The attempt was cancelled or its deadline expired.
const ABANDONED: &str = "abandoned";

/// The result of a call with this status.
pub(super) fn call(status: &str, is_fault: bool) -> &'static str {
    match (status, is_fault) {
        (_, true) => SERVER_ERROR,
        ("OK", false) => OK,
        (_, false) => CLIENT_ERROR,
    }
}

/// The result of an attempt with this response status and this error type.
pub(super) fn request(status: Option<u16>, failed: Option<&str>) -> &'static str {
    match (failed, status) {
        (None, _) => OK,
        (Some(CANCELLED | "timeout"), _) => ABANDONED,
        (Some(NOT_ACCEPTED), _) => NOT_ACCEPTED,
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
    fn every_result_is_in_the_list_of_preset_results() {
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
            (None, Some("not_accepted"), "not_accepted"),
            (None, Some("timeout"), "abandoned"),
            (Some(200), Some("cancelled"), "abandoned"),
        ] {
            let result = request(status, failed);
            assert_eq!(result, expected, "{status:?} {failed:?}");
            assert!(REQUESTS.contains(&result));
        }
    }
}
