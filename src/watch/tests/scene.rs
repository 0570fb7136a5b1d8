//! Watches of one token before the vendor, each with a caller who checks the order of
//! what comes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{pause, sleep};
use tonic::Code;

use super::vendor::{SimVendor, number};
use crate::access_log::AccessLog;
use crate::context::{CallContext, StreamHandle};
use crate::credentials::Caller;
use crate::deadline::{DeadlinePolicy, Drain};
use crate::error::{Error, Failure};
use crate::memory::MemoryLimit;
use crate::proto::v1::user_presence_change::Cause;
use crate::proto::v1::watch_state::Mode;
use crate::proto::v1::watch_users_presences_response::Update;
use crate::rpc::Rpc;
use crate::telemetry::WatchCounts;
use crate::token_key::TokenHasher;
use crate::upstream::{RequestContext, Reservations};
use crate::watch::Settings;
use crate::watch::hub::{Hubs, Reserved, Watch};
use crate::watch::serve::Serving;
use crate::watch::vendor::Vendor;

/// No pause.
pub(super) const AT_ONCE: Duration = Duration::ZERO;

pub(super) fn seconds(seconds: u64) -> impl Future<Output = ()> {
    sleep(Duration::from_secs(seconds))
}

/// One token with its watches.
pub(super) struct Scene {
    pub vendor: SimVendor,
    pub settings: Settings,
    pub drain: Drain,
    hubs: Hubs,
    counts: WatchCounts,
    beats: JoinHandle<()>,
}

/// What a caller has got.
#[derive(Debug, Default)]
pub(super) struct Received {
    /// How many users are watched.
    users: usize,
    /// The number of each user's latest presence.
    pub presences: BTreeMap<String, i64>,
    /// The causes of all presences, in their order.
    pub causes: Vec<Cause>,
    pub modes: Vec<Mode>,
    /// The code of the last state.
    pub why: Option<i32>,
    pub missing: Vec<String>,
    pub failed: Vec<String>,
    pub wrong: Vec<String>,
    pub end: Option<Error>,
}

/// A watch with its caller, who leaves when this is dropped.
pub(super) struct SimWatch {
    pub received: Arc<Mutex<Received>>,
    pub ids: Vec<String>,
    /// How long the caller pauses after each message.
    pub pause: Duration,
    caller: JoinHandle<()>,
}

impl Drop for SimWatch {
    fn drop(&mut self) {
        self.caller.abort();
    }
}

impl SimWatch {
    /// The presence of a user that the caller has.
    pub(super) fn presence(&self, user: &str) -> Option<i64> {
        self.received.lock().presences.get(user).copied()
    }

    pub(super) fn mode(&self) -> Option<Mode> {
        self.received.lock().modes.last().copied()
    }

    pub(super) fn end(&self) -> Option<Code> {
        let end = self.received.lock().end.clone()?;
        Some(Failure::from(end).into_status(Duration::ZERO).code())
    }
}

impl Scene {
    pub(super) fn new(settings: Settings) -> Self {
        let vendor = SimVendor::new();
        #[expect(clippy::disallowed_methods, reason = "the vendor of the test")]
        let beats = tokio::spawn(vendor.clone().beat());
        Self {
            vendor,
            settings,
            drain: Drain::default(),
            hubs: Hubs::default(),
            counts: WatchCounts::default(),
            beats,
        }
    }

    /// Joins a watch that nobody serves.
    pub(super) fn join(&self, ids: &[String]) -> Watch {
        self.join_with(&context(&self.drain, "token"), ids)
    }

    pub(super) fn join_with(&self, context: &CallContext, ids: &[String]) -> Watch {
        let caller = &context.request.caller;
        let key = (caller.key(), caller.authorization());
        let vendor = self.vendor.clone();
        let vendor = || Arc::new(vendor) as Arc<dyn Vendor>;
        let memory = Reserved {
            lease: context.request.memory.clone(),
            size: 0,
        };
        let (settings, counts) = (self.settings, &self.counts);
        self.hubs
            .join(key, ids.to_vec(), memory, settings, counts, vendor)
    }

    /// Begins a watch whose caller pauses for so long after each message.
    pub(super) fn watch(&self, ids: &[String], pause: Duration) -> SimWatch {
        let context = context(&self.drain, "token");
        let watch = self.join_with(&context, ids);
        let serving = Serving::new(
            watch,
            context,
            Duration::from_secs(25),
            Duration::from_hours(1),
        );
        let received = Arc::new(Mutex::new(Received {
            users: ids.len(),
            ..Received::default()
        }));
        let log = Arc::clone(&received);
        #[expect(clippy::disallowed_methods, reason = "a caller of the test")]
        let caller = tokio::spawn(async move {
            let (sender, mut messages) = mpsc::channel(1);
            let reader = async {
                while let Some(message) = messages.recv().await {
                    record(&mut log.lock(), message);
                    sleep(pause).await;
                }
            };
            let driver = async {
                let end = serving.run(&sender).await;
                drop(sender);
                end
            };
            let (end, ()) = tokio::join!(driver, reader);
            log.lock().end = end.err().map(|failure| failure.error);
        });
        SimWatch {
            received,
            ids: ids.to_vec(),
            pause,
            caller,
        }
    }

    /// A watch of so many users that has lasted long enough for its connection to be stable.
    pub(super) async fn live(count: usize) -> (Self, SimWatch) {
        pause();
        let scene = Self::new(Settings::default());
        let ids = scene.create_users(count);
        let watch = scene.watch(&ids, AT_ONCE);
        seconds(90).await;
        (scene, watch)
    }

    /// Creates so many users.
    pub(super) fn create_users(&self, count: usize) -> Vec<String> {
        let ids: Vec<String> = (0..count).map(|number| format!("u{number}")).collect();
        self.change_all(&ids);
        ids
    }

    /// Gives each user another presence.
    pub(super) fn change_all(&self, ids: &[String]) {
        for id in ids {
            self.vendor.change(id);
        }
    }

    /// The latest presences of all users.
    pub(super) fn latest(&self) -> BTreeMap<String, i64> {
        self.vendor.0.lock().users.clone()
    }

    /// Whether the caller has the latest presence of a user.
    pub(super) fn is_current(&self, watch: &SimWatch, user: &str) -> bool {
        watch.presence(user) == self.latest().get(&user.to_ascii_lowercase()).copied()
    }

    /// Keeps nobody whom nobody watches.
    pub(super) fn remove_unwatched(&self) {
        self.hubs.remove_unwatched();
    }

    /// How many hubs are registered.
    pub(super) fn hubs(&self) -> usize {
        self.hubs.len()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.beats.abort();
    }
}

fn record(received: &mut Received, message: crate::proto::v1::WatchUsersPresencesResponse) {
    received.missing.extend(message.missing_ids);
    match message.update {
        Some(Update::Presence(change)) => {
            let cause = change.cause();
            let new = number(&change.presence.unwrap());
            let before = received.presences.insert(change.user_id.clone(), new);
            // Each presence has a number of its own, and later ones a greater one.
            if before.is_some_and(|before| before >= new) {
                let wrong = format!("{}: {new} after {before:?}", change.user_id);
                received.wrong.push(wrong);
            }
            received.causes.push(cause);
        }
        Some(Update::State(state)) => {
            let known = received.presences.len() + received.missing.len() + received.failed.len();
            if state.mode() == Mode::Live && known < received.users {
                let wrong = format!("live with {known} of {} users", received.users);
                received.wrong.push(wrong);
            }
            received.modes.push(state.mode());
            // The status is the same for all watches of the token.
            let text = format!("{:?}", state.status);
            if text.contains("u0") || text.contains(&format!("{:?}", b"u0")[1..7]) {
                received
                    .wrong
                    .push(format!("the state names a user: {text}"));
            }
            received.why = state.status.map(|status| status.code);
        }
        Some(Update::Failure(failure)) => received.failed.extend(failure.ids),
        None => {}
    }
}

/// The context of a call with this token and without a deadline.
pub(super) fn context(drain: &Drain, token: &str) -> CallContext {
    let headers = HeaderMap::from_iter([(
        http::header::AUTHORIZATION,
        format!("Bearer {token}").parse().unwrap(),
    )]);
    let caller = Caller::from_headers(&headers, &TokenHasher::shared(None)).unwrap();
    let deadline = DeadlinePolicy::default().for_stream(&HeaderMap::new());
    let memory = MemoryLimit::new(64 << 20).lease(Some(caller.key()));
    let path = "/genesys.presence.v1.PresenceWatchService/WatchUsersPresences";
    CallContext {
        rpc: Rpc::find(path).unwrap(),
        request: RequestContext {
            caller,
            deadline: deadline.with_drain(drain.clone()),
            access_log: AccessLog::new(None),
            memory,
            is_client_retry: false,
            is_repeated_by_sender: false,
            reservations: Reservations::default(),
        },
        stream: StreamHandle::detached(),
    }
}
