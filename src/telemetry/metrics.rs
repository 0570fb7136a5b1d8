//! The instruments, and what is counted with them.
//!
//! Every attribute has few values: names of RPCs, paths with their variables'
//! names, statuses, and words of a list. None is a text of a caller's or of
//! the vendor's. None costs an allocation.

mod gauges;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter};

use super::attempt::Peer;
use super::names::{OTHER, attribute, metric, own};
use super::result::{self, Counts};
use crate::error::Reason;
use crate::operation::Spec;

/// The bounds of a time, in seconds: those that the conventions advise.
const SECONDS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// The bounds of a share; finer where it gets tight.
const SHARES: [f64; 13] = [
    0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0,
];

/// The bounds of a number of batches.
const BATCHES: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// The bounds of a number of ids.
const IDS: [f64; 10] = [
    1.0, 10.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10000.0,
];

/// The reasons of calls that were refused for want of room or quota.
const SHED: [Reason; 3] = [
    Reason::Overloaded,
    Reason::TokenOverloaded,
    Reason::TokenQuota,
];

/// How a request is saved: an identical one was under way, or one that could
/// ask for more.
pub(crate) const SHARED: &str = "shared";
pub(crate) const MERGED: &str = "merged";

/// The instruments.
#[derive(Debug)]
pub(super) struct Metrics {
    meter: Meter,
    calls: Histogram<f64>,
    requests: Histogram<f64>,
    calls_ended: Arc<Counts<{ result::CALLS.len() }>>,
    upstream_requests: Arc<Counts<{ result::REQUESTS.len() }>>,
    shed: Counter<u64>,
    retries: Counter<u64>,
    retries_refused: Counter<u64>,
    requests_saved: Counter<u64>,
    quota_waits: Histogram<f64>,
    quota_remaining: Histogram<f64>,
    bulk_batches: Histogram<u64>,
    bulk_ids: Histogram<u64>,
    unknown_fields: Counter<u64>,
}

impl Metrics {
    /// The instruments of a process that has so many places for calls.
    pub(super) fn new(meter: Meter, places: usize) -> Self {
        let seconds = |name: &'static str, description: &'static str| {
            meter
                .f64_histogram(name)
                .with_description(description)
                .with_unit("s")
                .with_boundaries(SECONDS.to_vec())
                .build()
        };
        let counter = |name: &'static str, description: &'static str, unit: &'static str| {
            let counter = meter.u64_counter(name).with_description(description);
            counter.with_unit(unit).build()
        };
        let counts =
            |name: &'static str, description: &'static str, unit: &'static str, bounds: &[f64]| {
                meter
                    .u64_histogram(name)
                    .with_description(description)
                    .with_unit(unit)
                    .with_boundaries(bounds.to_vec())
                    .build()
            };
        let metrics = Self {
            calls: seconds(metric::CALL_DURATION, "How long calls took."),
            requests: seconds(
                metric::REQUEST_DURATION,
                "How long requests to the vendor took, each attempt by itself.",
            ),
            calls_ended: Arc::new(Counts::new(result::CALLS)),
            upstream_requests: Arc::new(Counts::new(result::REQUESTS)),
            shed: counter(
                metric::CALLS_SHED,
                "Calls refused for want of room or quota.",
                "{call}",
            ),
            retries: counter(metric::RETRIES, "Requests sent again.", "{request}"),
            retries_refused: counter(
                metric::RETRIES_REFUSED,
                "Requests not sent again, because the budget for that was spent.",
                "{request}",
            ),
            requests_saved: counter(
                metric::REQUESTS_SAVED,
                "Requests not made, because the answer to another one served.",
                "{request}",
            ),
            quota_waits: seconds(
                metric::QUOTA_WAIT,
                "How long requests waited for the turn of their token; only those that did.",
            ),
            quota_remaining: meter
                .f64_histogram(metric::QUOTA_REMAINING)
                .with_description(
                    "The share of its requests of this minute that a token has left, each time it uses one.",
                )
                .with_unit("1")
                .with_boundaries(SHARES.to_vec())
                .build(),
            bulk_batches: counts(
                metric::BULK_BATCHES,
                "How many batches bulk calls were cut into.",
                "{batch}",
                &BATCHES,
            ),
            bulk_ids: counts(
                metric::BULK_IDS,
                "How many ids or updates bulk calls held.",
                "{id}",
                &IDS,
            ),
            unknown_fields: counter(
                metric::UNKNOWN_FIELDS,
                "Fields of the vendor's answers that the proto does not know, in a sample; and with \
                 `field`, those whose value is of another kind than promised, in all.",
                "{field}",
            ),
            meter,
        };
        metrics.begin_at_zero();
        metrics.constants(places);
        metrics.observe_results();
        metrics
    }

    /// Lets the counters be there before the first of what they count, which
    /// would be in no rate otherwise.
    fn begin_at_zero(&self) {
        let reasons = SHED.iter().map(|reason| reason.as_str());
        let of_shed = reasons.map(|reason| (&self.shed, own::REASON, reason));
        let of_saved = [SHARED, MERGED].map(|how| (&self.requests_saved, own::REASON, how));
        for (counter, name, value) in of_shed.chain(of_saved) {
            counter.add(0, &[KeyValue::new(name, value)]);
        }
        self.retries_refused.add(0, &[]);
    }

    pub(super) fn call(
        &self,
        rpc: &'static str,
        status: &'static str,
        is_fault: bool,
        took: Duration,
    ) {
        let attributes = [
            KeyValue::new(attribute::RPC_SYSTEM, "grpc"),
            KeyValue::new(attribute::RPC_METHOD, rpc),
            KeyValue::new(attribute::RPC_STATUS, status),
            KeyValue::new(attribute::ERROR_TYPE, status),
        ];
        let count = if is_fault { 4 } else { 3 };
        self.calls.record(took.as_secs_f64(), &attributes[..count]);
        // One of no RPC that there is says nothing of the gateway.
        if rpc != OTHER {
            self.calls_ended.add(result::call(status, is_fault));
        }
    }

    pub(super) fn shed(&self, reason: &str) {
        if let Some(reason) = SHED.iter().find(|shed| shed.as_str() == reason) {
            let reason = KeyValue::new(own::REASON, reason.as_str());
            self.shed.add(1, &[reason]);
        }
    }

    pub(super) fn request(
        &self,
        spec: &'static Spec,
        peer: &Peer,
        status: Option<u16>,
        failed: Option<&'static str>,
        took: Duration,
    ) {
        self.upstream_requests.add(result::request(status, failed));
        // What is there stands before what is not.
        let (status, failed) = (
            status.map(|status| KeyValue::new(attribute::HTTP_STATUS, i64::from(status))),
            failed.map(|word| KeyValue::new(attribute::ERROR_TYPE, word)),
        );
        let count = 4 + usize::from(status.is_some()) + usize::from(failed.is_some());
        let unused = || KeyValue::new("", false);
        let (fifth, sixth) = match (status, failed) {
            (Some(status), failed) => (status, failed.unwrap_or_else(unused)),
            (None, failed) => (failed.unwrap_or_else(unused), unused()),
        };
        let attributes = [
            KeyValue::new(attribute::HTTP_METHOD, spec.method.as_str()),
            KeyValue::new(attribute::URL_TEMPLATE, spec.template),
            KeyValue::new(attribute::SERVER_ADDRESS, peer.address.clone()),
            KeyValue::new(attribute::SERVER_PORT, peer.port),
            fifth,
            sixth,
        ];
        self.requests
            .record(took.as_secs_f64(), &attributes[..count]);
    }

    pub(super) fn retry(&self, word: &'static str) {
        self.retries.add(1, &[KeyValue::new(own::REASON, word)]);
    }

    pub(super) fn retry_refused(&self) {
        self.retries_refused.add(1, &[]);
    }

    pub(super) fn request_saved(&self, how: &'static str) {
        self.requests_saved
            .add(1, &[KeyValue::new(own::REASON, how)]);
    }

    pub(super) fn quota_wait(&self, waited: Duration) {
        self.quota_waits.record(waited.as_secs_f64(), &[]);
    }

    pub(super) fn quota_remaining(&self, share: f64) {
        self.quota_remaining.record(share, &[]);
    }

    pub(super) fn bulk(&self, rpc: &'static str, batches: usize, ids: usize) {
        let rpc = [KeyValue::new(attribute::RPC_METHOD, rpc)];
        self.bulk_batches.record(batches as u64, &rpc);
        self.bulk_ids.record(ids as u64, &rpc);
    }

    pub(super) fn unknown_fields(&self, model: String, count: u64) {
        self.unknown_fields
            .add(count, &[KeyValue::new(own::MODEL, model)]);
    }

    pub(super) fn unreadable_fields(&self, model: String, field: String, count: u64) {
        let attributes = [
            KeyValue::new(own::MODEL, model),
            KeyValue::new(own::FIELD, field),
        ];
        self.unknown_fields.add(count, &attributes);
    }
}
