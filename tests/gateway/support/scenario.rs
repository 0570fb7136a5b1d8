//! Property tests that run generated scenarios one after the other against
//! one vendor.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use axum::response::Response;
use parking_lot::Mutex;
use proptest::prelude::*;
use proptest::test_runner::{TestCaseResult, TestRunner};
use tokio::runtime::Runtime;

use super::{ReceivedRequest, Vendor, disconnect};

/// The scenario that is running, with the vendor's state.
pub struct ActiveScenario<S, M> {
    pub scenario: S,
    /// The caller's token. It tells a request of this scenario from a late
    /// request of the scenario before.
    pub token: String,
    pub state: M,
}

/// The scenario that the vendor answers for.
type Current<S, M> = Arc<Mutex<Option<Arc<ActiveScenario<S, M>>>>>;

/// A vendor that answers for one scenario after the other.
pub struct ScenarioVendor<S, M> {
    current: Current<S, M>,
    count: AtomicUsize,
    pub server: Vendor,
}

impl<S, M> ScenarioVendor<S, M>
where
    S: Send + Sync + 'static,
    M: Default + Send + Sync + 'static,
{
    /// Starts a vendor that responds to requests of the scenario with `respond`,
    /// and disconnects all others.
    pub async fn new<A>(
        respond: impl Fn(Arc<ActiveScenario<S, M>>, ReceivedRequest) -> A + Send + Sync + 'static,
    ) -> Self
    where
        A: Future<Output = Response> + Send + 'static,
    {
        let current = Current::<S, M>::default();
        let answered = Arc::clone(&current);
        let server = Vendor::start(move |received| {
            let active = answered.lock().clone().unwrap();
            let response = (received.token() == active.token).then(|| respond(active, received));
            async {
                match response {
                    Some(response) => response.await,
                    None => disconnect(),
                }
            }
        })
        .await;
        Self {
            current,
            count: AtomicUsize::new(0),
            server,
        }
    }

    /// Starts a scenario; drops the requests of the one before.
    pub fn start(&self, scenario: S) -> Arc<ActiveScenario<S, M>> {
        let number = self.count.fetch_add(1, Relaxed);
        let active = Arc::new(ActiveScenario {
            scenario,
            token: format!("Bearer {number}"),
            state: M::default(),
        });
        *self.current.lock() = Some(Arc::clone(&active));
        self.server.clear();
        active
    }

    /// The requests of this scenario.
    pub fn received(&self, active: &ActiveScenario<S, M>) -> Vec<ReceivedRequest> {
        let mut received = self.server.received();
        received.retain(|received| received.token() == active.token);
        received
    }
}

/// Runs generated scenarios until one fails, then shrinks it.
pub fn check_property<S: Strategy>(
    runtime: &Runtime,
    (cases, max_shrink_iters): (u32, u32),
    scenarios: &S,
    run: impl AsyncFn(S::Value) -> TestCaseResult,
) {
    let mut runner = TestRunner::new(ProptestConfig {
        cases,
        max_shrink_iters,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let checked = runner.run(scenarios, |scenario| runtime.block_on(run(scenario)));
    checked.unwrap_or_else(|failure| panic!("{failure}"));
}
