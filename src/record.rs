//! What is noted about one call, for its line in the log.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::error::is_loggable;

/// What is noted about one call. A clone notes into the same record.
///
/// It has no place for a token, an id or a body, so that none can be logged.
#[derive(Debug, Clone)]
pub struct Record(Arc<Notes>);

#[derive(Debug)]
struct Notes {
    method: String,
    begun: Instant,
    upstream_calls: AtomicUsize,
    unmatched_answers: AtomicUsize,
    end: OnceLock<(Code, Option<String>)>,
}

impl Record {
    /// Opens the record of a call of the RPC `method`.
    #[must_use]
    pub fn new(method: impl Into<String>) -> Self {
        Self(Arc::new(Notes {
            method: method.into(),
            begun: Instant::now(),
            upstream_calls: AtomicUsize::new(0),
            unmatched_answers: AtomicUsize::new(0),
            end: OnceLock::new(),
        }))
    }

    /// Notes that a call upstream begins.
    pub fn upstream_call(&self) {
        self.0.upstream_calls.fetch_add(1, Relaxed);
    }

    /// How many calls upstream have begun.
    #[must_use]
    pub fn upstream_calls(&self) -> usize {
        self.0.upstream_calls.load(Relaxed)
    }

    /// Notes answers of a bulk read that match no id asked for.
    pub fn unmatched_answers(&self, count: usize) {
        self.0.unmatched_answers.fetch_add(count, Relaxed);
    }

    /// Notes how the call ended, with the reason of its error. The first
    /// word counts: it comes from who knows the reason.
    pub fn ended(&self, code: Code, reason: Option<String>) {
        let _ = self.0.end.set((code, reason));
    }

    /// Notes that the call ended with this error.
    pub fn refused(&self, status: &Status) {
        let info = status.get_details_error_info();
        let reason = info.map(|info| {
            if is_loggable(&info.reason) {
                info.reason
            } else {
                OTHER.to_owned()
            }
        });
        self.ended(status.code(), reason);
    }

    /// Writes the call's line to the log.
    pub fn log(&self) {
        let Notes { method, begun, .. } = &*self.0;
        // A call that nobody ended was dropped: its client has gone away.
        let (code, reason) = match self.0.end.get() {
            Some((code, reason)) => (*code, reason.as_deref()),
            None => (Code::Cancelled, None),
        };
        let unmatched_answers = self.0.unmatched_answers.load(Relaxed);
        tracing::info!(
            method = %method,
            status = %name(code),
            reason = reason.map(tracing::field::display),
            duration_ms = milliseconds(begun.elapsed()),
            upstream_calls = self.upstream_calls(),
            unmatched_answers = (unmatched_answers > 0).then_some(unmatched_answers),
            "call"
        );
    }
}

/// What is logged for a code that the vendor does not document, which may hold anything.
const OTHER: &str = "OTHER";

fn milliseconds(duration: Duration) -> f64 {
    // Three digits of it are worth reading.
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// A code as gRPC spells it.
#[must_use]
pub fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
