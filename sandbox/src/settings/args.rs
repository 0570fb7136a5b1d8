//! The settings as flags and environment variables.

use clap::Args as _;

/// The settings of the sandbox as they arrive: as text.
///
/// docs/sandbox.md gives the reason for each default.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// How many users there are: `00000000-0000-4000-8000-000000000001` and so on
    #[arg(long, default_value = "100", env = "PRESENCE_GATEWAY_SANDBOX_USERS")]
    pub users: String,
    /// What a user that was not seeded is: `missing` or `found`
    #[arg(long, default_value = "missing")]
    #[arg(env = "PRESENCE_GATEWAY_SANDBOX_UNKNOWN_USERS")]
    pub unknown_users: String,
    /// What an unknown user id that is no UUID is: `missing`, or `refused` with a 400
    #[arg(long, default_value = "missing")]
    #[arg(env = "PRESENCE_GATEWAY_SANDBOX_MALFORMED_IDS")]
    pub malformed_ids: String,
    /// Whether presence sources that nobody registered are `accepted` or `refused`
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
    /// When that period begins: `fixed`, with a token's first request, or `sliding`
    #[arg(long, default_value = "fixed")]
    #[arg(env = "PRESENCE_GATEWAY_SANDBOX_RATE_WINDOW")]
    pub rate_window: String,
    /// The order of a bulk answer: `request`, `sorted` or `reversed`
    #[arg(long, default_value = "request")]
    #[arg(env = "PRESENCE_GATEWAY_SANDBOX_BULK_ORDER")]
    pub bulk_order: String,
    /// How often a user that is asked for twice is answered: `once` or `each`
    #[arg(long, default_value = "once")]
    #[arg(env = "PRESENCE_GATEWAY_SANDBOX_BULK_DUPLICATES")]
    pub bulk_duplicates: String,
    /// The answer to a bulk read without ids: `empty`, or `refused` with a 400
    #[arg(long, default_value = "empty")]
    #[arg(env = "PRESENCE_GATEWAY_SANDBOX_BULK_WITHOUT_IDS")]
    pub bulk_without_ids: String,
    /// What one wrong update does to a bulk write: `atomic` refuses it all, `partial` leaves it out
    #[arg(long, default_value = "atomic")]
    #[arg(env = "PRESENCE_GATEWAY_SANDBOX_BULK_WRITE")]
    pub bulk_write: String,
    /// How many updates one bulk write may hold
    #[arg(long, default_value = "50")]
    #[arg(env = "PRESENCE_GATEWAY_SANDBOX_BULK_WRITE_LIMIT")]
    pub bulk_write_limit: String,
    /// What a JSON null in a body means: `absent`, `clear` or `refused`
    #[arg(long, default_value = "absent", env = "PRESENCE_GATEWAY_SANDBOX_NULLS")]
    pub nulls: String,
    /// What a PATCH that changes nothing gets: `accepted` or `refused`
    #[arg(long, default_value = "accepted")]
    #[arg(env = "PRESENCE_GATEWAY_SANDBOX_EMPTY_PATCH")]
    pub empty_patch: String,
    /// Which fields a user's presence has: `full` or those `captured` in 2022
    #[arg(long, default_value = "full")]
    #[arg(env = "PRESENCE_GATEWAY_SANDBOX_PRESENCE_FIELDS")]
    pub presence_fields: String,
    /// The locale of labels where none is asked for, or `ALL`
    #[arg(long, default_value = "en_US")]
    #[arg(env = "PRESENCE_GATEWAY_SANDBOX_DEFAULT_LOCALE")]
    pub default_locale: String,
    /// The status of a created presence definition: `200` or `201`
    #[arg(long, default_value = "200")]
    #[arg(env = "PRESENCE_GATEWAY_SANDBOX_CREATED_STATUS")]
    pub created_status: String,
    /// The answer to a second DELETE of one thing: `204` or `404`
    #[arg(long, default_value = "204")]
    #[arg(env = "PRESENCE_GATEWAY_SANDBOX_REPEATED_DELETE")]
    pub repeated_delete: String,
    /// How long every answer takes, up to 1h
    #[arg(long, default_value = "0s", env = "PRESENCE_GATEWAY_SANDBOX_LATENCY")]
    pub latency: String,
}

/// What is to be known of one flag.
#[derive(Debug)]
pub(crate) struct Flag {
    pub(crate) name: String,
    pub(crate) default: String,
    pub(crate) variable: String,
    pub(crate) help: String,
}

/// Every flag, for the page that says what is here.
pub(crate) fn flags() -> Vec<Flag> {
    let command = Args::augment_args(clap::Command::new("sandbox"));
    let told = |arg: &clap::Arg| {
        Some(Flag {
            name: arg.get_long()?.to_owned(),
            default: arg.get_default_values().first()?.to_str()?.to_owned(),
            variable: arg.get_env()?.to_str()?.to_owned(),
            help: arg.get_help()?.to_string(),
        })
    };
    command.get_arguments().filter_map(told).collect()
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
    fn no_flag_can_be_mistaken_for_what_kubernetes_injects() {
        for Flag { name, .. } in flags() {
            for prefix in ["port", "host", "service"] {
                assert!(!name.starts_with(prefix), "{name}");
            }
        }
    }
}
