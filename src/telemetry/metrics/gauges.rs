//! The instruments that are read for each export.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::KeyValue;
use opentelemetry::metrics::AsyncInstrument;

use super::Metrics;
use crate::telemetry::call::integer;
use crate::telemetry::names::custom;
use crate::telemetry::result::Counts;

impl Metrics {
    /// Registers the values that stay the same while the process lives.
    pub(super) fn constants(&self, max_in_flight: usize) {
        let limit = max_in_flight as u64;
        self.meter
            .u64_observable_gauge("presence_gateway.calls.limit")
            .with_description("The limit of calls in flight.")
            .with_unit("{call}")
            .with_callback(move |observer| observer.observe(limit, &[]))
            .build();
        let started = SystemTime::now().duration_since(UNIX_EPOCH);
        let started = started.unwrap_or_default().as_secs_f64();
        self.meter
            .f64_observable_gauge("presence_gateway.start_time")
            .with_description("When the process started, in seconds since 1970.")
            .with_unit("s")
            .with_callback(move |observer| observer.observe(started, &[]))
            .build();
        self.meter
            .u64_observable_gauge("presence_gateway.build.info")
            .with_description("The version and the commit, with the value 1.")
            .with_callback(|observer| {
                let built = [
                    KeyValue::new(custom::VERSION, env!("CARGO_PKG_VERSION")),
                    KeyValue::new(custom::REVISION, env!("PRESENCE_GATEWAY_COMMIT")),
                ];
                observer.observe(1, &built);
            })
            .build();
    }

    /// Registers the results of calls and requests.
    pub(super) fn observe_results(&self) {
        let calls = Arc::clone(&self.calls_ended);
        self.meter
            .u64_observable_counter("presence_gateway.calls.ended")
            .with_description("Calls that ended, by result.")
            .with_unit("{call}")
            .with_callback(move |observer| observe(&calls, observer))
            .build();
        let requests = Arc::clone(&self.upstream_requests);
        self.meter
            .u64_observable_counter("presence_gateway.upstream.requests")
            .with_description("Attempts of requests to the vendor, by result.")
            .with_unit("{request}")
            .with_callback(move |observer| observe(&requests, observer))
            .build();
    }

    /// Registers the number of calls in flight: those that the gateway has admitted,
    /// so that it never exceeds their limit. It is read for each export, so that calls
    /// count nothing twice.
    pub(in crate::telemetry) fn observe_in_flight(
        &self,
        count: impl Fn() -> usize + Send + Sync + 'static,
    ) {
        self.meter
            .i64_observable_up_down_counter("presence_gateway.calls.in_flight")
            .with_description("Calls that were admitted and have not ended.")
            .with_unit("{call}")
            .with_callback(move |observer| observer.observe(integer(count()), &[]))
            .build();
    }
}

fn observe<const N: usize>(counts: &Counts<N>, observer: &dyn AsyncInstrument<u64>) {
    for (result, count) in counts.all() {
        observer.observe(count, &[KeyValue::new(custom::RESULT, result)]);
    }
}
