//! Property tests that play one scene after the other before one vendor.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use axum::response::Response;
use parking_lot::Mutex;
use proptest::prelude::*;
use proptest::test_runner::{TestCaseResult, TestRunner};
use tokio::runtime::Runtime;

use super::{ReceivedRequest, Vendor, disconnect};

/// A scene as it is played, with what the vendor remembers of it.
pub struct ActiveScenario<S, M> {
    pub scene: S,
    /// The caller's token, which tells a request of this scene from a late one
    /// of the scene before.
    pub token: String,
    pub memory: M,
}

/// The scene that is being played.
type Playing<S, M> = Arc<Mutex<Option<Arc<ActiveScenario<S, M>>>>>;

/// A vendor that plays one scene after the other.
pub struct ScenarioVendor<S, M> {
    playing: Playing<S, M>,
    played: AtomicUsize,
    pub vendor: Vendor,
}

impl<S, M> ScenarioVendor<S, M>
where
    S: Send + Sync + 'static,
    M: Default + Send + Sync + 'static,
{
    /// A vendor that answers the requests of the scene as `answer` says.
    pub async fn new<A>(
        answer: impl Fn(Arc<ActiveScenario<S, M>>, ReceivedRequest) -> A + Send + Sync + 'static,
    ) -> Self
    where
        A: Future<Output = Response> + Send + 'static,
    {
        let playing = Playing::<S, M>::default();
        let current = Arc::clone(&playing);
        let vendor = Vendor::start(move |received| {
            let play = current.lock().clone().unwrap();
            let answer = (received.token() == play.token).then(|| answer(play, received));
            async {
                match answer {
                    Some(answer) => answer.await,
                    None => disconnect(),
                }
            }
        })
        .await;
        Self {
            playing,
            played: AtomicUsize::new(0),
            vendor,
        }
    }

    /// Begins a scene.
    pub fn begin(&self, scene: S) -> Arc<ActiveScenario<S, M>> {
        let number = self.played.fetch_add(1, Relaxed);
        let play = Arc::new(ActiveScenario {
            scene,
            token: format!("Bearer {number}"),
            memory: M::default(),
        });
        *self.playing.lock() = Some(Arc::clone(&play));
        self.vendor.clear();
        play
    }

    /// The requests of a scene.
    pub fn received(&self, play: &ActiveScenario<S, M>) -> Vec<ReceivedRequest> {
        let mut received = self.vendor.received();
        received.retain(|received| received.token() == play.token);
        received
    }
}

/// Plays scenes until one goes wrong, and then looks for a smaller one.
pub fn check<S: Strategy>(
    runtime: &Runtime,
    (cases, max_shrink_iters): (u32, u32),
    scenes: &S,
    play: impl AsyncFn(S::Value) -> TestCaseResult,
) {
    let mut runner = TestRunner::new(ProptestConfig {
        cases,
        max_shrink_iters,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let checked = runner.run(scenes, |scene| runtime.block_on(play(scene)));
    checked.unwrap_or_else(|failure| panic!("{failure}"));
}
