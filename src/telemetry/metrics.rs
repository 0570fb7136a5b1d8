//! The instruments.
//!
//! Every attribute has few values: names of RPCs, path templates, statuses and
//! words of a fixed list, never a text of a caller or of the vendor. None costs
//! an allocation.

mod gauges;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter};

use super::attempt::Peer;
use super::names::{OTHER, attribute, custom};
use super::result::{self, Counts};
use crate::error::Reason;
use crate::operation::Spec;

/// The buckets of a duration, in seconds: those that the conventions advise.
const SECONDS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// The buckets of a share; finer near 0, where a token runs out of requests.
const SHARES: [f64; 13] = [
    0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0,
];

/// The buckets of a number of batches.
const BATCHES: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// The buckets of a number of ids.
const IDS: [f64; 10] = [
    1.0, 10.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10000.0,
];

/// The reasons of calls that were rejected for lack of capacity or quota.
const SHED: [Reason; 3] = [
    Reason::Overloaded,
    Reason::TokenOverloaded,
    Reason::TokenQuota,
];

/// Why a request was not sent: `shared` if an identical one was in flight, `merged`
/// if its ids joined another batch.
pub(crate) const SHARED: &str = "shared";
pub(crate) const MERGED: &str = "merged";

/// The instruments.
#[derive(Debug)]
pub(super) struct Metrics {
    pub(super) meter: Meter,
    calls: Histogram<f64>,
    requests: Histogram<f64>,
    calls_ended: Arc<Counts<{ result::CALLS.len() }>>,
    upstream_requests: Arc<Counts<{ result::REQUESTS.len() }>>,
    shed: Counter<u64>,
    pub(super) retries: Counter<u64>,
    pub(super) retries_refused: Counter<u64>,
    pub(super) requests_saved: Counter<u64>,
    pub(super) quota_waits: Histogram<f64>,
    pub(super) quota_remaining: Histogram<f64>,
    bulk_batches: Histogram<u64>,
    bulk_ids: Histogram<u64>,
    pub(super) unknown_fields: Counter<u64>,
    pub(super) watch_lag: Histogram<f64>,
}

impl Metrics {
    /// The instruments of a gateway that serves `max_in_flight` calls at once.
    pub(super) fn new(meter: Meter, max_in_flight: usize) -> Self {
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
            calls: seconds("rpc.server.call.duration", "Duration of calls."),
            requests: seconds(
                "http.client.request.duration",
                "Duration of each attempt of a request to the vendor.",
            ),
            calls_ended: Arc::new(Counts::new(result::CALLS)),
            upstream_requests: Arc::new(Counts::new(result::REQUESTS)),
            shed: counter(
                "presence_gateway.calls.shed",
                "Calls rejected for lack of capacity or quota.",
                "{call}",
            ),
            retries: counter(
                "presence_gateway.upstream.retries",
                "Retries of requests to the vendor.",
                "{request}",
            ),
            retries_refused: counter(
                "presence_gateway.upstream.retries_refused",
                "Requests not retried, because the retry budget was spent.",
                "{request}",
            ),
            requests_saved: counter(
                "presence_gateway.upstream.requests_saved",
                "Requests not sent, because the response to another one served.",
                "{request}",
            ),
            quota_waits: seconds(
                "presence_gateway.quota.wait.duration",
                "How long requests waited for the rate limiter; only those that waited.",
            ),
            quota_remaining: meter
                .f64_histogram("presence_gateway.quota.remaining")
                .with_description(
                    "The share of its requests of this minute that a token has left, at each request.",
                )
                .with_unit("1")
                .with_boundaries(SHARES.to_vec())
                .build(),
            bulk_batches: counts(
                "presence_gateway.bulk.batches",
                "Batches of a bulk call.",
                "{batch}",
                &BATCHES,
            ),
            bulk_ids: counts(
                "presence_gateway.bulk.ids",
                "Ids or updates of a bulk call.",
                "{id}",
                &IDS,
            ),
            watch_lag: seconds(
                "presence_gateway.watch.lag",
                "Time from the vendor's date of a change to its message to the caller.",
            ),
            unknown_fields: counter(
                "presence_gateway.vendor.unknown_fields",
                "Unknown fields of the vendor's responses, in a sample; with `field`, fields of all \
                 responses whose value has another type than documented.",
                "{field}",
            ),
            meter,
        };
        metrics.begin_at_zero();
        metrics.constants(max_in_flight);
        metrics.observe_results();
        metrics
    }

    /// Creates the counters at 0: no rate would include the event that creates one.
    fn begin_at_zero(&self) {
        let reasons = SHED.iter().map(|reason| reason.as_str());
        let of_shed = reasons.map(|reason| (&self.shed, custom::REASON, reason));
        let of_saved = [SHARED, MERGED].map(|how| (&self.requests_saved, custom::REASON, how));
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
        // Calls of unknown methods say nothing about the gateway.
        if rpc != OTHER {
            self.calls_ended.add(result::call(status, is_fault));
        }
    }

    pub(super) fn shed(&self, reason: &str) {
        if let Some(reason) = SHED.iter().find(|shed| shed.as_str() == reason) {
            let reason = KeyValue::new(custom::REASON, reason.as_str());
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
        let unused = || KeyValue::new("", false);
        let mut attributes = [
            KeyValue::new(attribute::HTTP_METHOD, spec.method.as_str()),
            KeyValue::new(attribute::URL_TEMPLATE, spec.template),
            KeyValue::new(attribute::SERVER_ADDRESS, peer.address.clone()),
            KeyValue::new(attribute::SERVER_PORT, peer.port),
            unused(),
            unused(),
        ];
        let mut count = 4;
        let status = status.map(|it| KeyValue::new(attribute::HTTP_STATUS, i64::from(it)));
        let failed = failed.map(|it| KeyValue::new(attribute::ERROR_TYPE, it));
        for attribute in [status, failed].into_iter().flatten() {
            attributes[count] = attribute;
            count += 1;
        }
        self.requests
            .record(took.as_secs_f64(), &attributes[..count]);
    }

    pub(super) fn bulk(&self, rpc: &'static str, batches: usize, ids: usize) {
        let rpc = [KeyValue::new(attribute::RPC_METHOD, rpc)];
        self.bulk_batches.record(batches as u64, &rpc);
        self.bulk_ids.record(ids as u64, &rpc);
    }
}
