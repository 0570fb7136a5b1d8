//! The scripts that run in the store, and their replies.

use std::sync::LazyLock;
use std::time::Duration;

use redis::{Cmd, ErrorKind, RedisError, RedisResult, ServerErrorKind};
use ring::digest;
use tokio::time::Instant;

use super::Turn;
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
                self.run_source(connection, arguments).await
            }
            reply => reply,
        }
    }

    /// Runs the script by its source, whether or not the server has it.
    async fn run_source(
        &self,
        connection: &mut Connection,
        arguments: &(impl Fn(&mut Cmd) + Sync),
    ) -> RedisResult<Vec<i64>> {
        let mut command = redis::cmd("EVAL");
        arguments(command.arg(self.source));
        connection.query(&command).await
    }
}

static TAKE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(
        include_str!("record.lua"),
        include_str!("take.lua")
    ))
});
static CONFIRM: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(
        include_str!("record.lua"),
        include_str!("confirm.lua")
    ))
});
static AMEND: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(
        include_str!("record.lua"),
        include_str!("amend.lua")
    ))
});

/// The name of a token's record. The braces are the hash tag of a cluster.
pub(super) fn record_name(token: TokenKey) -> String {
    format!("presence-gateway:{{{token:x}}}")
}

/// A check of a token.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    pub(super) limit: usize,
    pub(super) expiry: StoreTime,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// Takes this number of turns, or none if the last is later than this time.
    Take(usize, StoreTime),
    /// Confirms the turn of a request that has waited for it; without one, takes one.
    Confirm(Option<StoreTime>),
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
    /// When each request may start.
    Taken(Vec<Turn>),
}

impl Request {
    pub(super) async fn run(self, record: &str, connection: &mut Connection) -> RedisResult<Reply> {
        let sent = Instant::now();
        let script = match self.kind {
            Kind::Take(..) => &TAKE,
            Kind::Confirm(_) => &CONFIRM,
        };
        let reply = script
            .run(connection, &|command| {
                command.arg(1).arg(record).arg(self.limit);
                command.arg(ticks(WINDOW)).arg(self.expiry.0);
                match self.kind {
                    Kind::Take(count, latest) => command.arg(latest.0).arg(count),
                    Kind::Confirm(Some(turn)) => command.arg(turn.0),
                    Kind::Confirm(None) => command.arg(-1),
                };
            })
            .await?;
        let arrived = Instant::now();
        let [status, now, throttle, starts @ ..] = &reply[..] else {
            return Err(unreadable());
        };
        let now = time(*now)?;
        let wanted = match self.kind {
            Kind::Take(count, _) => count,
            Kind::Confirm(_) => 1,
        };
        let outcome = match (status, starts) {
            (0, _) => Outcome::Expired,
            (1, [delay]) => Outcome::TooLate(duration(time(*delay)?.0)),
            (2, starts) if starts.len() == wanted => {
                let turn = |&start: &i64| {
                    let stored = now.0.checked_add_signed(start).ok_or_else(unreadable)?;
                    // A confirmed turn may have passed.
                    let delay = duration(start.max(0).unsigned_abs());
                    Ok(Turn {
                        start: arrived + delay,
                        counted: sent + delay,
                        stored: Some(StoreTime(stored)),
                    })
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
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Amendment {
    /// Until when the token is throttled, if it is.
    pub(crate) throttle: Option<StoreTime>,
    /// Starts of requests that are not sent.
    pub(crate) remove: Vec<StoreTime>,
    /// Starts that the store may have.
    pub(crate) known: Vec<StoreTime>,
    /// Starts that the store does not have. One that it has is another request's.
    pub(crate) add: Vec<StoreTime>,
}

impl Amendment {
    /// Whether it corrects nothing.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Makes one amendment of two.
    pub(super) fn merge(&mut self, other: Self) {
        self.throttle = self.throttle.max(other.throttle);
        self.remove.extend(other.remove);
        self.known.extend(other.known);
        self.add.extend(other.add);
    }

    pub(super) async fn run(
        &self,
        record: &str,
        connection: &mut Connection,
    ) -> RedisResult<StoreTime> {
        let arguments = |command: &mut Cmd| self.add_to(command, record);
        server_time(&AMEND.run(connection, &arguments).await?)
    }

    /// The same, by the script's source.
    pub(super) async fn run_source(
        &self,
        record: &str,
        connection: &mut Connection,
    ) -> RedisResult<StoreTime> {
        let arguments = |command: &mut Cmd| self.add_to(command, record);
        server_time(&AMEND.run_source(connection, &arguments).await?)
    }

    fn add_to(&self, command: &mut Cmd, record: &str) {
        let throttle = self.throttle.map_or(0, |until| until.0);
        command.arg(1).arg(record).arg(ticks(WINDOW)).arg(throttle);
        command.arg(self.remove.len()).arg(self.known.len());
        for start in self.remove.iter().chain(&self.known).chain(&self.add) {
            command.arg(start.0);
        }
    }
}

/// The server's time, of a reply that has no more.
fn server_time(reply: &[i64]) -> RedisResult<StoreTime> {
    reply
        .first()
        .map_or_else(|| Err(unreadable()), |&now| time(now))
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
