//! Variables that look like a setting, and are none.
//!
//! A name that no setting has never stops the start: Kubernetes adds variables for
//! each Service of a namespace, and so for one that is called `presence-gateway`. But
//! a misspelt setting has no effect, which an operator should learn.

use std::collections::BTreeSet;
use std::fmt;

use clap::{Command, CommandFactory};

use super::command_line::CommandLine;

/// What the names of all settings begin with.
const PREFIX: &str = "PRESENCE_GATEWAY_";

/// A variable that is no setting, and the one that is most like it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misspelt {
    variable: String,
    similar: String,
}

impl fmt::Display for Misspelt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { variable, similar } = self;
        write!(
            f,
            "{variable} is no setting, and is ignored; a similar one is {similar}"
        )
    }
}

impl Misspelt {
    pub(super) fn log(&self) {
        tracing::warn!(
            variable = %self.variable,
            similar = %self.similar,
            "a variable that is no setting is ignored; it looks like a misspelt one"
        );
    }
}

/// The misspelt settings in the environment of the process.
pub(super) fn in_environment() -> Vec<Misspelt> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    find(names, &settings())
}

/// Those of one command alone: a client need not warn of the settings of a server.
pub(super) fn of_command(name: &str) -> Vec<Misspelt> {
    let mut misspelt = in_environment();
    let command = CommandLine::command();
    let settings = command.find_subcommand(name).map(variables);
    let settings = settings.unwrap_or_default();
    misspelt.retain(|it| settings.contains(&it.similar));
    misspelt
}

/// The variables of all commands.
fn settings() -> BTreeSet<String> {
    let command = CommandLine::command();
    command.get_subcommands().flat_map(variables).collect()
}

/// The variables of a command.
fn variables(command: &Command) -> BTreeSet<String> {
    let arguments = command.get_arguments();
    let names = arguments.filter_map(|argument| argument.get_env()?.to_str());
    names.map(str::to_owned).collect()
}

fn find(names: impl Iterator<Item = String>, settings: &BTreeSet<String>) -> Vec<Misspelt> {
    let mut misspelt: Vec<Misspelt> = names
        .filter(|name| !settings.contains(name) && !is_injected(name))
        .filter_map(|variable| {
            let similar = settings.iter().filter_map(|setting| {
                let distance = distance(&variable, setting)?;
                Some((distance, setting))
            });
            let (_, similar) = similar.min()?;
            let similar = similar.clone();
            Some(Misspelt { variable, similar })
        })
        .collect();
    misspelt.sort_by(|one, other| one.variable.cmp(&other.variable));
    misspelt
}

/// How many letters a name differs from that of a setting; `None` if it is another
/// name. A word more at the end counts as any number of letters: `…_TLS_CERT_FILE`.
fn distance(name: &str, setting: &str) -> Option<usize> {
    let letters = |name: &str| name.replace(['_', '-'], "").to_ascii_uppercase();
    let (written, meant) = (letters(name), letters(setting));
    let own_letters = meant.len().saturating_sub(letters(PREFIX).len());
    let tolerance = (own_letters / 4).clamp(1, 3);
    if written.len().abs_diff(meant.len()) <= tolerance {
        let distance = strsim::osa_distance(&written, &meant);
        return (distance <= tolerance).then_some(distance);
    }
    let word = name.strip_prefix(setting)?.strip_prefix('_')?;
    // What follows may be the name of another group of settings.
    let is_group = setting == "PRESENCE_GATEWAY_SANDBOX";
    (!word.is_empty() && !word.contains('_') && !is_group).then_some(word.len())
}

/// Whether Kubernetes adds such a variable for a Service.
fn is_injected(name: &str) -> bool {
    let is_address = |rest: &str| {
        let mut words = rest.split('_');
        let is_number = |word: &str| !word.is_empty() && word.bytes().all(|it| it.is_ascii_digit());
        words.next().is_some_and(is_number)
            && matches!(words.next(), Some("TCP" | "UDP" | "SCTP"))
            && matches!(words.next(), None | Some("PROTO" | "PORT" | "ADDR"))
            && words.next().is_none()
    };
    let mut addresses = name
        .match_indices("_PORT_")
        .map(|(at, part)| &name[at + part.len()..]);
    name.ends_with("_PORT")
        || name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT_")
        || addresses.any(is_address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn similar(name: &str) -> Option<String> {
        let found = find([name.to_owned()].into_iter(), &settings());
        found.into_iter().next().map(|it| it.similar)
    }

    #[test]
    fn a_misspelt_setting_is_found_with_the_one_that_was_meant() {
        for (written, meant) in [
            (
                "PRESENCE_GATEWAY_MAX_INFLIGHT",
                "PRESENCE_GATEWAY_MAX_IN_FLIGHT",
            ),
            (
                "PRESENCE_GATEWAY_MAX_IN_FIGHT",
                "PRESENCE_GATEWAY_MAX_IN_FLIGHT",
            ),
            ("PRESENCE_GATEWAY_REGIONS", "PRESENCE_GATEWAY_REGION"),
            (
                "PRESENCE_GATEWAY_DRAIN_TIME_OUT",
                "PRESENCE_GATEWAY_DRAIN_TIMEOUT",
            ),
            (
                "PRESENCE_GATEWAY_TLS_CERT_FILE",
                "PRESENCE_GATEWAY_TLS_CERT",
            ),
            ("PRESENCE_GATEWAY_LISTEN_ADDRESS", "PRESENCE_GATEWAY_LISTEN"),
            (
                "PRESENCE_GATEWAY_SHARE-READS",
                "PRESENCE_GATEWAY_SHARE_READS",
            ),
            ("PRESENCEGATEWAY_REGION", "PRESENCE_GATEWAY_REGION"),
            ("PRESENCE_GATEWY_REGION", "PRESENCE_GATEWAY_REGION"),
            ("presence_gateway_region", "PRESENCE_GATEWAY_REGION"),
            ("PRESENCE_GATEWAY_TOKENS", "PRESENCE_GATEWAY_TOKEN"),
        ] {
            assert_eq!(similar(written).as_deref(), Some(meant), "{written}");
        }
        #[cfg(feature = "sandbox")]
        assert_eq!(
            similar("PRESENCE_GATEWAY_SANDBOX_USER").as_deref(),
            Some("PRESENCE_GATEWAY_SANDBOX_USERS")
        );
    }

    #[test]
    fn variables_of_others_are_not_taken_for_settings() {
        for name in [
            "PATH",
            "RUST_LOG",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "PRESENCE_GATEWAY_BIN",
            "PRESENCE_GATEWAY_IMAGE",
            "PRESENCE_GATEWAY_VERSION",
            "PRESENCE_GATEWAY_SANDBOX_IMAGE",
            "PRESENCE_SERVICE_REGION",
            "MY_REGION",
        ] {
            assert_eq!(similar(name), None, "{name}");
        }
    }

    #[test]
    fn what_kubernetes_adds_for_a_service_is_not_taken_for_a_setting() {
        for service in [
            "",
            "LISTEN_",
            "SANDBOX_",
            "REGION_",
            "SANDBOX_USERS_",
            "METRICS_LISTEN_",
        ] {
            for name in [
                "SERVICE_HOST",
                "SERVICE_PORT",
                "SERVICE_PORT_GRPC",
                "SERVICE_PORT_HTTP_METRICS",
                "PORT",
                "PORT_50051_TCP",
                "PORT_50051_TCP_PROTO",
                "PORT_50051_TCP_PORT",
                "PORT_50051_TCP_ADDR",
                "PORT_53_UDP_ADDR",
            ] {
                let name = format!("{PREFIX}{service}{name}");
                assert_eq!(similar(&name), None, "{name}");
            }
        }
    }

    #[test]
    fn no_setting_has_a_name_that_kubernetes_may_add() {
        let settings = settings();
        let injected: Vec<_> = settings.iter().filter(|name| is_injected(name)).collect();
        assert_eq!(injected, Vec::<&String>::new());
    }
}
