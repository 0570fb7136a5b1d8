//! The telemetry of a call or of one of its batches.

use std::slice;
use std::time::{Duration, Instant, SystemTime};

use http::HeaderMap;
use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, Tracer,
};
use opentelemetry::{Context, KeyValue};
use tonic::Code;

use super::error_type::{CANCELLED, error_type};
use super::names::{OTHER, attribute, custom};
use super::{Telemetry, propagation};
use crate::error::{self, Error};
use crate::json::UnknownFields;
use crate::operation::PrunedFields;

/// The shortest wait for the rate limiter that is recorded.
const MIN_WAIT: Duration = Duration::from_millis(1);

/// The telemetry of a call or of one of its batches: records events and counts,
/// and is the parent of the spans of its requests. With telemetry off it does
/// nothing, at no cost. Clones share the span.
#[derive(Debug, Clone, Default)]
pub struct CallTelemetry {
    pub(super) telemetry: Telemetry,
    /// Its span context, also if the trace is not recorded.
    pub(super) trace: Option<SpanContext>,
    /// Its span, if it is recorded.
    pub(super) span: Option<Context>,
}

impl Telemetry {
    /// The telemetry of a call with these headers, in its caller's trace if it has
    /// one; `rpc` is `None` for an unknown method.
    pub(crate) fn begin_call(
        &self,
        rpc: Option<&'static str>,
        headers: &HeaderMap,
    ) -> CallTelemetry {
        let caller = propagation::extract(headers).filter(|_| self.accepts_parent());
        let Some(tracer) = self.tracer() else {
            // No span is added, but the log names the caller's trace, and
            // requests may propagate it.
            return CallTelemetry {
                telemetry: self.clone(),
                trace: caller.map(|caller| caller.span().span_context().clone()),
                span: None,
            };
        };
        let name = rpc.unwrap_or(OTHER);
        let builder = SpanBuilder::from_name(name).with_kind(SpanKind::Server);
        let mut span = tracer.build_with_context(builder, &caller.unwrap_or_default());
        if span.is_recording() {
            span.set_attributes([
                KeyValue::new(attribute::RPC_SYSTEM, "grpc"),
                KeyValue::new(attribute::RPC_METHOD, name),
            ]);
        }
        CallTelemetry::from_span(self, span)
    }
}

impl CallTelemetry {
    fn from_span(telemetry: &Telemetry, span: opentelemetry_sdk::trace::Span) -> Self {
        Self {
            telemetry: telemetry.clone(),
            trace: Some(span.span_context().clone()),
            span: span.is_recording().then(|| Context::new().with_span(span)),
        }
    }

    /// The telemetry of a batch; `None` if the call is not recorded.
    pub(crate) fn batch(&self, index: usize, ids: usize) -> Option<Self> {
        let (parent, tracer) = (self.span.as_ref()?, self.telemetry.tracer()?);
        let builder = SpanBuilder::from_name("batch")
            .with_kind(SpanKind::Internal)
            .with_attributes(vec![
                KeyValue::new(custom::BATCH_INDEX, integer(index)),
                KeyValue::new(custom::BATCH_IDS, integer(ids)),
            ]);
        let span = tracer.build_with_context(builder, parent);
        Some(Self::from_span(&self.telemetry, span))
    }

    /// The ids of the trace and the span, in that order, for the log.
    pub(crate) fn ids(&self) -> Option<(String, String)> {
        let trace = self.trace.as_ref().filter(|trace| trace.is_valid())?;
        Some((trace.trace_id().to_string(), trace.span_id().to_string()))
    }

    /// Records the size of a bulk call.
    pub(crate) fn bulk(&self, rpc: &'static str, batches: usize, ids: usize) {
        if let Some(metrics) = self.telemetry.metrics() {
            metrics.bulk(rpc, batches, ids);
        }
        if let Some(call) = &self.span {
            let span = call.span();
            span.set_attribute(KeyValue::new(custom::BULK_BATCHES, integer(batches)));
            span.set_attribute(KeyValue::new(custom::BULK_IDS, integer(ids)));
        }
    }

    /// Ends the span of a batch, with the error if it failed.
    pub(crate) fn end_batch(&self, error: Option<&Error>) {
        let Some(batch) = &self.span else { return };
        if let Some(error_type) = error.map(error_type) {
            let span = batch.span();
            span.set_attribute(KeyValue::new(attribute::ERROR_TYPE, error_type));
            span.set_status(Status::error(error_type));
        }
        batch.span().end();
    }

    /// Ends the span of a batch that was cancelled.
    pub(crate) fn cancel_batch(&self) {
        if let Some(batch) = &self.span {
            let span = batch.span();
            span.set_attribute(KeyValue::new(attribute::ERROR_TYPE, CANCELLED));
            span.end();
        }
    }

    /// Records the end of the call, and whether the server is at fault.
    pub(crate) fn end_call(
        &self,
        rpc: Option<&'static str>,
        code: Code,
        reason: Option<&str>,
        is_fault: bool,
        took: Duration,
    ) {
        let status = error::code_name(code);
        if let Some(metrics) = self.telemetry.metrics() {
            metrics.call(rpc.unwrap_or(OTHER), status, is_fault, took);
            if let Some(reason) = reason {
                metrics.shed(reason);
            }
        }
        let Some(call) = &self.span else { return };
        let span = call.span();
        span.set_attribute(KeyValue::new(attribute::RPC_STATUS, status));
        if let Some(reason) = reason {
            span.set_attribute(KeyValue::new(custom::CALL_REASON, reason.to_owned()));
        }
        if is_fault {
            span.set_attribute(KeyValue::new(attribute::ERROR_TYPE, status));
            // The reason has an attribute, and the details are for the caller.
            span.set_status(Status::error(status));
        }
        span.end();
    }

    /// Records that a request is retried after `wait` because of `error`.
    pub(crate) fn backoff(&self, error: &Error, wait: Duration) {
        let error_type = error_type(error);
        if let Some(metrics) = self.telemetry.metrics() {
            let reason = KeyValue::new(custom::REASON, error_type);
            metrics.retries.add(1, &[reason]);
        }
        if let Some(context) = &self.span {
            let attributes = vec![
                KeyValue::new(custom::WAIT, wait.as_secs_f64()),
                KeyValue::new(custom::WAIT_REASON, error_type),
            ];
            context
                .span()
                .add_event("presence_gateway.backoff", attributes);
        }
    }

    /// Records that a request is not retried because the retry budget is spent.
    pub(crate) fn retry_refused(&self) {
        if let Some(metrics) = self.telemetry.metrics() {
            metrics.retries_refused.add(1, &[]);
        }
    }

    /// Records that a request was not sent, because the response to another one
    /// serves.
    pub(crate) fn request_saved(&self, how: &'static str) {
        let how = KeyValue::new(custom::REASON, how);
        if let Some(metrics) = self.telemetry.metrics() {
            metrics.requests_saved.add(1, slice::from_ref(&how));
        }
        if let Some(context) = &self.span {
            context
                .span()
                .add_event("presence_gateway.request_saved", vec![how]);
        }
    }

    /// Begins a wait for the rate limiter, which ends when the value is dropped.
    pub(crate) fn rate_limit_wait(&self) -> RateLimitWait<'_> {
        RateLimitWait {
            call: self,
            begun: (!self.telemetry.is_off()).then(|| (Instant::now(), SystemTime::now())),
        }
    }

    /// Counts the fields of a response that the proto does not have.
    pub(crate) fn unknown_fields(&self, fields: UnknownFields) {
        let Some(metrics) = self.telemetry.metrics() else {
            return;
        };
        for (model, count) in fields {
            let model = KeyValue::new(custom::MODEL, model);
            metrics.unknown_fields.add(count, &[model]);
        }
    }

    /// Counts the fields that were pruned from a response.
    pub(crate) fn pruned_fields(&self, fields: PrunedFields) {
        let Some(metrics) = self.telemetry.metrics() else {
            return;
        };
        for ((model, field), count) in fields {
            let model = KeyValue::new(custom::MODEL, model);
            let field = KeyValue::new(custom::FIELD, field);
            metrics.unknown_fields.add(count, &[model, field]);
        }
    }

    /// Records the share of its requests that a token has left.
    pub(crate) fn quota_remaining(&self, share: f64) {
        if let Some(metrics) = self.telemetry.metrics() {
            metrics.quota_remaining.record(share, &[]);
        }
    }
}

/// A wait for the rate limiter. It is recorded if it was long enough, also when
/// it was cancelled.
#[derive(Debug)]
pub(crate) struct RateLimitWait<'a> {
    call: &'a CallTelemetry,
    begun: Option<(Instant, SystemTime)>,
}

impl Drop for RateLimitWait<'_> {
    fn drop(&mut self) {
        let Some((begun, at)) = self.begun else {
            return;
        };
        let waited = begun.elapsed();
        if waited < MIN_WAIT {
            return;
        }
        if let Some(metrics) = self.call.telemetry.metrics() {
            metrics.quota_waits.record(waited.as_secs_f64(), &[]);
        }
        if let Some(context) = &self.call.span {
            let waited = KeyValue::new(custom::WAIT, waited.as_secs_f64());
            let span = context.span();
            span.add_event_with_timestamp("presence_gateway.quota.wait", at, vec![waited]);
        }
    }
}

/// A count as an attribute.
pub(super) fn integer(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
