//! The assumptions of the sandbox where public sources do not say, as settings.

mod allowed_hosts;
mod args;
mod choice;

use std::time::Duration;

use super::bounds::MAX_USERS;
use presence_gateway_args::{ConfigErrors, defaults, parse_duration, parse_number};

pub(super) use allowed_hosts::AllowedHosts;
pub use args::Args;
pub(super) use args::{Flag, flags};
pub(super) use choice::{
    BulkOrder, BulkWrite, CreatedStatus, Duplicates, MalformedIds, Nulls, PresenceFields,
    RateWindow, RepeatedDelete, Tolerance, UnknownTopics, UnknownUsers, WithoutIds,
};
use choice::{choice, names};

/// The shortest time between heartbeats.
const MIN_HEARTBEAT: Duration = Duration::from_millis(10);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);

/// How the sandbox behaves where the vendor's behaviour is not known.
#[derive(Debug, Clone)]
pub struct Settings {
    pub(super) users: usize,
    pub(super) unknown_users: UnknownUsers,
    pub(super) malformed_ids: MalformedIds,
    pub(super) custom_sources: Tolerance,
    pub(super) rate_limit: usize,
    pub(super) rate_period: Duration,
    pub(super) rate_window: RateWindow,
    pub(super) bulk_order: BulkOrder,
    pub(super) bulk_duplicates: Duplicates,
    pub(super) bulk_without_ids: WithoutIds,
    pub(super) bulk_write: BulkWrite,
    pub(super) bulk_write_limit: usize,
    pub(super) nulls: Nulls,
    pub(super) empty_patch: Tolerance,
    pub(super) presence_fields: PresenceFields,
    pub(super) default_locale: String,
    pub(super) created_status: CreatedStatus,
    pub(super) repeated_delete: RepeatedDelete,
    pub(super) heartbeat: Duration,
    pub(super) unknown_topics: UnknownTopics,
    pub(super) latency: Duration,
    pub(super) allowed_hosts: AllowedHosts,
}

impl Settings {
    /// Whether users are seeded.
    #[must_use]
    pub fn has_users(&self) -> bool {
        self.users > 0
    }

    /// Parses the settings. An invalid one is added to `problems` and gets its default.
    #[must_use]
    pub fn read(args: &Args, problems: &mut ConfigErrors) -> Self {
        let mut all = Reader {
            given: args,
            fallback: defaults(),
            problems,
        };
        Self {
            users: all.read(
                "users",
                |a| &a.users,
                |raw| parse_number(0..=MAX_USERS)(raw),
            ),
            unknown_users: all.read("unknown-users", |a| &a.unknown_users, choice),
            malformed_ids: all.read("malformed-ids", |a| &a.malformed_ids, choice),
            custom_sources: all.read("custom-sources", |a| &a.custom_sources, choice),
            rate_limit: all.read(
                "rate-limit",
                |a| &a.rate_limit,
                |raw| parse_number(0..=10_000)(raw),
            ),
            rate_period: all.read("rate-period", |a| &a.rate_period, |raw| within(SECOND, raw)),
            rate_window: all.read("rate-window", |a| &a.rate_window, choice),
            bulk_order: all.read("bulk-order", |a| &a.bulk_order, choice),
            bulk_duplicates: all.read("bulk-duplicates", |a| &a.bulk_duplicates, choice),
            bulk_without_ids: all.read("bulk-without-ids", |a| &a.bulk_without_ids, choice),
            bulk_write: all.read("bulk-write", |a| &a.bulk_write, choice),
            bulk_write_limit: all.read(
                "bulk-write-limit",
                |a| &a.bulk_write_limit,
                |raw| parse_number(1..=10_000)(raw),
            ),
            nulls: all.read("nulls", |a| &a.nulls, choice),
            empty_patch: all.read("empty-patch", |a| &a.empty_patch, choice),
            presence_fields: all.read("presence-fields", |a| &a.presence_fields, choice),
            default_locale: all.read("default-locale", |a| &a.default_locale, locale),
            created_status: all.read("created-status", |a| &a.created_status, choice),
            repeated_delete: all.read("repeated-delete", |a| &a.repeated_delete, choice),
            heartbeat: all.read(
                "heartbeat",
                |a| &a.heartbeat,
                |raw| within(MIN_HEARTBEAT, raw),
            ),
            unknown_topics: all.read("unknown-topics", |a| &a.unknown_topics, choice),
            latency: all.read("latency", |a| &a.latency, |raw| within(Duration::ZERO, raw)),
            allowed_hosts: all.read("allowed-hosts", |a| &a.allowed_hosts, AllowedHosts::parse),
        }
    }
}

/// The values that a flag can have, if they are a few words.
#[must_use]
pub fn choices(flag: &str) -> Option<Vec<String>> {
    Some(match flag {
        "unknown-users" => names::<UnknownUsers>(),
        "malformed-ids" => names::<MalformedIds>(),
        "custom-sources" | "empty-patch" => names::<Tolerance>(),
        "rate-window" => names::<RateWindow>(),
        "bulk-order" => names::<BulkOrder>(),
        "bulk-duplicates" => names::<Duplicates>(),
        "bulk-without-ids" => names::<WithoutIds>(),
        "bulk-write" => names::<BulkWrite>(),
        "nulls" => names::<Nulls>(),
        "presence-fields" => names::<PresenceFields>(),
        "created-status" => names::<CreatedStatus>(),
        "repeated-delete" => names::<RepeatedDelete>(),
        "unknown-topics" => names::<UnknownTopics>(),
        _ => return None,
    })
}

impl Default for Settings {
    fn default() -> Self {
        Self::read(&defaults::<Args>(), &mut ConfigErrors::default())
    }
}

/// Parses settings one by one.
struct Reader<'a> {
    given: &'a Args,
    fallback: Args,
    problems: &'a mut ConfigErrors,
}

impl Reader<'_> {
    fn read<T: Default>(
        &mut self,
        flag: &str,
        field: fn(&Args) -> &String,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> T {
        let name = self.given.given_as(flag);
        self.problems
            .parse_as(&name, field(self.given), &parse)
            .or_else(|| parse(field(&self.fallback)).ok())
            .unwrap_or_default()
    }
}

/// Parses a duration from `min` to an hour.
pub(super) fn within(min: Duration, raw: &str) -> Result<Duration, String> {
    let read = parse_duration(raw)?;
    if (min..=HOUR).contains(&read) {
        Ok(read)
    } else {
        Err(format!(
            "is not between {} and 1h",
            humantime::format_duration(min)
        ))
    }
}

fn locale(raw: &str) -> Result<String, String> {
    if super::locale::is_known(raw) {
        Ok(raw.to_owned())
    } else {
        Err("is no locale of the vendor's, such as `en_US`, nor `ALL`".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, FromArgMatches as _};

    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        let mut errors = ConfigErrors::default();
        let settings = Settings::read(&defaults::<Args>(), &mut errors);
        assert_eq!(errors.into_vec(), Vec::<String>::new());
        assert_eq!((settings.users, settings.rate_limit), (100, 300));
        assert_eq!(settings.rate_period, Duration::from_mins(1));
        assert_eq!(settings.bulk_write_limit, 50);
        assert_eq!(settings.default_locale, "en_US");
        assert_eq!(settings.unknown_users, UnknownUsers::Missing);
    }

    #[test]
    fn an_invalid_value_of_every_flag_is_reported() {
        let names: Vec<String> = flags().into_iter().map(|flag| flag.name).collect();
        let words = names
            .iter()
            .flat_map(|name| [format!("--{name}"), "?".into()]);
        let command = Args::augment_args(clap::Command::new("sandbox").no_binary_name(true));
        let matches = command.try_get_matches_from(words).unwrap();
        let mut errors = ConfigErrors::default();
        let _ = Settings::read(&Args::from_arg_matches(&matches).unwrap(), &mut errors);
        let errors = errors.into_vec();
        assert_eq!(errors.len(), names.len(), "{errors:?}");
        for (name, error) in names.iter().zip(errors) {
            assert!(error.starts_with(&format!("--{name}: `?` is n")), "{error}");
        }
    }

    #[test]
    fn each_choice_lists_what_its_flag_accepts() {
        for flag in flags() {
            let command = Args::augment_args(clap::Command::new("sandbox").no_binary_name(true));
            let mut errors = ConfigErrors::default();
            let given = [format!("--{}", flag.name), "?".to_owned()];
            let matches = command.try_get_matches_from(given).unwrap();
            let _ = Settings::read(&Args::from_arg_matches(&matches).unwrap(), &mut errors);
            let error = errors.into_vec().remove(0);
            let accepted = error.split_once("is none of `").map(|(_, rest)| rest);
            let accepted = accepted.map(|rest| rest.trim_end_matches('`').split("`, `"));
            let accepted = accepted.map(|names| names.map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(choices(&flag.name), accepted, "{error}");
        }
    }

    #[test]
    fn an_invalid_value_reports_the_accepted_ones_and_becomes_the_default() {
        let mut args: Args = defaults();
        args.users = "10001".into();
        args.rate_period = "900ms".into();
        args.rate_window = "wide".into();
        args.default_locale = "en".into();
        args.latency = "5".into();
        let mut errors = ConfigErrors::default();
        let settings = Settings::read(&args, &mut errors);
        assert_eq!(
            errors.into_vec(),
            [
                "--users: `10001` is not a whole number from 0 to 10000",
                "--rate-period: `900ms` is not between 1s and 1h",
                "--rate-window: `wide` is none of `fixed`, `sliding`",
                "--default-locale: `en` is no locale of the vendor's, such as `en_US`, nor `ALL`",
                "--latency: `5` is not a duration with a unit, for example `5s`, `250ms` or `1m`",
            ]
        );
        assert_eq!(
            (settings.users, settings.rate_window),
            (100, RateWindow::Fixed)
        );
        assert_eq!(settings.default_locale, "en_US");
    }
}
