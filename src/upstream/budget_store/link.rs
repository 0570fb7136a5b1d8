//! One connection to the store, with the clock of its server.

use std::fmt;
use std::time::Duration;

use parking_lot::Mutex;
use redis::RedisResult;
use tokio::time::{Instant, timeout};

use super::NO_RESPONSE;
use super::clock::{self, Clock, StoreTime, ticks};
use super::connection::{Connection, describe};
use super::script::{Amendment, record_name};
use crate::token_key::TokenKey;

/// How long a connection may be without a reply, while checks time out, before it is
/// given up: many checks may be slow at once by chance.
const MAX_SILENCE: Duration = Duration::from_millis(250);

/// The record that a new connection writes, to learn the clock and whether it may.
const PROBE: &str = "presence-gateway:{probe}";

/// One connection. Once given up, it is not used again.
pub(super) struct Link {
    connection: Connection,
    pub(super) clock: Clock,
    /// When the first check was sent of those that timed out since the last reply.
    unanswered: Mutex<Option<Instant>>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

impl Link {
    /// Tries each command of the scripts on a new connection. `limit` is for one reply.
    pub(super) async fn open(mut connection: Connection, limit: Duration) -> Result<Self, String> {
        // Ends with the next tick, so that the second deletes what the first has written.
        let writes = Amendment {
            throttle: clock::duration(1),
            ..Amendment::default()
        };
        let mut now = StoreTime(0);
        // The first is slower, because it sends the script's source.
        for (probe, limit) in [(writes, 2 * limit), (Amendment::default(), limit)] {
            let reply = timeout(limit, probe.run(PROBE, &mut connection)).await;
            now = reply
                .map_err(|_| NO_RESPONSE.to_owned())?
                .map_err(|error| describe(&error))?;
        }
        Ok(Self {
            connection,
            clock: Clock::new(now),
            unanswered: Mutex::default(),
        })
    }

    /// A handle of the connection for one request.
    pub(super) fn connection(&self) -> Connection {
        self.connection.clone()
    }

    /// Corrects a token's record.
    pub(super) async fn amend(&self, token: TokenKey, amendment: &Amendment) -> RedisResult<()> {
        let name = record_name(token);
        let now: StoreTime = amendment.run(&name, &mut self.connection()).await?;
        self.clock.set(now);
        Ok(())
    }

    /// Checks the connection, and sets the clock.
    pub(super) async fn heartbeat(&self) -> RedisResult<()> {
        let [seconds, microseconds]: [u64; 2] =
            self.connection().query(&redis::cmd("TIME")).await?;
        let now = Duration::from_secs(seconds) + Duration::from_micros(microseconds);
        self.record_reply(StoreTime(ticks(now)));
        Ok(())
    }

    /// Records a reply, in time or late.
    pub(super) fn record_reply(&self, now: StoreTime) {
        self.clock.set(now);
        *self.unanswered.lock() = None;
    }

    /// Records that a check timed out; returns whether the connection is to be given up.
    pub(super) fn record_timeout(&self, sent: Instant) -> bool {
        let mut unanswered = self.unanswered.lock();
        unanswered.get_or_insert(sent).elapsed() > MAX_SILENCE
    }
}
