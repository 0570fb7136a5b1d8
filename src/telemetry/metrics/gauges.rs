//! The instruments that are read whenever somebody asks.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::KeyValue;
use opentelemetry::metrics::AsyncInstrument;

use super::Metrics;
use crate::telemetry::names::{metric, own};
use crate::telemetry::result::Counts;
use crate::telemetry::scope::integer;

impl Metrics {
    /// What stays as it is for as long as the process lives.
    pub(super) fn constants(&self, places: usize) {
        let places = places as u64;
        self.meter
            .u64_observable_gauge(metric::CALLS_LIMIT)
            .with_description("How many calls may be in flight.")
            .with_unit("{call}")
            .with_callback(move |observer| observer.observe(places, &[]))
            .build();
        let started = SystemTime::now().duration_since(UNIX_EPOCH);
        let started = started.unwrap_or_default().as_secs_f64();
        self.meter
            .f64_observable_gauge(metric::START_TIME)
            .with_description("When the process started, since 1970.")
            .with_unit("s")
            .with_callback(move |observer| observer.observe(started, &[]))
            .build();
        self.meter
            .u64_observable_gauge(metric::BUILD_INFO)
            .with_description("What was built.")
            .with_callback(|observer| {
                let built = [
                    KeyValue::new(own::VERSION, env!("CARGO_PKG_VERSION")),
                    KeyValue::new(own::REVISION, env!("PRESENCE_GATEWAY_COMMIT")),
                ];
                observer.observe(1, &built);
            })
            .build();
    }

    /// What calls and requests came to, each result from the start.
    pub(super) fn observe_results(&self) {
        let calls = Arc::clone(&self.calls_ended);
        self.meter
            .u64_observable_counter(metric::CALLS_ENDED)
            .with_description("Calls that have ended, by their result.")
            .with_unit("{call}")
            .with_callback(move |observer| observe(&calls, observer))
            .build();
        let requests = Arc::clone(&self.upstream_requests);
        self.meter
            .u64_observable_counter(metric::UPSTREAM_REQUESTS)
            .with_description("Requests to the vendor, each attempt by itself, by their result.")
            .with_unit("{request}")
            .with_callback(move |observer| observe(&requests, observer))
            .build();
    }

    /// Lets the calls in flight be counted whenever somebody asks.
    pub(in crate::telemetry) fn observe_in_flight(
        &self,
        count: impl Fn() -> usize + Send + Sync + 'static,
    ) {
        self.meter
            .i64_observable_up_down_counter(metric::CALLS_IN_FLIGHT)
            .with_description("How many calls are in flight.")
            .with_unit("{call}")
            .with_callback(move |observer| observer.observe(integer(count()), &[]))
            .build();
    }
}

fn observe<const N: usize>(counts: &Counts<N>, observer: &dyn AsyncInstrument<u64>) {
    for (result, count) in counts.all() {
        observer.observe(count, &[KeyValue::new(own::RESULT, result)]);
    }
}
