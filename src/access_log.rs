//! What is noted about one call, for its line in the log, and for the telemetry.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::error::is_loggable;
use crate::operation::LeftOut;
use crate::telemetry::{Scope, is_fault};

/// What is noted about one call. A clone notes into the same record.
///
/// It has no place for a token, an id or a body, so that none can be logged.
#[derive(Debug, Clone)]
pub struct AccessLog {
    notes: Arc<Notes>,
    /// The part of the call that notes: the call itself, or a batch of it.
    scope: Scope,
}

#[derive(Debug)]
struct Notes {
    /// The full name of the RPC; none where there is no such.
    rpc: Option<&'static str>,
    begun: Instant,
    upstream_calls: AtomicUsize,
    unmatched_answers: AtomicUsize,
    unreadable_fields: AtomicUsize,
    end: OnceLock<(Code, Option<String>)>,
}

impl AccessLog {
    /// Opens the record of a call of the RPC with this full name, none where
    /// there is no such.
    #[must_use]
    pub fn new(rpc: impl Into<Option<&'static str>>) -> Self {
        let notes = Notes {
            rpc: rpc.into(),
            begun: Instant::now(),
            upstream_calls: AtomicUsize::new(0),
            unmatched_answers: AtomicUsize::new(0),
            unreadable_fields: AtomicUsize::new(0),
            end: OnceLock::new(),
        };
        Self {
            notes: Arc::new(notes),
            scope: Scope::default(),
        }
    }

    /// The full name of the RPC; none where there is no such.
    pub(crate) fn rpc(&self) -> Option<&'static str> {
        self.notes.rpc
    }

    /// What the telemetry is told through.
    pub(crate) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The same record, for this part of the call.
    #[must_use]
    pub(crate) fn within(&self, scope: Scope) -> Self {
        let notes = Arc::clone(&self.notes);
        Self { notes, scope }
    }

    /// Notes that a call upstream begins.
    pub fn upstream_call(&self) {
        self.notes.upstream_calls.fetch_add(1, Relaxed);
    }

    /// How many calls upstream have begun.
    #[must_use]
    pub fn upstream_calls(&self) -> usize {
        self.notes.upstream_calls.load(Relaxed)
    }

    /// Notes answers of a bulk read that match no id asked for.
    pub fn unmatched_answers(&self, count: usize) {
        self.notes.unmatched_answers.fetch_add(count, Relaxed);
    }

    /// Notes fields of an answer that were left out of the response, because
    /// their values are of another kind than promised.
    pub(crate) fn left_out(&self, fields: LeftOut) {
        let count = fields.values().sum::<u64>();
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        self.notes.unreadable_fields.fetch_add(count, Relaxed);
        self.scope.left_out(fields);
    }

    /// Notes how the call ended, with the reason of its error. The first
    /// word counts: it comes from who knows the reason.
    pub fn ended(&self, code: Code, reason: Option<String>) {
        let _ = self.notes.end.set((code, reason));
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

    /// Writes the call's line to the log, and tells the telemetry of its end.
    ///
    /// A call that failed by the fault of the gateway or of what is behind it
    /// is a warning; one that was refused for what the caller sent is not.
    pub fn log(&self) {
        let Notes { rpc, begun, .. } = &*self.notes;
        // A call that nobody ended was dropped: its client has gone away.
        let (code, reason) = match self.notes.end.get() {
            Some((code, reason)) => (*code, reason.as_deref()),
            None => (Code::Cancelled, None),
        };
        let took = begun.elapsed();
        self.scope.call_ended(*rpc, code, reason, took);
        let unmatched_answers = self.notes.unmatched_answers.load(Relaxed);
        let unreadable_fields = self.notes.unreadable_fields.load(Relaxed);
        let ids = self.scope.ids();
        // The level is a part of the place in the code, so there are two.
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    method = rpc.unwrap_or("unknown"),
                    status = name(code),
                    reason = reason.map(tracing::field::display),
                    duration_ms = milliseconds(took),
                    upstream_calls = self.upstream_calls(),
                    unmatched_answers = (unmatched_answers > 0).then_some(unmatched_answers),
                    unreadable_fields = (unreadable_fields > 0).then_some(unreadable_fields),
                    trace_id = ids
                        .as_ref()
                        .map(|(trace, _)| tracing::field::display(trace)),
                    span_id = ids.as_ref().map(|(_, span)| tracing::field::display(span)),
                    "call"
                )
            };
        }
        // An RPC that there is not is a mistake of its caller's.
        if is_fault(code, reason) && rpc.is_some() {
            line!(warn);
        } else {
            line!(info);
        }
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
