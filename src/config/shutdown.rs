//! The flags of the shutdown.

use std::time::Duration;

use clap::Args;

use super::limits::duration;
use crate::args::{ConfigErrors, parse_duration};
use crate::server::ShutdownTimeouts;

/// The flags, as given.
#[derive(Debug, Clone, Args)]
pub(super) struct ShutdownArgs {
    /// How long connections are still accepted after SIGTERM, while health reports the end
    #[arg(long, value_name = "DURATION", env = "PRESENCE_GATEWAY_LAME_DUCK")]
    #[arg(default_value_t = duration(ShutdownTimeouts::default().lame_duck))]
    lame_duck: String,

    /// How long calls in flight may take after that
    #[arg(long, value_name = "DURATION", env = "PRESENCE_GATEWAY_DRAIN_TIMEOUT")]
    #[arg(default_value_t = duration(ShutdownTimeouts::default().drain_timeout))]
    drain_timeout: String,
}

impl ShutdownArgs {
    /// Parses the flags; `None` if one is wrong.
    pub(super) fn parse(&self, errors: &mut ConfigErrors) -> Option<ShutdownTimeouts> {
        let lame_duck = errors.parse("lame-duck", &self.lame_duck, parse_timeout);
        let drain_timeout = errors.parse("drain-timeout", &self.drain_timeout, parse_timeout);
        Some(ShutdownTimeouts {
            lame_duck: lame_duck?,
            drain_timeout: drain_timeout?,
        })
    }
}

fn parse_timeout(raw: &str) -> Result<Duration, String> {
    let timeout = parse_duration(raw)?;
    if timeout <= Duration::from_hours(1) {
        Ok(timeout)
    } else {
        Err("is longer than 1h".to_owned())
    }
}
