//! Counts what watches do: their channels, topics, notifications and resyncs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use opentelemetry::KeyValue;

use super::Telemetry;
use super::call::{CallTelemetry, integer};
use super::metrics::Metrics;
use super::names::custom;

/// Why users were read again.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResyncReason {
    /// A connection has ended or was replaced.
    #[default]
    Connection,
    /// The vendor has ended the subscriptions of a channel.
    Unsubscribed,
    /// A text could not be read, or a heartbeat was late.
    Gap,
    /// Nothing: the vendor does not promise to deliver each notification.
    Periodic,
}

const REASONS: [(ResyncReason, &str); 4] = [
    (ResyncReason::Connection, "connection"),
    (ResyncReason::Unsubscribed, "unsubscribed"),
    (ResyncReason::Gap, "gap"),
    (ResyncReason::Periodic, "periodic"),
];

/// What all watches count together. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct WatchCounts(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    channels: AtomicUsize,
    topics: AtomicUsize,
    polled: AtomicUsize,
    events: AtomicU64,
    conflated: AtomicU64,
    resyncs: [AtomicU64; REASONS.len()],
}

impl WatchCounts {
    /// Counts a notification.
    pub(crate) fn record_event(&self) {
        self.0.events.fetch_add(1, Relaxed);
    }

    /// Counts a presence that a caller does not get, because a later one came before the
    /// caller has read.
    pub(crate) fn record_conflated(&self) {
        self.0.conflated.fetch_add(1, Relaxed);
    }

    /// Counts that the users of a channel are read again.
    pub(crate) fn record_resync(&self, reason: ResyncReason) {
        self.0.resyncs[reason as usize].fetch_add(1, Relaxed);
    }
}

/// What the watches of one token hold at the moment; nothing once this is dropped.
#[derive(Debug)]
pub(crate) struct WatchHoldings {
    counts: WatchCounts,
    held: [usize; 3],
}

impl WatchHoldings {
    pub(crate) fn new(counts: WatchCounts) -> Self {
        Self {
            counts,
            held: [0; 3],
        }
    }

    /// Records how many channels are live, how many topics they have, and how many users
    /// are polled.
    pub(crate) fn set(&mut self, channels: usize, topics: usize, polled: usize) {
        let counts = &self.counts.0;
        let totals = [&counts.channels, &counts.topics, &counts.polled];
        let now = [channels, topics, polled];
        for ((total, held), now) in totals.into_iter().zip(&mut self.held).zip(now) {
            total.fetch_add(now, Relaxed);
            total.fetch_sub(*held, Relaxed);
            *held = now;
        }
    }
}

impl Drop for WatchHoldings {
    fn drop(&mut self) {
        self.set(0, 0, 0);
    }
}

impl CallTelemetry {
    /// The same telemetry for what belongs to no call.
    pub(crate) fn without_call(&self) -> Self {
        Self {
            telemetry: self.telemetry.clone(),
            trace: None,
            span: None,
        }
    }

    /// Records the time from the vendor's date of a change to its message.
    pub(crate) fn watch_lag(&self, lag: Duration) {
        if let Some(metrics) = self.telemetry.metrics() {
            metrics.watch_lag.record(lag.as_secs_f64(), &[]);
        }
    }
}

impl Telemetry {
    /// Registers what watches count, and the number of watches.
    pub(crate) fn observe_watches(&self, counts: &WatchCounts) {
        if let Some(metrics) = self.metrics() {
            metrics.observe_watches(counts);
        }
    }

    /// Registers the number of watches that are open, and how many may be.
    pub(crate) fn observe_open_watches(
        &self,
        open: impl Fn() -> usize + Send + Sync + 'static,
        limit: usize,
    ) {
        if let Some(metrics) = self.metrics() {
            metrics.observe_gauge(
                "presence_gateway.watch.limit",
                "The limit of open watches.",
                "{watch}",
                move || limit,
            );
            metrics.observe_gauge(
                "presence_gateway.watch.open",
                "Watches that are open.",
                "{watch}",
                open,
            );
        }
    }
}

impl Metrics {
    fn observe_watches(&self, counts: &WatchCounts) {
        for (name, description, unit, of) in [
            (
                "presence_gateway.watch.channels",
                "Notification channels with a connection.",
                "{channel}",
                (|counts| &counts.channels) as fn(&Counts) -> &AtomicUsize,
            ),
            (
                "presence_gateway.watch.topics",
                "Users whose notifications are subscribed.",
                "{topic}",
                |counts| &counts.topics,
            ),
            (
                "presence_gateway.watch.polled",
                "Users who are polled, because there are no notifications of them.",
                "{user}",
                |counts| &counts.polled,
            ),
        ] {
            let counts = counts.clone();
            self.observe_gauge(name, description, unit, move || of(&counts.0).load(Relaxed));
        }
        for (name, description, unit, of) in [
            (
                "presence_gateway.watch.events",
                "Notifications of presences.",
                "{event}",
                (|counts| &counts.events) as fn(&Counts) -> &AtomicU64,
            ),
            (
                "presence_gateway.watch.conflated",
                "Presences that were replaced by a later one before the caller has read them.",
                "{presence}",
                |counts| &counts.conflated,
            ),
        ] {
            let counts = counts.clone();
            self.meter
                .u64_observable_counter(name)
                .with_description(description)
                .with_unit(unit)
                .with_callback(move |observer| observer.observe(of(&counts.0).load(Relaxed), &[]))
                .build();
        }
        let counts = counts.clone();
        self.meter
            .u64_observable_counter("presence_gateway.watch.resyncs")
            .with_description("Times that the users of a channel were read again.")
            .with_unit("{resync}")
            .with_callback(move |observer| {
                for (count, (_, reason)) in counts.0.resyncs.iter().zip(REASONS) {
                    let reason = KeyValue::new(custom::REASON, reason);
                    observer.observe(count.load(Relaxed), &[reason]);
                }
            })
            .build();
    }

    /// Registers a number that is read for each export.
    fn observe_gauge(
        &self,
        name: &'static str,
        description: &'static str,
        unit: &'static str,
        value: impl Fn() -> usize + Send + Sync + 'static,
    ) {
        self.meter
            .i64_observable_up_down_counter(name)
            .with_description(description)
            .with_unit(unit)
            .with_callback(move |observer| observer.observe(integer(value()), &[]))
            .build();
    }
}
