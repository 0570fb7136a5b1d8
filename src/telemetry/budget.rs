//! Counts who limits the requests of a token: the budget store, or the replica alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use opentelemetry::KeyValue;

use super::Telemetry;
use super::metrics::Metrics;
use super::names::custom;

/// The number of decisions of each source. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct BudgetDecisions(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    store: AtomicU64,
    local: AtomicU64,
}

impl BudgetDecisions {
    /// Counts a decision, by the store or by this replica alone.
    pub(crate) fn record(&self, by_store: bool) {
        let count = if by_store {
            &self.0.store
        } else {
            &self.0.local
        };
        count.fetch_add(1, Relaxed);
    }
}

impl Telemetry {
    /// Registers the decisions as a metric.
    pub(crate) fn observe_budget(&self, decisions: BudgetDecisions) {
        if let Some(metrics) = self.metrics() {
            metrics.observe_budget(decisions);
        }
    }
}

impl Metrics {
    fn observe_budget(&self, decisions: BudgetDecisions) {
        self.meter
            .u64_observable_counter("presence_gateway.budget.decisions")
            .with_description(
                "Checks of a token's requests, by the budget store or by this replica alone.",
            )
            .with_unit("{check}")
            .with_callback(move |observer| {
                let counts = &decisions.0;
                for (source, count) in [("store", &counts.store), ("local", &counts.local)] {
                    let source = KeyValue::new(custom::SOURCE, source);
                    observer.observe(count.load(Relaxed), &[source]);
                }
            })
            .build();
    }
}
