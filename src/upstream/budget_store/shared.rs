//! What the store's handle, its checks and its supervisor share.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use parking_lot::{Mutex, RwLock};
use redis::RedisError;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::check::Check;
use super::clock::StoreTime;
use super::link::{Link, no_response};
use super::reason::{Attempt, describe};
use super::script::{Amendment, Kind, Outcome, Request};
use super::supervisor::CONCURRENT_AMENDMENTS;
use super::{Decision, Starts, StoreOptions};
use crate::telemetry::BudgetDecisions;
use crate::token_key::TokenKey;

/// How far ahead a turn is taken at most. The record is for times of less than a day.
const MAX_AHEAD: Duration = Duration::from_mins(11);

/// What the store's tasks share.
pub(super) struct Shared {
    pub(super) options: StoreOptions,
    /// The connection in use; `None` while the store cannot be used.
    pub(super) link: RwLock<Option<Arc<Link>>>,
    /// Notified when the link is given up.
    pub(super) lost: Notify,
    /// Why it was given up.
    pub(super) reason: Mutex<String>,
    pub(super) decisions: BudgetDecisions,
    pub(super) sources: Mutex<Vec<Source>>,
    /// The corrections of records that are about to be sent.
    pub(super) pending: Mutex<HashMap<TokenKey, Amendment>>,
}

/// What a check asks of the store.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asked {
    /// This number of turns, the last before the deadline.
    Take(usize, Instant),
    /// Whether this turn still holds; without one, a turn.
    Confirm(Option<StoreTime>),
}

/// Returns what a limiter has counted, by a clock; with `false`, only what the store
/// was not sent.
pub(super) type Source = Box<dyn Fn(&dyn Fn(Instant) -> StoreTime, bool) -> Starts + Send + Sync>;

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = &self.options;
        f.debug_struct("Shared")
            .field("options", options)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// What all limiters have counted.
    pub(super) fn starts(&self, link: &Link, all: bool) -> Starts {
        let sources = self.sources.lock();
        let clock = |instant| link.clock.at(instant);
        sources
            .iter()
            .flat_map(|source| source(&clock, all))
            .collect()
    }

    pub(super) fn link(&self) -> Option<Arc<Link>> {
        self.link.read().clone()
    }

    /// Asks the store, without counting the decision.
    pub(super) async fn check(
        self: &Arc<Self>,
        token: TokenKey,
        limit: usize,
        asked: Asked,
    ) -> Decision {
        let Some(link) = self.link() else {
            return Decision::Local;
        };
        let now = Instant::now();
        let half_of_call = match asked {
            // The other half is for the request.
            Asked::Take(_, deadline) => deadline.saturating_duration_since(now) / 2,
            Asked::Confirm(_) => Duration::MAX,
        };
        let wait = self.options.timeout.min(half_of_call);
        let check = async {
            // A second time, if the server's clock was set.
            for _ in 0..2 {
                let request = Request {
                    limit,
                    expiry: link.clock.at(now + wait),
                    kind: match asked {
                        Asked::Take(count, deadline) => {
                            Kind::Take(count, link.clock.at(deadline.min(now + MAX_AHEAD)))
                        }
                        Asked::Confirm(turn) => Kind::Confirm(turn),
                    },
                };
                let reply = Check::start(&link, token, request).await?;
                match reply.outcome {
                    // Its time is right, however late it comes.
                    Outcome::Expired => link.clock.set(reply.now),
                    Outcome::TooLate(delay) => {
                        return Ok(Some(Decision::TooLate(delay, reply.throttle)));
                    }
                    Outcome::Taken(turns) => {
                        return Ok(Some(Decision::Taken(turns, reply.throttle)));
                    }
                }
            }
            Ok(None)
        };
        match timeout(wait, check).await {
            Ok(Ok(decision)) => decision.unwrap_or(Decision::Local),
            Ok(Err(error)) => {
                self.give_up(&link, self.describe(&error));
                Decision::Local
            }
            Err(_) => {
                if link.record_timeout(now) {
                    self.give_up(&link, self.no_response());
                }
                Decision::Local
            }
        }
    }

    /// Corrects a token's record soon, in a task. What is amended meanwhile goes with it:
    /// a call may drop a hundred turns at once.
    pub(super) fn amend(self: &Arc<Self>, token: TokenKey, amendment: Amendment) {
        let (Some(link), Ok(runtime)) = (self.link(), tokio::runtime::Handle::try_current()) else {
            return;
        };
        let mut pending = self.pending.lock();
        let is_first = pending.is_empty();
        pending.entry(token).or_default().merge(amendment);
        drop(pending);
        if !is_first {
            return;
        }
        let shared = Arc::clone(self);
        #[expect(
            clippy::disallowed_methods,
            reason = "no call waits for it; the reply has a time limit"
        )]
        runtime.spawn(async move {
            let pending = std::mem::take(&mut *shared.pending.lock());
            let mut sent = stream::iter(pending)
                .map(|(token, amendment)| {
                    let link = Arc::clone(&link);
                    async move { link.amend(token, &amendment).await }
                })
                .buffer_unordered(CONCURRENT_AMENDMENTS);
            while let Some(result) = sent.next().await {
                if let Err(error) = result {
                    shared.give_up(&link, shared.describe(&error));
                }
            }
        });
    }

    /// What an error of a request means.
    pub(super) fn describe(&self, error: &RedisError) -> String {
        describe(error, &self.options.address, Attempt::Request)
    }

    /// Why a connection is given up on which no reply comes in time.
    pub(super) fn no_response(&self) -> String {
        no_response(self.options.timeout)
    }

    /// Stops using a connection; the supervisor opens another.
    pub(super) fn give_up(&self, link: &Arc<Link>, reason: String) {
        let mut current = self.link.write();
        if current
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(current, link))
        {
            *current = None;
            *self.reason.lock() = reason;
            self.lost.notify_one();
        }
    }
}
