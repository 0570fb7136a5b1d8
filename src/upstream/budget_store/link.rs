//! One connection to the store, with the clock of its server.

use std::fmt;
use std::time::Duration;

use parking_lot::Mutex;
use redis::RedisResult;
use tokio::time::{Instant, timeout};

use super::StoreOptions;
use super::clock::{Clock, StoreTime, ticks};
use super::connection::Connection;
use super::reason::{Attempt, describe};
use super::script::{Amendment, record_name};
use crate::token_key::TokenKey;

/// How long a connection may be without a reply, while checks time out, before it is
/// given up: many checks may be slow at once by chance.
const MAX_SILENCE: Duration = Duration::from_millis(250);

/// How many times longer than for a call the first replies of a connection are
/// awaited: the server, or this process, may just have started.
const PATIENCE: u32 = 4;

/// The record that a new connection writes, to learn the clock and whether it may.
const PROBE: &str = "presence-gateway:{probe}";

/// One connection. Once given up, it is not used again.
pub(super) struct Link {
    connection: Connection,
    pub(super) clock: Clock,
    /// How long calls await a reply.
    limit: Duration,
    /// When the first check was sent of those that timed out since the last reply.
    unanswered: Mutex<Option<Instant>>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

impl Link {
    /// Tries each command of the scripts on a new connection.
    pub(super) async fn open(
        mut connection: Connection,
        options: &StoreOptions,
    ) -> Result<Self, String> {
        let limit = options.timeout;
        let now = within(PATIENCE * limit, options, time(&mut connection)).await?;
        let amendment = Amendment {
            known: vec![now],
            ..Amendment::default()
        };
        // By its source, which a server needs that has restarted.
        let writes = amendment.run_source(PROBE, &mut connection);
        within(PATIENCE * limit, options, writes).await?;
        let amendment = Amendment {
            remove: vec![now],
            ..Amendment::default()
        };
        let deletes = amendment.run(PROBE, &mut connection);
        let now = within(limit, options, deletes).await?;
        Ok(Self {
            connection,
            clock: Clock::new(now),
            limit,
            unanswered: Mutex::default(),
        })
    }

    /// A handle of the connection for one request.
    pub(super) fn connection(&self) -> Connection {
        self.connection.clone()
    }

    /// Corrects a token's record.
    pub(super) async fn amend(&self, token: TokenKey, amendment: &Amendment) -> RedisResult<()> {
        let (name, sent) = (record_name(token), Instant::now());
        let now = amendment.run(&name, &mut self.connection()).await?;
        self.record_reply(now, sent);
        Ok(())
    }

    /// Checks the connection, and sets the clock.
    pub(super) async fn heartbeat(&self) -> RedisResult<()> {
        let sent = Instant::now();
        let now = time(&mut self.connection()).await?;
        self.record_reply(now, sent);
        Ok(())
    }

    /// Records a reply to what was sent then. One that is later than calls await says
    /// neither that the connection is of use nor what the time is.
    pub(super) fn record_reply(&self, now: StoreTime, sent: Instant) {
        if sent.elapsed() <= self.limit {
            self.clock.set(now);
            *self.unanswered.lock() = None;
        }
    }

    /// Records that a check timed out; returns whether the connection is to be given up.
    pub(super) fn record_timeout(&self, sent: Instant) -> bool {
        let mut unanswered = self.unanswered.lock();
        unanswered.get_or_insert(sent).elapsed() > MAX_SILENCE
    }
}

/// The server's time.
async fn time(connection: &mut Connection) -> RedisResult<StoreTime> {
    let [seconds, microseconds]: [u64; 2] = connection.query(&redis::cmd("TIME")).await?;
    let now = Duration::from_secs(seconds) + Duration::from_micros(microseconds);
    Ok(StoreTime(ticks(now)))
}

/// Awaits a reply on a new connection.
async fn within<T>(
    limit: Duration,
    options: &StoreOptions,
    reply: impl Future<Output = RedisResult<T>>,
) -> Result<T, String> {
    let reply = timeout(limit, reply).await;
    let reply = reply.map_err(|_| no_response(options.timeout))?;
    reply.map_err(|error| describe(&error, &options.address, Attempt::Request))
}

/// Why a store is not used whose replies are later than calls await them.
pub(super) fn no_response(limit: Duration) -> String {
    format!("it does not respond within {limit:?} (--budget-store-timeout)")
}
