//! What is noted about one call, for its line in the log, and for the telemetry.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::error::{code_name, is_loggable, is_server_fault};
use crate::operation::PrunedFields;
use crate::telemetry::Scope;

/// What is noted about one call. A clone inner into the same record.
///
/// It has no place for a token, an id or a body, so that none can be logged.
#[derive(Debug, Clone)]
pub struct AccessLog {
    inner: Arc<Inner>,
    /// The part of the call that inner: the call itself, or a batch of it.
    scope: Scope,
}

#[derive(Debug)]
struct Inner {
    /// The full name of the RPC; none where there is no such.
    rpc: Option<&'static str>,
    started: Instant,
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
        let inner = Inner {
            rpc: rpc.into(),
            started: Instant::now(),
            upstream_calls: AtomicUsize::new(0),
            unmatched_answers: AtomicUsize::new(0),
            unreadable_fields: AtomicUsize::new(0),
            end: OnceLock::new(),
        };
        Self {
            inner: Arc::new(inner),
            scope: Scope::default(),
        }
    }

    /// What the telemetry is told through.
    pub(crate) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The same record, for this part of the call.
    #[must_use]
    pub(crate) fn with_scope(&self, scope: Scope) -> Self {
        let inner = Arc::clone(&self.inner);
        Self { inner, scope }
    }

    /// Inner that a call upstream begins.
    pub fn upstream_call(&self) {
        self.inner.upstream_calls.fetch_add(1, Relaxed);
    }

    /// How many calls upstream have started.
    #[must_use]
    pub fn upstream_calls(&self) -> usize {
        self.inner.upstream_calls.load(Relaxed)
    }

    /// Inner answers of a bulk read that match no id asked for.
    pub fn unmatched_answers(&self, count: usize) {
        self.inner.unmatched_answers.fetch_add(count, Relaxed);
    }

    /// Inner fields of an answer that were left out of the response, because
    /// their values are of another kind than promised.
    pub(crate) fn pruned_fields(&self, fields: PrunedFields) {
        let count = fields.values().sum::<u64>();
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        self.inner.unreadable_fields.fetch_add(count, Relaxed);
        self.scope.pruned_fields(fields);
    }

    /// Inner how the call ended, with the reason of its error. The first
    /// word counts: it comes from who knows the reason.
    pub fn finish(&self, code: Code, reason: Option<String>) {
        let _ = self.inner.end.set((code, reason));
    }

    /// Inner that the call ended with this error.
    pub fn finish_with(&self, status: &Status) {
        let info = status.get_details_error_info();
        let reason = info.map(|info| {
            if is_loggable(&info.reason) {
                info.reason
            } else {
                OTHER.to_owned()
            }
        });
        self.finish(status.code(), reason);
    }

    /// Writes the call's line to the log, and tells the telemetry of its end.
    ///
    /// A call that failed by the fault of the gateway or of what is behind it
    /// is a warning; one that was refused for what the caller sent is not.
    pub fn log(&self) {
        let Inner { rpc, started, .. } = &*self.inner;
        // A call that nobody ended was dropped: its client has gone away.
        let (code, reason) = match self.inner.end.get() {
            Some((code, reason)) => (*code, reason.as_deref()),
            None => (Code::Cancelled, None),
        };
        let took = started.elapsed();
        self.scope.call_ended(*rpc, code, reason, took);
        let unmatched_answers = self.inner.unmatched_answers.load(Relaxed);
        let unreadable_fields = self.inner.unreadable_fields.load(Relaxed);
        let ids = self.scope.ids();
        // The level is a part of the place in the code, so there are two.
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    method = rpc.unwrap_or("unknown"),
                    status = code_name(code),
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
        if is_server_fault(code, reason) && rpc.is_some() {
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
