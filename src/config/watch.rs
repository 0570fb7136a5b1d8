//! The settings of watches.

use std::time::Duration;

use clap::Args;

use super::limits::duration;
use crate::args::{ConfigErrors, parse_duration, parse_number};
use crate::server::CallLimits;
use crate::watch::{WatchLimits, WatchMode};

/// The flags, as given.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Watches")]
pub(super) struct WatchArgs {
    /// Maximum number of open watches; more are rejected; 0 turns watches off
    #[arg(long, value_name = "COUNT", env = "PRESENCE_GATEWAY_MAX_WATCHES")]
    #[arg(default_value_t = CallLimits::default().max_watches.to_string())]
    #[arg(hide_short_help = true)]
    max_watches: String,

    /// How watches learn of changes: auto, by the vendor's notifications; poll, by reads alone
    #[arg(long, value_name = "MODE", env = "PRESENCE_GATEWAY_WATCH_MODE")]
    #[arg(default_value = "auto", hide_short_help = true)]
    watch_mode: String,

    /// Maximum number of the vendor's notification channels for one token, each of 1000 users
    #[arg(long, value_name = "COUNT", env = "PRESENCE_GATEWAY_WATCH_CHANNELS")]
    #[arg(default_value_t = WatchLimits::default().channels.to_string())]
    #[arg(hide_short_help = true)]
    watch_channels: String,

    /// How often users without notifications are read
    #[arg(long, value_name = "DURATION")]
    #[arg(env = "PRESENCE_GATEWAY_WATCH_POLL_INTERVAL")]
    #[arg(default_value_t = duration(WatchLimits::default().poll_interval))]
    #[arg(hide_short_help = true)]
    watch_poll_interval: String,

    /// After how much silence a watch repeats its state
    #[arg(
        long,
        value_name = "DURATION",
        env = "PRESENCE_GATEWAY_WATCH_HEARTBEAT"
    )]
    #[arg(default_value_t = duration(WatchLimits::default().heartbeat))]
    #[arg(hide_short_help = true)]
    watch_heartbeat: String,
}

impl WatchArgs {
    /// Parses the flags; `None` if one is wrong. The first number is how many watches may
    /// be open. One read may take `max_read`.
    pub(super) fn parse(
        &self,
        max_read: Option<Duration>,
        errors: &mut ConfigErrors,
    ) -> Option<(usize, WatchLimits)> {
        let max_watches = errors.parse(
            "max-watches",
            &self.max_watches,
            parse_number(0..=1_000_000),
        );
        let mode = errors.parse("watch-mode", &self.watch_mode, parse_mode);
        let channels = errors.parse("watch-channels", &self.watch_channels, parse_number(1..=20));
        let poll_interval = errors.parse(
            "watch-poll-interval",
            &self.watch_poll_interval,
            parse_interval,
        );
        let heartbeat = errors.parse("watch-heartbeat", &self.watch_heartbeat, parse_interval);
        let limits = WatchLimits {
            mode: mode?,
            channels: channels?,
            poll_interval: poll_interval?,
            heartbeat: heartbeat?,
            max_read: max_read?,
            ..WatchLimits::default()
        };
        Some((max_watches?, limits))
    }
}

fn parse_mode(raw: &str) -> Result<WatchMode, String> {
    match raw {
        "auto" => Ok(WatchMode::Auto),
        "poll" => Ok(WatchMode::Poll),
        _ => Err("is not `auto` or `poll`".to_owned()),
    }
}

fn parse_interval(raw: &str) -> Result<Duration, String> {
    let interval = Some(parse_duration(raw)?);
    let interval = interval.filter(|it| (1..=3600).contains(&it.as_secs()));
    interval.ok_or_else(|| "is not between 1s and 1h".to_owned())
}
