//! The settings as flags and environment variables.

use clap::Args as _;
use presence_gateway_args::FromVariables;

/// The settings of the sandbox as text.
///
/// docs/sandbox.md gives the reason for each default.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[command(flatten)]
    from_variables: FromVariables,
    /// Number of users: `00000000-0000-4000-8000-000000000001` and so on
    #[arg(long, default_value = "100", env = "PRESENCE_GATEWAY_SANDBOX_USERS")]
    pub users: String,
    /// A user that was not seeded is `missing` or `found`
    #[arg(long, default_value = "missing")]
    #[arg(env = "PRESENCE_GATEWAY_SANDBOX_UNKNOWN_USERS")]
    pub unknown_users: String,
    /// An unknown user id that is no UUID is `missing`, or `refused` with a 400
    #[arg(long, default_value = "missing")]
    #[arg(env = "PRESENCE_GATEWAY_SANDBOX_MALFORMED_IDS")]
    pub malformed_ids: String,
    /// Unregistered presence sources are `accepted` or `refused`
    #[arg(long, default_value = "accepted")]
    #[arg(env = "PRESENCE_GATEWAY_SANDBOX_CUSTOM_SOURCES")]
    pub custom_sources: String,
    /// Requests in a period for each token; 0 lifts the limit
    #[arg(long, default_value = "300")]
    #[arg(env = "PRESENCE_GATEWAY_SANDBOX_RATE_LIMIT")]
    pub rate_limit: String,
    /// The length of that period, from 1s to 1h
    #[arg(long, default_value = "60s")]
    #[arg(env = "PRESENCE_GATEWAY_SANDBOX_RATE_PERIOD")]
    pub rate_period: String,
    /// Start of that period: `fixed`, at a token's first request, or `sliding`
    #[arg(long, default_value = "fixed")]
    #[arg(env = "PRESENCE_GATEWAY_SANDBOX_RATE_WINDOW")]
    pub rate_window: String,
    /// Order of a bulk response: `request`, `sorted` or `reversed`
    #[arg(long, default_value = "request")]
    #[arg(env = "PRESENCE_GATEWAY_SANDBOX_BULK_ORDER")]
    pub bulk_order: String,
    /// A user requested twice is returned `once` or `each` time
    #[arg(long, default_value = "once")]
    #[arg(env = "PRESENCE_GATEWAY_SANDBOX_BULK_DUPLICATES")]
    pub bulk_duplicates: String,
    /// Response to a bulk read without ids: `empty`, or `refused` with a 400
    #[arg(long, default_value = "empty")]
    #[arg(env = "PRESENCE_GATEWAY_SANDBOX_BULK_WITHOUT_IDS")]
    pub bulk_without_ids: String,
    /// One wrong update in a bulk write: `atomic` refuses all, `partial` leaves it out
    #[arg(long, default_value = "atomic")]
    #[arg(env = "PRESENCE_GATEWAY_SANDBOX_BULK_WRITE")]
    pub bulk_write: String,
    /// The most updates of one bulk write
    #[arg(long, default_value = "50")]
    #[arg(env = "PRESENCE_GATEWAY_SANDBOX_BULK_WRITE_LIMIT")]
    pub bulk_write_limit: String,
    /// A JSON null in a body is `absent`, `clear` or `refused`
    #[arg(long, default_value = "absent", env = "PRESENCE_GATEWAY_SANDBOX_NULLS")]
    pub nulls: String,
    /// A PATCH that changes nothing is `accepted` or `refused`
    #[arg(long, default_value = "accepted")]
    #[arg(env = "PRESENCE_GATEWAY_SANDBOX_EMPTY_PATCH")]
    pub empty_patch: String,
    /// Fields of a user's presence: `full` or those `captured` in 2022
    #[arg(long, default_value = "full")]
    #[arg(env = "PRESENCE_GATEWAY_SANDBOX_PRESENCE_FIELDS")]
    pub presence_fields: String,
    /// Default locale of labels, or `ALL`
    #[arg(long, default_value = "en_US")]
    #[arg(env = "PRESENCE_GATEWAY_SANDBOX_DEFAULT_LOCALE")]
    pub default_locale: String,
    /// Status of a created presence definition: `200` or `201`
    #[arg(long, default_value = "200")]
    #[arg(env = "PRESENCE_GATEWAY_SANDBOX_CREATED_STATUS")]
    pub created_status: String,
    /// Status of a repeated DELETE: `204` or `404`
    #[arg(long, default_value = "204")]
    #[arg(env = "PRESENCE_GATEWAY_SANDBOX_REPEATED_DELETE")]
    pub repeated_delete: String,
    /// Time between the heartbeats of a notification channel's WebSocket, from 10ms to 1h
    #[arg(long, default_value = "30s", hide_short_help = true)]
    #[arg(env = "PRESENCE_GATEWAY_SANDBOX_HEARTBEAT")]
    pub heartbeat: String,
    /// Topics of users that do not exist are `permitted` or `rejected`
    #[arg(long, default_value = "permitted")]
    #[arg(
        env = "PRESENCE_GATEWAY_SANDBOX_UNKNOWN_TOPICS",
        hide_short_help = true
    )]
    pub unknown_topics: String,
    /// Latency of every response, up to 1h
    #[arg(long, default_value = "0s", env = "PRESENCE_GATEWAY_SANDBOX_LATENCY")]
    pub latency: String,
    /// Host names of the control endpoints, separated by commas: `a.example.com`, or
    /// `.example.com` for all below
    #[arg(long, default_value = ".localhost")]
    #[arg(env = "PRESENCE_GATEWAY_SANDBOX_ALLOWED_HOSTS", hide_short_help = true)]
    pub allowed_hosts: String,
}

impl Args {
    /// What gave this setting its value, for errors: the flag or its variable.
    pub(super) fn given_as(&self, flag: &str) -> String {
        let is_it = |known: &Flag| known.name == flag;
        let from_variable = self.from_variables.contains(&flag.replace('-', "_"));
        match flags().into_iter().find(is_it) {
            Some(Flag { variable, .. }) if from_variable => variable,
            _ => format!("--{flag}"),
        }
    }
}

/// The documentation of one flag.
#[derive(Debug)]
pub(crate) struct Flag {
    pub(crate) name: String,
    pub(crate) default: String,
    pub(crate) variable: String,
    pub(crate) help: String,
}

/// All flags, for the control page.
pub(crate) fn flags() -> Vec<Flag> {
    let command = Args::augment_args(clap::Command::new("sandbox"));
    let flag = |arg: &clap::Arg| {
        Some(Flag {
            name: arg.get_long()?.to_owned(),
            default: arg.get_default_values().first()?.to_str()?.to_owned(),
            variable: arg.get_env()?.to_str()?.to_owned(),
            help: arg.get_help()?.to_string(),
        })
    };
    command.get_arguments().filter_map(flag).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_is_listed_with_its_variable_and_its_help() {
        let flags = flags();
        let command = Args::augment_args(clap::Command::new("sandbox"));
        assert_eq!(flags.len(), command.get_arguments().count());
        for Flag {
            name,
            variable,
            help,
            ..
        } in flags
        {
            let shouted = name.replace('-', "_").to_ascii_uppercase();
            assert_eq!(variable, format!("PRESENCE_GATEWAY_SANDBOX_{shouted}"));
            assert!(!help.is_empty(), "{name}");
        }
    }

    #[test]
    fn no_variable_of_a_flag_collides_with_those_that_kubernetes_injects() {
        for Flag { name, .. } in flags() {
            for prefix in ["port", "host", "service"] {
                assert!(!name.starts_with(prefix), "{name}");
            }
        }
    }
}
