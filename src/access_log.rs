//! The access log: one line per call, and the counts in it. The pipeline writes the
//! line (`server/pipeline/access_log.rs`).

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::error::{code_name, is_loggable, is_server_fault};
use crate::operation::PrunedFields;
use crate::telemetry::CallTelemetry;

/// The access log entry of one call. Clones share the entry.
///
/// It has no field for a token, an id or a body, so that none can be logged.
#[derive(Debug, Clone)]
pub struct AccessLog {
    inner: Arc<Inner>,
    /// The telemetry of the call, or of one batch of it.
    telemetry: CallTelemetry,
}

#[derive(Debug)]
struct Inner {
    /// The full name of the RPC; `None` if it is unknown.
    rpc: Option<&'static str>,
    /// The region that the call goes to, where there is a choice.
    region: OnceLock<&'static str>,
    started: Instant,
    upstream_requests: AtomicUsize,
    unmatched_presences: AtomicUsize,
    pruned_fields: AtomicUsize,
    /// Whether the end is nobody's fault, whatever its code is.
    is_expected: AtomicBool,
    end: OnceLock<(Code, Option<String>)>,
}

impl AccessLog {
    /// Starts the entry of a call; `rpc` is the full name of a known RPC.
    #[must_use]
    pub fn new(rpc: impl Into<Option<&'static str>>) -> Self {
        let inner = Inner {
            rpc: rpc.into(),
            region: OnceLock::new(),
            started: Instant::now(),
            upstream_requests: AtomicUsize::new(0),
            unmatched_presences: AtomicUsize::new(0),
            pruned_fields: AtomicUsize::new(0),
            is_expected: AtomicBool::new(false),
            end: OnceLock::new(),
        };
        Self {
            inner: Arc::new(inner),
            telemetry: CallTelemetry::default(),
        }
    }

    /// The telemetry of the call or batch.
    pub(crate) fn telemetry(&self) -> &CallTelemetry {
        &self.telemetry
    }

    /// The same entry with the telemetry of one part of the call.
    #[must_use]
    pub(crate) fn with_telemetry(&self, telemetry: CallTelemetry) -> Self {
        let inner = Arc::clone(&self.inner);
        Self { inner, telemetry }
    }

    /// Records the region that the call goes to.
    pub(crate) fn set_region(&self, region: Option<&'static str>) {
        if let Some(region) = region {
            let _ = self.inner.region.set(region);
        }
    }

    /// Counts a request to the upstream.
    pub fn record_upstream_request(&self) {
        self.inner.upstream_requests.fetch_add(1, Relaxed);
    }

    /// How many requests to the upstream have started.
    #[must_use]
    pub fn upstream_request_count(&self) -> usize {
        self.inner.upstream_requests.load(Relaxed)
    }

    /// Counts presences in the response to a bulk read that match no requested
    /// id.
    pub fn add_unmatched_presences(&self, count: usize) {
        self.inner.unmatched_presences.fetch_add(count, Relaxed);
    }

    /// Counts fields that were dropped from a response because their values have
    /// an unexpected type.
    pub(crate) fn add_pruned_fields(&self, fields: PrunedFields) {
        let count = fields.values().sum::<u64>();
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        self.inner.pruned_fields.fetch_add(count, Relaxed);
        self.telemetry.pruned_fields(fields);
    }

    /// Records how the call ended, with the reason of its error. The first
    /// record wins: it comes from the code that knows the reason.
    pub fn finish(&self, code: Code, reason: Option<String>) {
        let _ = self.inner.end.set((code, reason));
    }

    /// Records that the call ended with this status.
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

    /// Records that the end is nobody's fault: a watch has no other end than an error.
    pub(crate) fn expect_end(&self) {
        self.inner.is_expected.store(true, Relaxed);
    }

    /// Logs the call's line and records its end in the telemetry.
    ///
    /// The level is WARN if the gateway or the upstream is at fault, else INFO.
    pub fn log(&self) {
        let Inner { rpc, started, .. } = &*self.inner;
        // A call without an end was dropped because its client is gone.
        let (code, reason) = match self.inner.end.get() {
            Some((code, reason)) => (*code, reason.as_deref()),
            None => (Code::Cancelled, None),
        };
        let took = started.elapsed();
        let is_expected = self.inner.is_expected.load(Relaxed);
        let is_fault = is_server_fault(code, reason) && !is_expected;
        self.telemetry.end_call(*rpc, code, reason, is_fault, took);
        let unmatched = self.inner.unmatched_presences.load(Relaxed);
        let pruned = self.inner.pruned_fields.load(Relaxed);
        let (trace_id, span_id) = self.telemetry.ids().unzip();
        // tracing needs a constant level, so the line is expanded twice.
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    method = rpc.unwrap_or("unknown"),
                    region = self.inner.region.get(),
                    status = code_name(code),
                    reason = reason.map(display),
                    duration_ms = milliseconds(took),
                    upstream_calls = self.upstream_request_count(),
                    unmatched_answers = (unmatched > 0).then_some(unmatched),
                    unreadable_fields = (pruned > 0).then_some(pruned),
                    trace_id = trace_id.map(display),
                    span_id = span_id.map(display),
                    "call"
                )
            };
        }
        // Calling an unknown RPC is the caller's mistake.
        if is_fault && rpc.is_some() {
            line!(warn);
        } else {
            line!(info);
        }
    }
}

/// The logged reason for an undocumented vendor code, which may contain anything.
const OTHER: &str = "OTHER";

fn milliseconds(duration: Duration) -> f64 {
    // Microseconds are precise enough.
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
