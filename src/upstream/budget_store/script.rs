//! The scripts that run in the store, and their replies.

use std::sync::LazyLock;
use std::time::Duration;

use redis::{Cmd, ErrorKind, RedisError, RedisResult, ServerErrorKind};
use ring::digest;
use tokio::time::Instant;

use super::clock::{StoreTime, duration, ticks};
use super::connection::Connection;
use crate::token_key::TokenKey;
use crate::upstream::rate_limit::limits::WINDOW;

/// A script, and the hash by which the server finds it.
#[derive(Debug)]
struct Script {
    source: &'static str,
    hash: String,
}

impl Script {
    fn new(source: &'static str) -> Self {
        let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, source.as_bytes());
        let hash = hash
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Self { source, hash }
    }

    /// Runs the script, and sends its source if the server does not have it: after
    /// a start or a failover.
    async fn run(
        &self,
        connection: &mut Connection,
        arguments: &(impl Fn(&mut Cmd) + Sync),
    ) -> RedisResult<Vec<i64>> {
        let mut command = redis::cmd("EVALSHA");
        arguments(command.arg(&self.hash));
        match connection.query(&command).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                let mut command = redis::cmd("EVAL");
                arguments(command.arg(self.source));
                connection.query(&command).await
            }
            reply => reply,
        }
    }
}

static TAKE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("take.lua")));
static AMEND: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("amend.lua")));

/// The name of a token's record. The braces are the hash tag of a cluster.
pub(super) fn record_name(token: TokenKey) -> String {
    format!("presence-gateway:{{{token:x}}}")
}

/// The request for turns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Take {
    pub(super) limit: usize,
    pub(super) expiry: StoreTime,
    pub(super) latest: StoreTime,
    pub(super) count: usize,
}

/// The reply to it.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) now: StoreTime,
    /// How long the token is throttled.
    pub(super) throttle: Duration,
    pub(super) outcome: Outcome,
}

#[derive(Debug)]
pub(super) enum Outcome {
    /// The check arrived too late to be of use, by the server's clock.
    Expired,
    /// The last request could start after this delay, which is too late.
    TooLate(Duration),
    /// When each request may start: by the server's clock, and by ours.
    Taken(Vec<(StoreTime, Instant)>),
}

impl Take {
    pub(super) async fn run(self, record: &str, connection: &mut Connection) -> RedisResult<Reply> {
        let reply = TAKE
            .run(connection, &|command| {
                command
                    .arg(1)
                    .arg(record)
                    .arg(self.limit)
                    .arg(ticks(WINDOW));
                command
                    .arg(self.expiry.0)
                    .arg(self.latest.0)
                    .arg(self.count);
            })
            .await?;
        let arrived = Instant::now();
        let [status, now, throttle, starts @ ..] = &reply[..] else {
            return Err(unreadable());
        };
        let now = time(*now)?;
        let outcome = match (status, starts) {
            (0, _) => Outcome::Expired,
            (1, [delay]) => Outcome::TooLate(duration(time(*delay)?.0)),
            (2, starts) if starts.len() == self.count => {
                let turn = |&start| {
                    let start = time(start)?.0;
                    Ok((StoreTime(now.0 + start), arrived + duration(start)))
                };
                Outcome::Taken(starts.iter().map(turn).collect::<RedisResult<_>>()?)
            }
            _ => return Err(unreadable()),
        };
        let throttle = duration(time(*throttle)?.0);
        Ok(Reply {
            now,
            throttle,
            outcome,
        })
    }
}

/// A correction of a token's record.
#[derive(Debug, Default)]
pub(super) struct Amendment {
    pub(super) throttle: Duration,
    pub(super) remove: Vec<StoreTime>,
    pub(super) add: Vec<StoreTime>,
}

impl Amendment {
    pub(super) async fn run(
        &self,
        record: &str,
        connection: &mut Connection,
    ) -> RedisResult<StoreTime> {
        let reply = AMEND
            .run(connection, &|command| {
                command
                    .arg(1)
                    .arg(record)
                    .arg(ticks(WINDOW))
                    .arg(ticks(self.throttle));
                command.arg(self.remove.len());
                for start in self.remove.iter().chain(&self.add) {
                    command.arg(start.0);
                }
            })
            .await?;
        reply
            .first()
            .map_or_else(|| Err(unreadable()), |&now| time(now))
    }
}

fn time(number: i64) -> RedisResult<StoreTime> {
    number.try_into().map(StoreTime).map_err(|_| unreadable())
}

fn unreadable() -> RedisError {
    (
        ErrorKind::UnexpectedReturnType,
        "the reply is not that of the gateway's script",
    )
        .into()
}
