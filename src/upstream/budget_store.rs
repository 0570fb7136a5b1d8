//! A store in which all replicas count the requests of a token: Redis or Valkey.
//!
//! A check takes turns, which are the times at which requests may start, in one
//! round trip. No call fails or waits long for the store: without it, a check says
//! so, and the replica counts alone.
//!
//! Decision: docs/decisions/0025-budget-store.md.

mod address;
mod check;
mod clock;
mod connection;
mod link;
mod reason;
mod script;
mod shared;
mod supervisor;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::telemetry::BudgetDecisions;
use crate::token_key::{Scope, TokenKey};
pub use address::{Password, StoreAddress};
pub(crate) use clock::StoreTime;
use connection::Connection;
use link::Link;
pub(crate) use script::Amendment;
use shared::{Asked, Shared};
use supervisor::Supervisor;

/// How the store is used.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Where it is.
    pub address: StoreAddress,
    /// How long a call waits for it.
    pub timeout: Duration,
}

/// A turn: when a request may start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn {
    /// When, by this process's clock.
    pub(crate) start: Instant,
    /// From when the store counts it, at the earliest, by this process's clock.
    pub(crate) counted: Instant,
    /// When, by the store's; `None` for one that the replica counts alone.
    pub(crate) stored: Option<StoreTime>,
}

impl Turn {
    /// A turn that this replica counts alone, now.
    pub(crate) fn local() -> Self {
        let now = Instant::now();
        Self {
            start: now,
            counted: now,
            stored: None,
        }
    }
}

/// The result of a check.
#[derive(Debug)]
pub(crate) enum Decision {
    /// The store's: a turn for each request, and how long the token is throttled.
    Taken(Vec<Turn>, Duration),
    /// The store's: the last request could not start in time, but after this delay; and
    /// how long the token is throttled.
    TooLate(Duration, Duration),
    /// There is none: the store cannot be used at present.
    Local,
}

/// What the store may lack of each token: its requests of the last minute, and its throttle.
pub(crate) type Starts = Vec<(TokenKey, Amendment)>;

/// The store. Clones share the connection, which is closed when the last is dropped.
#[derive(Debug, Clone)]
pub struct BudgetStore {
    inner: Arc<Inner>,
    scope: Scope,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    _supervisor: Supervisor,
}

impl BudgetStore {
    /// Connects to the store, and again whenever the connection is lost. Waits for the
    /// first attempt: a second or two, with Sentinels up to four.
    pub async fn start(options: StoreOptions, decisions: BudgetDecisions) -> Self {
        let shared = Arc::new(Shared {
            options,
            link: RwLock::default(),
            lost: Notify::new(),
            reason: Mutex::default(),
            decisions,
            sources: Mutex::default(),
            pending: Mutex::default(),
        });
        let (attempted, mut first) = watch::channel(false);
        let supervisor = Supervisor::spawn(Arc::clone(&shared), attempted);
        let _ = first.wait_for(|&attempted| attempted).await;
        let inner = Inner {
            shared,
            _supervisor: supervisor,
        };
        Self {
            inner: Arc::new(inner),
            scope: Scope::new(""),
        }
    }

    /// The same store, with other records of each token: those of this upstream.
    #[must_use]
    pub fn scoped(&self, upstream: &str) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            scope: Scope::new(upstream),
        }
    }

    /// Sends what `starts` returns after each connect: what a limiter has counted, by
    /// the clock given; with `false`, only what the store was not sent.
    pub(crate) fn send_after_connect(
        &self,
        starts: impl Fn(&dyn Fn(Instant) -> StoreTime, bool) -> Starts + Send + Sync + 'static,
    ) {
        let scope = self.scope;
        let of_scope = move |clock: &dyn Fn(Instant) -> StoreTime, all| {
            let mut starts = starts(clock, all);
            for (token, _) in &mut starts {
                *token = token.within(scope);
            }
            starts
        };
        self.inner.shared.sources.lock().push(Box::new(of_scope));
    }

    /// Takes `count` turns of a token, or none if the last could not start before
    /// `deadline`.
    pub(crate) async fn take(
        &self,
        token: TokenKey,
        limit: usize,
        count: usize,
        deadline: Instant,
    ) -> Decision {
        let (shared, token) = (&self.inner.shared, token.within(self.scope));
        let decision = shared
            .check(token, limit, Asked::Take(count, deadline))
            .await;
        shared
            .decisions
            .record(!matches!(decision, Decision::Local));
        decision
    }

    /// Confirms the turn of a request that has waited for it, or takes one for a
    /// request that the replica would count alone. Returns the turn, which may be
    /// later, and how long the token is throttled; `None` without the store.
    pub(crate) async fn confirm(
        &self,
        token: TokenKey,
        limit: usize,
        turn: Turn,
    ) -> Option<(Turn, Duration)> {
        let (shared, token) = (&self.inner.shared, token.within(self.scope));
        match shared
            .check(token, limit, Asked::Confirm(turn.stored))
            .await
        {
            Decision::Taken(turns, throttle) => Some((*turns.first()?, throttle)),
            Decision::TooLate(..) | Decision::Local => None,
        }
    }

    /// Throttles a token in all replicas.
    pub(crate) fn set_throttle(&self, token: TokenKey, throttle: Duration) {
        if let Some(link) = self.inner.shared.link() {
            let until = link.clock.at(Instant::now() + throttle);
            self.amend(
                token,
                Amendment {
                    throttle: Some(until),
                    ..Amendment::default()
                },
            );
        }
    }

    /// Gives back turns that were not used.
    pub(crate) fn give_back(&self, token: TokenKey, turns: Vec<StoreTime>) {
        if !turns.is_empty() {
            self.amend(
                token,
                Amendment {
                    remove: turns,
                    ..Amendment::default()
                },
            );
        }
    }

    /// The time of the store, later than `last`; `None` without the store.
    pub(crate) fn now_after(&self, last: Option<StoreTime>) -> Option<StoreTime> {
        let link = self.inner.shared.link()?;
        Some(link.clock.at(Instant::now()).after(last))
    }

    /// Counts a request that starts at this time instead of at its turn.
    pub(crate) fn count(&self, token: TokenKey, start: StoreTime, turn: Option<StoreTime>) {
        self.amend(
            token,
            Amendment {
                remove: turn.into_iter().collect(),
                add: vec![start],
                ..Amendment::default()
            },
        );
    }

    fn amend(&self, token: TokenKey, amendment: Amendment) {
        let token = token.within(self.scope);
        self.inner.shared.amend(token, amendment);
    }
}

/// Connects to the store once, runs the scripts, and closes the connection.
///
/// # Errors
///
/// Why the store cannot be used.
pub async fn probe(options: &StoreOptions) -> Result<(), String> {
    let connection = Connection::open(&options.address).await?;
    Link::open(connection, options).await.map(drop)
}
