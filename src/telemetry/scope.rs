//! A part of a call, as the telemetry sees it.

use std::time::{Duration, Instant, SystemTime};

use http::HeaderMap;
use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, Tracer,
};
use opentelemetry::{Context, KeyValue};
use tonic::Code;

use super::attempt::{Attempt, CANCELLED, Peer};
use super::drift::DriftSampler;
use super::names::{OTHER, attribute, own, span};
use super::{Telemetry, cause, propagation};
use crate::error::{self, Error};
use crate::operation::{self, Operation, PrunedFields, Spec};

/// The shortest wait for a turn that counts as one.
const WAIT: Duration = Duration::from_millis(1);

/// A part of a call: the call itself, or a batch of it. The spans of what is
/// done for it hang below it, and what happens is counted through it. Where
/// the telemetry is off it does nothing, at no cost. A clone is the same part.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    telemetry: Telemetry,
    /// Its place in a trace, also in one that is not recorded.
    trace: Option<SpanContext>,
    /// Its span, where it is recorded.
    span: Option<Context>,
}

impl Scope {
    /// A call of this RPC that arrives with these headers, as a part of its
    /// caller's trace if it is one.
    pub(super) fn of_call(
        telemetry: &Telemetry,
        rpc: Option<&'static str>,
        headers: &HeaderMap,
    ) -> Self {
        let caller = propagation::extract(headers).filter(|_| telemetry.accepts_parent());
        let Some(tracer) = telemetry.tracer() else {
            // Not ours to add to, but the log can name it, and the vendor can be
            // sent it.
            return Self {
                telemetry: telemetry.clone(),
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
        Self::of_span(telemetry, span)
    }

    fn of_span(telemetry: &Telemetry, span: opentelemetry_sdk::trace::Span) -> Self {
        Self {
            telemetry: telemetry.clone(),
            trace: Some(span.span_context().clone()),
            span: span.is_recording().then(|| Context::new().with_span(span)),
        }
    }

    /// The part that a batch is; none where the call is not recorded.
    pub(crate) fn batch(&self, index: usize, ids: usize) -> Option<Self> {
        let (parent, tracer) = (self.span.as_ref()?, self.telemetry.tracer()?);
        let builder = SpanBuilder::from_name(span::BATCH)
            .with_kind(SpanKind::Internal)
            .with_attributes(vec![
                KeyValue::new(own::BATCH_INDEX, integer(index)),
                KeyValue::new(own::BATCH_IDS, integer(ids)),
            ]);
        let span = tracer.build_with_context(builder, parent);
        Some(Self::of_span(&self.telemetry, span))
    }

    /// The ids of its trace and its span, in that order, for the log.
    pub(crate) fn ids(&self) -> Option<(String, String)> {
        let trace = self.trace.as_ref().filter(|trace| trace.is_valid())?;
        Some((trace.trace_id().to_string(), trace.span_id().to_string()))
    }

    /// Says how large a bulk call is.
    pub(crate) fn bulk(&self, rpc: &'static str, batches: usize, ids: usize) {
        if let Some(metrics) = self.telemetry.metrics() {
            metrics.bulk(rpc, batches, ids);
        }
        if let Some(call) = &self.span {
            let span = call.span();
            span.set_attribute(KeyValue::new(own::BULK_BATCHES, integer(batches)));
            span.set_attribute(KeyValue::new(own::BULK_IDS, integer(ids)));
        }
    }

    /// Says that a batch has ended, and why where it failed.
    pub(crate) fn batch_ended(&self, error: Option<&Error>) {
        let Some(batch) = &self.span else { return };
        if let Some(word) = error.map(cause::word) {
            let span = batch.span();
            span.set_attribute(KeyValue::new(attribute::ERROR_TYPE, word));
            span.set_status(Status::error(word));
        }
        batch.span().end();
    }

    /// Says that nobody waits for a batch any more.
    pub(crate) fn batch_given_up(&self) {
        if let Some(batch) = &self.span {
            let span = batch.span();
            span.set_attribute(KeyValue::new(attribute::ERROR_TYPE, CANCELLED));
            span.end();
        }
    }

    /// Says how the call has ended.
    pub(crate) fn call_ended(
        &self,
        rpc: Option<&'static str>,
        code: Code,
        reason: Option<&str>,
        took: Duration,
    ) {
        let status = error::code_name(code);
        let is_fault = error::is_server_fault(code, reason);
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
            span.set_attribute(KeyValue::new(own::CALL_REASON, reason.to_owned()));
        }
        if is_fault {
            span.set_attribute(KeyValue::new(attribute::ERROR_TYPE, status));
            // The reason is in its attribute, and the details are the caller's.
            span.set_status(Status::error(status));
        }
        span.end();
    }

    /// An attempt at a request to the vendor, which begins now.
    pub(crate) fn attempt<'a>(
        &'a self,
        spec: &'static Spec,
        peer: &'a Peer,
        resends: u32,
    ) -> Attempt<'a> {
        Attempt::begin(
            &self.telemetry,
            self.trace.as_ref(),
            self.span.as_ref(),
            spec,
            peer,
            resends,
        )
    }

    /// Says that a request will be sent again after so long, because of this.
    pub(crate) fn backoff(&self, error: &Error, wait: Duration) {
        if self.telemetry.is_off() {
            return;
        }
        let word = cause::word(error);
        if let Some(metrics) = self.telemetry.metrics() {
            metrics.retry(word);
        }
        if let Some(context) = &self.span {
            let attributes = vec![
                KeyValue::new(own::WAIT, wait.as_secs_f64()),
                KeyValue::new(own::WAIT_REASON, word),
            ];
            context.span().add_event(span::BACKOFF, attributes);
        }
    }

    /// Says that a request is not sent again, because the budget for that is
    /// spent.
    pub(crate) fn retry_refused(&self) {
        if let Some(metrics) = self.telemetry.metrics() {
            metrics.retry_refused();
        }
    }

    /// Says that a request was not made, because the answer to another serves.
    pub(crate) fn request_saved(&self, how: &'static str) {
        if let Some(metrics) = self.telemetry.metrics() {
            metrics.request_saved(how);
        }
        if let Some(context) = &self.span {
            let how = KeyValue::new(own::REASON, how);
            context.span().add_event(span::REQUEST_SAVED, vec![how]);
        }
    }

    /// A wait for the token's turn, which begins now and ends when it is dropped.
    pub(crate) fn turn(&self) -> Turn<'_> {
        Turn {
            scope: self,
            begun: (!self.telemetry.is_off()).then(|| (Instant::now(), SystemTime::now())),
        }
    }

    /// Counts the fields of an answer that the proto does not know, if the
    /// answer is in the sample.
    pub(crate) fn answer<O: Operation>(&self, sampler: &DriftSampler, body: &[u8]) {
        let Some(metrics) = self.telemetry.metrics() else {
            return;
        };
        if sampler.is_due() {
            for (model, count) in operation::unknown_fields::<O>(body) {
                metrics.unknown_fields(model, count);
            }
        }
    }

    /// Counts the fields that were left out of an answer of the vendor's.
    pub(crate) fn pruned_fields(&self, fields: PrunedFields) {
        let Some(metrics) = self.telemetry.metrics() else {
            return;
        };
        for ((model, field), count) in fields {
            metrics.unreadable_fields(model, field, count);
        }
    }

    /// Says which share of its budget a token has left.
    pub(crate) fn quota_remaining(&self, share: f64) {
        if let Some(metrics) = self.telemetry.metrics() {
            metrics.quota_remaining(share);
        }
    }
}

/// A wait for a token's turn. It is told where it was one, also where it was
/// given up.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    scope: &'a Scope,
    begun: Option<(Instant, SystemTime)>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let Some((begun, at)) = self.begun else {
            return;
        };
        let waited = begun.elapsed();
        if waited < WAIT {
            return;
        }
        if let Some(metrics) = self.scope.telemetry.metrics() {
            metrics.quota_wait(waited);
        }
        if let Some(context) = &self.scope.span {
            let waited = KeyValue::new(own::WAIT, waited.as_secs_f64());
            let span = context.span();
            span.add_event_with_timestamp(span::QUOTA_WAIT, at, vec![waited]);
        }
    }
}

/// A count as an attribute.
pub(super) fn integer(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
