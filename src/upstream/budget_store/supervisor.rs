//! Keeps the connection to the store: opens it, and opens another when it is lost.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::Starts;
use super::connection::Connection;
use super::link::Link;
use super::shared::Shared;

/// The backoff after the first failed attempt, and the longest, before jitter.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(2);

/// A connection that lasted so long ends the backoff. One that is lost sooner, again
/// and again, is one of a server that is too slow.
const STABLE: Duration = Duration::from_secs(10);

/// How long after the last line of the log an outage of another reason has one more.
const REPORT_AGAIN: Duration = Duration::from_secs(30);

/// How often the connection is checked, so that an idle one is replaced before a call
/// needs it.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// The tokens whose counts are sent at once after a connect.
pub(super) const CONCURRENT_AMENDMENTS: usize = 64;

/// The task that keeps the connection; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Supervisor(JoinHandle<()>);

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Supervisor {
    pub(super) fn spawn(shared: Arc<Shared>, attempted: watch::Sender<bool>) -> Self {
        #[expect(clippy::disallowed_methods, reason = "ends when this is dropped")]
        Self(tokio::spawn(supervise(shared, attempted)))
    }
}

/// The latest line of the log about an outage.
struct Report {
    reason: String,
    logged: Instant,
}

impl Report {
    /// Whether the outage has another reason by now: after its restart, a store may
    /// require another password.
    fn is_outdated(&self, reason: &str) -> bool {
        self.reason != reason && self.logged.elapsed() > REPORT_AGAIN
    }
}

async fn supervise(shared: Arc<Shared>, attempted: watch::Sender<bool>) {
    let address = &shared.options.address;
    let (mut failures, mut report) = (0_u32, None::<Report>);
    loop {
        match connect(&shared).await {
            Ok(link) => {
                *shared.link.write() = Some(Arc::clone(&link));
                attempted.send_replace(true);
                tracing::info!(
                    store = %address,
                    "the budget store is reachable: replicas share each token's requests"
                );
                report = None;
                // What was counted alone while the first were sent.
                let counted_alone = shared.starts(&link, false);
                if let Err(error) = send(&link, counted_alone).await {
                    shared.give_up(&link, shared.describe(&error));
                }
                let connected = Instant::now();
                watch(&shared, &link).await;
                if connected.elapsed() > STABLE {
                    failures = 0;
                }
            }
            Err(reason) => {
                *shared.reason.lock() = reason;
                attempted.send_replace(true);
            }
        }
        let reason = shared.reason.lock().clone();
        if report.as_ref().is_none_or(|last| last.is_outdated(&reason)) {
            tracing::warn!(
                store = %address, reason,
                "the budget store cannot be used: each replica limits the requests alone"
            );
            report = Some(Report {
                reason,
                logged: Instant::now(),
            });
        }
        let backoff = FIRST_BACKOFF * 2_u32.pow(failures.min(5));
        failures += 1;
        // Full jitter in the upper half, so that replicas do not return at once.
        sleep(
            backoff
                .min(MAX_BACKOFF)
                .mul_f64(fastrand::f64().mul_add(0.5, 0.5)),
        )
        .await;
    }
}

/// Opens a connection, and sends what this replica has counted.
async fn connect(shared: &Shared) -> Result<Arc<Link>, String> {
    let connection = Connection::open(&shared.options.address).await?;
    let link = Arc::new(Link::open(connection, &shared.options).await?);
    let sent = send(&link, shared.starts(&link, true)).await;
    sent.map_err(|error| shared.describe(&error))?;
    Ok(link)
}

/// Checks an idle connection, until it is lost.
async fn watch(shared: &Shared, link: &Arc<Link>) {
    loop {
        let lost = timeout(HEARTBEAT, shared.lost.notified());
        if lost.await.is_ok() {
            return;
        }
        let sent = Instant::now();
        match timeout(shared.options.timeout, link.heartbeat()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => shared.give_up(link, shared.describe(&error)),
            Err(_) if link.record_timeout(sent) => {
                shared.give_up(link, shared.no_response());
            }
            Err(_) => {}
        }
    }
}

async fn send(link: &Link, starts: Starts) -> redis::RedisResult<()> {
    let mut sent = stream::iter(starts)
        .map(|(token, amendment)| async move { link.amend(token, &amendment).await })
        .buffer_unordered(CONCURRENT_AMENDMENTS);
    while let Some(result) = sent.next().await {
        result?;
    }
    Ok(())
}
