//! The flags of the shutdown.

use std::time::Duration;

use clap::Args;

use crate::args::{ConfigErrors, parse_duration};
use crate::server::ShutdownTimeouts;

/// The flags, as given. Their defaults stand in the texts, because they depend on the
/// signal: see [`Shutdown`].
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Shutdown")]
pub(super) struct ShutdownArgs {
    /// How long connections are still accepted after SIGTERM, while health reports the end
    /// [default: 5s]
    #[arg(long, value_name = "DURATION", env = "PRESENCE_GATEWAY_LAME_DUCK")]
    #[arg(hide_short_help = true)]
    lame_duck: Option<String>,

    /// How long calls in flight may take after that [default: 30s]
    #[arg(long, value_name = "DURATION", env = "PRESENCE_GATEWAY_DRAIN_TIMEOUT")]
    #[arg(hide_short_help = true)]
    drain_timeout: Option<String>,
}

/// How long the shutdown may take.
#[derive(Debug, Clone, Copy)]
pub struct Shutdown {
    /// After SIGTERM.
    pub terminated: ShutdownTimeouts,
    /// After SIGINT. Whoever tries the sandbox on a terminal and presses Ctrl-C wants
    /// it to end; nobody else depends on it.
    pub interrupted: ShutdownTimeouts,
}

impl ShutdownArgs {
    /// Parses the flags; `None` if one is wrong. `is_trial` is whether a person tries
    /// the sandbox on a terminal.
    pub(super) fn parse(&self, is_trial: bool, errors: &mut ConfigErrors) -> Option<Shutdown> {
        let mut parse = |flag, raw: Option<&str>, default: Duration| match raw {
            Some(raw) => {
                let given = errors.parse(flag, raw, parse_timeout)?;
                Some((given, given))
            }
            None if is_trial => Some((default, Duration::ZERO)),
            None => Some((default, default)),
        };
        let defaults = ShutdownTimeouts::default();
        let lame_duck = parse("lame-duck", self.lame_duck.as_deref(), defaults.lame_duck);
        let drain_timeout = parse(
            "drain-timeout",
            self.drain_timeout.as_deref(),
            defaults.drain_timeout,
        );
        let (lame_duck, drain_timeout) = (lame_duck?, drain_timeout?);
        Some(Shutdown {
            terminated: ShutdownTimeouts {
                lame_duck: lame_duck.0,
                drain_timeout: drain_timeout.0,
            },
            interrupted: ShutdownTimeouts {
                lame_duck: lame_duck.1,
                drain_timeout: drain_timeout.1,
            },
        })
    }
}

fn parse_timeout(raw: &str) -> Result<Duration, String> {
    let timeout = Some(parse_duration(raw)?).filter(|it| *it <= Duration::from_hours(1));
    timeout.ok_or_else(|| "is longer than 1h".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::limits::duration;

    #[test]
    fn the_help_has_the_defaults() {
        let command = ShutdownArgs::augment_args(clap::Command::new("defaults"));
        let defaults = ShutdownTimeouts::default();
        for (flag, default) in [
            ("lame_duck", defaults.lame_duck),
            ("drain_timeout", defaults.drain_timeout),
        ] {
            let mut arguments = command.get_arguments();
            let argument = arguments.find(|it| it.get_id() == flag).unwrap();
            let help = argument.get_help().unwrap().to_string();
            let default = format!("[default: {}]", duration(default));
            assert!(help.ends_with(&default), "{help}");
        }
    }
}
