//! One attempt of a request to the vendor: its span and its duration.

use std::time::Instant;

use http::{HeaderMap, HeaderValue, Version};
use opentelemetry::trace::{Span as _, SpanBuilder, SpanContext, SpanKind, Status, Tracer};
use opentelemetry::{KeyValue, StringValue};
use opentelemetry_sdk::trace::Span;

use super::call::CallTelemetry;
use super::error_type::{CANCELLED, error_type};
use super::names::{attribute, custom};
use super::propagation;
use crate::error::Error;
use crate::operation::Spec;

/// The vendor's address, as spans and metrics record it.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// The URL before an operation's path.
    base: String,
    pub(super) address: StringValue,
    pub(super) port: i64,
}

impl Peer {
    /// The vendor at the URL `base`, with its host and port.
    pub(crate) fn new(base: String, host: &str, port: u16) -> Self {
        Self {
            base,
            // All attributes share the text.
            address: std::sync::Arc::<str>::from(host).into(),
            port: port.into(),
        }
    }
}

/// The telemetry of one attempt, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Attempt<'a> {
    call: &'a CallTelemetry,
    spec: &'static Spec,
    peer: &'a Peer,
    /// When it began; `None` if telemetry is off.
    begun: Option<Instant>,
    span: Option<Span>,
    /// The span context that the request carries.
    trace: Option<SpanContext>,
    status: Option<u16>,
    failed: Option<&'static str>,
}

impl CallTelemetry {
    /// Begins an attempt of a request to the vendor.
    pub(crate) fn attempt<'a>(
        &'a self,
        spec: &'static Spec,
        peer: &'a Peer,
        resends: u32,
    ) -> Attempt<'a> {
        Attempt::begin(self, spec, peer, resends)
    }
}

impl<'a> Attempt<'a> {
    fn begin(call: &'a CallTelemetry, spec: &'static Spec, peer: &'a Peer, resends: u32) -> Self {
        let telemetry = &call.telemetry;
        let recorded = call.span.as_ref().zip(telemetry.tracer());
        let span = recorded.map(|(parent, tracer)| {
            let mut attributes = Vec::with_capacity(10);
            attributes.extend([
                KeyValue::new(attribute::HTTP_METHOD, spec.method.as_str()),
                KeyValue::new(attribute::SERVER_ADDRESS, peer.address.clone()),
                KeyValue::new(attribute::SERVER_PORT, peer.port),
                KeyValue::new(attribute::URL_TEMPLATE, spec.template),
                KeyValue::new(
                    attribute::URL_FULL,
                    format!("{}{}", peer.base, spec.template),
                ),
            ]);
            let resends = (resends > 0).then(|| i64::from(resends));
            attributes.extend(resends.map(|it| KeyValue::new(attribute::HTTP_RESEND_COUNT, it)));
            let builder = SpanBuilder::from_name(spec.span)
                .with_kind(SpanKind::Client)
                .with_attributes(attributes);
            tracer.build_with_context(builder, parent)
        });
        let trace = match &span {
            _ if !telemetry.propagates() => None,
            Some(span) => Some(span.span_context().clone()),
            None => call.trace.clone(),
        };
        Self {
            call,
            spec,
            peer,
            begun: (!telemetry.is_off()).then(Instant::now),
            span,
            trace,
            status: None,
            failed: Some(CANCELLED),
        }
    }

    /// The headers of trace propagation, if it is enabled and the call has a
    /// trace.
    pub(crate) fn headers(&self) -> Option<HeaderMap> {
        self.trace.as_ref().map(propagation::headers)
    }

    /// Records the head of the response.
    pub(crate) fn record_head(
        &mut self,
        status: u16,
        version: Version,
        correlation_id: Option<&HeaderValue>,
    ) {
        self.status = Some(status);
        let Some(span) = &mut self.span else { return };
        let version = match version {
            Version::HTTP_2 => "2",
            Version::HTTP_10 => "1.0",
            _ => "1.1",
        };
        span.set_attribute(KeyValue::new(attribute::PROTOCOL_VERSION, version));
        span.set_attribute(KeyValue::new(attribute::HTTP_STATUS, i64::from(status)));
        if let Some(id) = correlation_id.and_then(|id| id.to_str().ok()) {
            span.set_attribute(KeyValue::new(custom::CORRELATION_ID, id.to_owned()));
        }
    }

    /// Ends the attempt, with the error if it failed.
    pub(crate) fn end(mut self, error: Option<&Error>) {
        self.failed = error.map(error_type);
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let Some(begun) = self.begun else { return };
        if let Some(metrics) = self.call.telemetry.metrics() {
            let took = begun.elapsed();
            metrics.request(self.spec, self.peer, self.status, self.failed, took);
        }
        let Some(span) = &mut self.span else { return };
        if let Some(error_type) = self.failed {
            span.set_attribute(KeyValue::new(attribute::ERROR_TYPE, error_type));
            // A cancellation is deliberate, not an error.
            if error_type != CANCELLED {
                span.set_status(Status::error(error_type));
            }
        }
        span.end();
    }
}
