//! Watches: the presences of users as they change, by the vendor's notifications.
//!
//! All watches of one token share a `Hub`: what is known of the users (`state.rs`), and
//! a task (`task.rs`) that keeps it current by notification channels (`channel.rs`), reads
//! (`reads.rs`) and polls (`polls.rs`). What a watch has not sent to its caller yet is in its
//! mailbox (`mailbox.rs`).
//!
//! Decision: docs/decisions/0026-watches.md.

mod backoff;
mod channel;
mod event;
mod hub;
mod mailbox;
mod plan;
mod polls;
mod presence;
mod reads;
mod rest;
mod serve;
mod shared;
mod socket;
mod state;
mod task;
#[cfg(test)]
mod tests;
mod users;
mod vendor;

use std::sync::Arc;
use std::time::Duration;

use crate::access_log::AccessLog;
use crate::context::{CallContext, StreamHandle};
use crate::deadline::Deadline;
use crate::telemetry::WatchCounts;
use crate::upstream::{RequestContext, Reservations, Upstream};
use hub::{Hubs, Reserved, Watch};
use rest::RestVendor;
pub(crate) use serve::begin;
use vendor::Vendor;

/// How long one request of a watch may take from its permit on: longer than the 16 s that
/// the vendor's SDKs wait.
const OWN_REQUEST_LIMIT: Duration = Duration::from_secs(20);

/// How watches learn of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchMode {
    /// By notifications, or by polls where there are none.
    Auto,
    /// By polls alone.
    Poll,
}

/// The settings of watches.
#[derive(Debug, Clone, Copy)]
pub struct WatchLimits {
    /// How they learn of changes.
    pub mode: WatchMode,
    /// How many notification channels a token may have.
    pub channels: usize,
    /// How often users without notifications are read.
    pub poll_interval: Duration,
    /// After how much silence a watch repeats its state.
    pub heartbeat: Duration,
    /// How long one request may take from its permit on, if that is less than
    /// `OWN_REQUEST_LIMIT`.
    pub max_read: Duration,
    /// How long users wait for notifications before they are polled.
    pub poll_after: Duration,
    /// The longest silence of a connection.
    pub max_silence: Duration,
}

impl Default for WatchLimits {
    fn default() -> Self {
        Self {
            mode: WatchMode::Auto,
            channels: 2,
            poll_interval: Duration::from_secs(30),
            heartbeat: Duration::from_secs(25),
            max_read: Duration::from_mins(2),
            poll_after: channel::POLL_AFTER,
            max_silence: socket::MAX_SILENCE,
        }
    }
}

/// The settings of a hub.
#[derive(Debug, Clone, Copy)]
struct Settings {
    limits: WatchLimits,
    /// How many batches are read at once.
    concurrency: usize,
    /// The requests of the token in a minute; 0 for no limit.
    requests_per_minute: usize,
}

#[cfg(test)]
impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: WatchLimits::default(),
            concurrency: 8,
            requests_per_minute: 300,
        }
    }
}

/// The watches in front of one upstream. Clones share them.
#[derive(Debug, Clone)]
pub struct Watches(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: Settings,
    upstream: Upstream,
    hubs: Hubs,
    counts: WatchCounts,
}

impl Watches {
    /// Watches of an upstream, of which `concurrency` batches are read at once.
    #[must_use]
    pub fn new(
        upstream: Upstream,
        limits: WatchLimits,
        concurrency: usize,
        counts: WatchCounts,
    ) -> Self {
        let settings = Settings {
            limits,
            concurrency,
            requests_per_minute: upstream.requests_per_minute(),
        };
        Self(Arc::new(Inner {
            settings,
            upstream,
            hubs: Hubs::default(),
            counts,
        }))
    }

    /// Joins the watches of the call's token. The call has reserved so much memory for the
    /// users, which the watch releases.
    fn join(&self, context: &CallContext, ids: Vec<String>, size: usize) -> Watch {
        let caller = &context.request.caller;
        let key = (caller.key(), caller.authorization());
        let vendor = || -> Arc<dyn Vendor> {
            let context = self.own_context(context);
            Arc::new(RestVendor::new(self.0.upstream.clone(), context))
        };
        let lease = context.request.memory.clone();
        let memory = Reserved { lease, size };
        let hubs = &self.0.hubs;
        hubs.join(key, ids, memory, self.0.settings, &self.0.counts, vendor)
    }

    /// The context of the requests of a hub, which outlive the call that began it.
    fn own_context(&self, context: &CallContext) -> CallContext {
        let RequestContext {
            caller,
            deadline,
            access_log,
            memory,
            ..
        } = &context.request;
        let telemetry = access_log.telemetry().without_call();
        CallContext {
            rpc: context.rpc,
            request: RequestContext {
                caller: caller.clone(),
                deadline: Deadline::of_own_requests(
                    self.0.settings.limits.max_read.min(OWN_REQUEST_LIMIT),
                    deadline.drain().clone(),
                ),
                access_log: AccessLog::new(None).with_telemetry(telemetry),
                memory: memory.sub_lease(),
                // The hub repeats them itself: the callers get the reason meanwhile.
                is_client_retry: true,
                is_repeated_by_sender: false,
                reservations: Reservations::default(),
            },
            stream: StreamHandle::detached(),
        }
    }
}
