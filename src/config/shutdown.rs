//! The flags of the end.

use std::time::Duration;

use clap::Args;

use crate::args::{ConfigErrors, parse_duration};
use crate::server::ShutdownTimeouts;

/// The flags of the end, as they are given.
#[derive(Debug, Clone, Args)]
pub(super) struct ShutdownArgs {
    /// How long connections are still accepted after SIGTERM, while callers learn of the end
    #[arg(long, value_name = "DURATION", env = "PRESENCE_GATEWAY_LAME_DUCK")]
    #[arg(default_value = "5s")]
    lame_duck: String,

    /// How long calls in flight have after that
    #[arg(long, value_name = "DURATION", env = "PRESENCE_GATEWAY_DRAIN_TIMEOUT")]
    #[arg(default_value = "30s")]
    drain_timeout: String,
}

impl ShutdownArgs {
    pub(super) fn read(&self, problems: &mut ConfigErrors) -> Option<ShutdownTimeouts> {
        let lame_duck = problems.parse("lame-duck", &self.lame_duck, pause);
        let drain_timeout = problems.parse("drain-timeout", &self.drain_timeout, pause);
        Some(ShutdownTimeouts {
            lame_duck: lame_duck?,
            drain_timeout: drain_timeout?,
        })
    }
}

/// Reads a pause, which may be none.
fn pause(raw: &str) -> Result<Duration, String> {
    let pause = parse_duration(raw)?;
    if pause <= Duration::from_hours(1) {
        Ok(pause)
    } else {
        Err("is longer than 1h".to_owned())
    }
}
