//! A deadline that passed: whose it was, and what the call waited for.

use std::fmt;
use std::time::Duration;

/// A deadline that passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expired {
    /// Where the deadline came from.
    pub limit: TimeLimit,
    /// What the call waited for.
    pub waiting: Waiting,
}

/// Where a deadline came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeLimit {
    /// The caller set it.
    Caller(Duration),
    /// The caller set none.
    Default(Duration),
    /// The caller set a later one.
    Max(Duration),
    /// The gateway shuts down.
    Drain,
}

/// What a call waited for when its deadline passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// It had sent nothing: its message arrived late, or the gateway was busy.
    Nothing,
    /// The token's rate limit.
    RateLimit,
    /// A connection for this attempt.
    Connection(u32),
    /// The response to this attempt.
    Response(u32),
    /// The results of a stream, of which some may have been delivered.
    Results,
}

impl fmt::Display for Expired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, waiting } = self;
        match waiting {
            Waiting::Nothing => write!(f, "{limit} passed before the gateway sent a request"),
            Waiting::RateLimit => {
                write!(f, "{limit} passed while the token's rate limit delayed it")
            }
            Waiting::Connection(attempt) => write!(
                f,
                "{limit} passed while the gateway connected to the presence API (attempt {attempt})"
            ),
            Waiting::Response(attempt) => write!(
                f,
                "{limit} passed while the gateway waited for the response of the presence API \
                 (attempt {attempt})"
            ),
            Waiting::Results => write!(f, "{limit} passed before the stream had ended"),
        }
    }
}

impl fmt::Display for TimeLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Caller(limit) => write!(f, "the caller's deadline of {}", shown(*limit)),
            Self::Default(limit) => write!(
                f,
                "the default deadline of {} (the caller set none; --default-deadline)",
                shown(*limit)
            ),
            Self::Max(limit) => write!(
                f,
                "the longest deadline of {} (the caller set a later one; --max-deadline)",
                shown(*limit)
            ),
            Self::Drain => f.write_str(
                "the deadline, which the shutdown of the gateway cut short (--drain-timeout),",
            ),
        }
    }
}

/// A time in whole milliseconds, or in seconds with one digit of a fraction.
pub(super) fn shown(time: Duration) -> String {
    match time.as_millis() {
        millis @ 0..1000 => format!("{millis} ms"),
        _ => format!("{:.1} s", time.as_secs_f64()),
    }
}
