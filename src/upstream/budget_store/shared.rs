//! What the store's handle, its checks and its supervisor share.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::check::Check;
use super::clock::StoreTime;
use super::connection;
use super::link::Link;
use super::script::{Amendment, Outcome, Take};
use super::{Decision, NO_RESPONSE, Starts, StoreOptions, Turn};
use crate::telemetry::BudgetDecisions;
use crate::token_key::TokenKey;

/// How far ahead a turn is taken at most: the store takes a start that is later than
/// ten windows for the work of a clock that was set back.
const MAX_AHEAD: Duration = Duration::from_mins(9);

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

    /// Takes turns, without counting the decision.
    pub(super) async fn take(
        self: &Arc<Self>,
        token: TokenKey,
        limit: usize,
        count: usize,
        deadline: Instant,
    ) -> Decision {
        let Some(link) = self.link() else {
            return Decision::Local;
        };
        let now = Instant::now();
        let check = async {
            // A second time, if the server's clock was set.
            for _ in 0..2 {
                let take = Take {
                    limit,
                    expiry: link.clock.at(now + self.options.timeout),
                    latest: link.clock.at(deadline.min(now + MAX_AHEAD)),
                    count,
                };
                let reply = Check::start(self, &link, token, take).await?;
                link.record_reply(reply.now);
                match reply.outcome {
                    Outcome::Expired => {}
                    Outcome::TooLate(delay) => {
                        return Ok(Some(Decision::TooLate(delay, reply.throttle)));
                    }
                    Outcome::Taken(turns) => {
                        let turn = |(stored, start)| Turn {
                            start,
                            stored: Some(stored),
                        };
                        let turns = turns.into_iter().map(turn).collect();
                        return Ok(Some(Decision::Taken(turns, reply.throttle)));
                    }
                }
            }
            Ok(None)
        };
        match timeout(self.options.timeout, check).await {
            Ok(Ok(decision)) => decision.unwrap_or(Decision::Local),
            Ok(Err(error)) => {
                self.give_up(&link, connection::describe(&error));
                Decision::Local
            }
            Err(_) => {
                if link.record_timeout(now) {
                    self.give_up(&link, NO_RESPONSE.to_owned());
                }
                Decision::Local
            }
        }
    }

    /// Corrects a token's record, in a task of its own.
    pub(super) fn amend(self: &Arc<Self>, token: TokenKey, amendment: Amendment) {
        let (Some(link), Ok(runtime)) = (self.link(), tokio::runtime::Handle::try_current()) else {
            return;
        };
        let shared = Arc::clone(self);
        #[expect(
            clippy::disallowed_methods,
            reason = "no call waits for it; the reply has a time limit"
        )]
        runtime.spawn(async move {
            if let Err(error) = link.amend(token, &amendment).await {
                shared.give_up(&link, connection::describe(&error));
            }
        });
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
