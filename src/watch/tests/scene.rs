//! Watches of one token before the vendor, each with a caller who checks the order of
//! what comes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::sleep;
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
use crate::watch::hub::{Hubs, Watch, join};
use crate::watch::serve::Serving;
use crate::watch::vendor::Vendor;

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
pub(super) struct Told {
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
    pub told: Arc<Mutex<Told>>,
    pub ids: Vec<String>,
    caller: JoinHandle<()>,
}

impl Drop for SimWatch {
    fn drop(&mut self) {
        self.caller.abort();
    }
}

impl SimWatch {
    pub(super) fn mode(&self) -> Option<Mode> {
        self.told.lock().modes.last().copied()
    }

    pub(super) fn end(&self) -> Option<Code> {
        let end = self.told.lock().end.clone()?;
        Some(Failure::from(end).into_status(Duration::ZERO).code())
    }
}

impl Scene {
    pub(super) fn new(settings: Settings) -> Self {
        let vendor = SimVendor::default();
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
        self.join_with(&context(&self.drain), ids)
    }

    fn join_with(&self, context: &CallContext, ids: &[String]) -> Watch {
        let caller = &context.request.caller;
        let vendor = self.vendor.clone();
        join(
            &self.hubs,
            (caller.key(), caller.authorization()),
            ids.to_vec(),
            context.request.memory.sub_lease(),
            self.settings,
            &self.counts,
            || Arc::new(vendor) as Arc<dyn Vendor>,
        )
    }

    /// Begins a watch whose caller pauses for so long after each message.
    pub(super) fn watch(&self, ids: &[String], pause: Duration) -> SimWatch {
        let context = context(&self.drain);
        let watch = self.join_with(&context, ids);
        let serving = Serving::new(
            watch,
            context,
            Duration::from_secs(25),
            Duration::from_hours(1),
        );
        let told = Arc::new(Mutex::new(Told::default()));
        let heard = Arc::clone(&told);
        #[expect(clippy::disallowed_methods, reason = "a caller of the test")]
        let caller = tokio::spawn(async move {
            let (sender, mut messages) = mpsc::channel(1);
            let reader = async {
                while let Some(message) = messages.recv().await {
                    hear(&mut heard.lock(), message);
                    sleep(pause).await;
                }
            };
            let driver = async {
                let end = serving.run(&sender).await;
                drop(sender);
                end
            };
            let (end, ()) = tokio::join!(driver, reader);
            heard.lock().end = end.err().map(|failure| failure.error);
        });
        SimWatch {
            told,
            ids: ids.to_vec(),
            caller,
        }
    }

    /// How many hubs are registered.
    pub(super) fn hubs(&self) -> usize {
        self.hubs.lock().len()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.beats.abort();
    }
}

fn hear(told: &mut Told, message: crate::proto::v1::WatchUsersPresencesResponse) {
    told.missing.extend(message.missing_ids);
    match message.update {
        Some(Update::Presence(change)) => {
            let cause = change.cause();
            let new = number(&change.presence.unwrap());
            let before = told.presences.insert(change.user_id.clone(), new);
            // Each presence has a number of its own, and later ones a greater one.
            if before.is_some_and(|before| before >= new) {
                let wrong = format!("{}: {new} after {before:?}", change.user_id);
                told.wrong.push(wrong);
            }
            told.causes.push(cause);
        }
        Some(Update::State(state)) => {
            told.modes.push(state.mode());
            told.why = state.status.map(|status| status.code);
        }
        Some(Update::Failure(failure)) => told.failed.extend(failure.ids),
        None => {}
    }
}

/// The context of a call without a deadline.
fn context(drain: &Drain) -> CallContext {
    let headers = HeaderMap::from_iter([(
        http::header::AUTHORIZATION,
        http::HeaderValue::from_static("Bearer token"),
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
            reservations: Reservations::default(),
        },
        stream: StreamHandle::detached(),
    }
}
