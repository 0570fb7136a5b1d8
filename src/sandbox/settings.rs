//! What the sandbox takes for granted where public sources do not say, as settings.

use std::time::Duration;

use clap::Args as _;

use crate::config::value::{Problems, defaults, duration, number};

/// The most users that one sandbox holds, seeded ones included.
pub(super) const MAX_USERS: usize = 10_000;

/// The settings of the sandbox as they arrive: as text.
///
/// docs/sandbox.md gives the reason for each default.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// How many users there are: `00000000-0000-4000-8000-000000000001` and so on
    #[arg(long, default_value = "100", env = "PRESENCE_GATEWAY_SANDBOX_USERS")]
    pub users: String,
    /// What a user that was not seeded is: `missing` or `found`
    #[arg(
        long,
        default_value = "missing",
        env = "PRESENCE_GATEWAY_SANDBOX_UNKNOWN_USERS"
    )]
    pub unknown_users: String,
    /// What an unknown user id that is no UUID is: `missing`, or `refused` with a 400
    #[arg(
        long,
        default_value = "missing",
        env = "PRESENCE_GATEWAY_SANDBOX_MALFORMED_IDS"
    )]
    pub malformed_ids: String,
    /// Whether presence sources that nobody registered are `accepted` or `refused`
    #[arg(
        long,
        default_value = "accepted",
        env = "PRESENCE_GATEWAY_SANDBOX_CUSTOM_SOURCES"
    )]
    pub custom_sources: String,
    /// Requests a minute for each token; 0 lifts the limit
    #[arg(
        long,
        default_value = "300",
        env = "PRESENCE_GATEWAY_SANDBOX_RATE_LIMIT"
    )]
    pub rate_limit: String,
    /// The window of that minute: `fixed`, from a token's first request, or `sliding`
    #[arg(
        long,
        default_value = "fixed",
        env = "PRESENCE_GATEWAY_SANDBOX_RATE_WINDOW"
    )]
    pub rate_window: String,
    /// The order of a bulk answer: `request`, `sorted` or `reversed`
    #[arg(
        long,
        default_value = "request",
        env = "PRESENCE_GATEWAY_SANDBOX_BULK_ORDER"
    )]
    pub bulk_order: String,
    /// How often a user that is asked for twice is answered: `once` or `each`
    #[arg(
        long,
        default_value = "once",
        env = "PRESENCE_GATEWAY_SANDBOX_BULK_DUPLICATES"
    )]
    pub bulk_duplicates: String,
    /// The answer to a bulk read without ids: `empty`, or `refused` with a 400
    #[arg(
        long,
        default_value = "empty",
        env = "PRESENCE_GATEWAY_SANDBOX_BULK_WITHOUT_IDS"
    )]
    pub bulk_without_ids: String,
    /// What one wrong update does to a bulk write: `atomic` refuses it all, `partial` leaves it out
    #[arg(
        long,
        default_value = "atomic",
        env = "PRESENCE_GATEWAY_SANDBOX_BULK_WRITE"
    )]
    pub bulk_write: String,
    /// How many updates one bulk write may hold
    #[arg(
        long,
        default_value = "50",
        env = "PRESENCE_GATEWAY_SANDBOX_BULK_WRITE_LIMIT"
    )]
    pub bulk_write_limit: String,
    /// What a JSON null in a body means: `absent`, `clear` or `refused`
    #[arg(long, default_value = "absent", env = "PRESENCE_GATEWAY_SANDBOX_NULLS")]
    pub nulls: String,
    /// What a PATCH that changes nothing gets: `accepted` or `refused`
    #[arg(
        long,
        default_value = "accepted",
        env = "PRESENCE_GATEWAY_SANDBOX_EMPTY_PATCH"
    )]
    pub empty_patch: String,
    /// Which fields a user's presence has: `full` or those `captured` in 2022
    #[arg(
        long,
        default_value = "full",
        env = "PRESENCE_GATEWAY_SANDBOX_PRESENCE_FIELDS"
    )]
    pub presence_fields: String,
    /// The locale of labels where none is asked for, or `ALL`
    #[arg(
        long,
        default_value = "en_US",
        env = "PRESENCE_GATEWAY_SANDBOX_DEFAULT_LOCALE"
    )]
    pub default_locale: String,
    /// The status of a created presence definition: 200 or 201
    #[arg(
        long,
        default_value = "200",
        env = "PRESENCE_GATEWAY_SANDBOX_CREATED_STATUS"
    )]
    pub created_status: String,
    /// The answer to a second DELETE of one thing: 204 or 404
    #[arg(
        long,
        default_value = "204",
        env = "PRESENCE_GATEWAY_SANDBOX_REPEATED_DELETE"
    )]
    pub repeated_delete: String,
    /// How long every answer takes
    #[arg(long, default_value = "0s", env = "PRESENCE_GATEWAY_SANDBOX_LATENCY")]
    pub latency: String,
}

/// How the sandbox behaves where the vendor's behaviour is not known.
#[derive(Debug, Clone)]
pub struct Settings {
    pub(super) users: usize,
    pub(super) unknown_users_found: bool,
    pub(super) malformed_ids_refused: bool,
    pub(super) custom_sources_refused: bool,
    pub(super) rate_limit: usize,
    pub(super) rate_window: RateWindow,
    pub(super) bulk_order: BulkOrder,
    pub(super) bulk_answers_each: bool,
    pub(super) bulk_without_ids_refused: bool,
    pub(super) bulk_write_partial: bool,
    pub(super) bulk_write_limit: usize,
    pub(super) nulls: Nulls,
    pub(super) empty_patch_refused: bool,
    pub(super) captured_fields_only: bool,
    pub(super) default_locale: String,
    pub(super) created_status: u16,
    pub(super) repeated_delete_missing: bool,
    pub(super) latency: Duration,
}

/// When a token's minute begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RateWindow {
    /// With its first request, and anew with the first one after its end.
    Fixed,
    /// Sixty seconds before now.
    Sliding,
}

/// In which order a bulk answer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BulkOrder {
    Request,
    Sorted,
    Reversed,
}

/// What a null in a body means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nulls {
    /// The same as a field that is not there.
    Absent,
    /// The empty text, where the field holds text.
    Clear,
    /// A field of the wrong type.
    Refused,
}

impl Settings {
    /// Reads the settings; one that cannot be read is remembered in `problems` and gets its default.
    #[must_use]
    pub fn read(args: &Args, problems: &mut Problems) -> Self {
        let fallback: Args = defaults();
        let mut reader = Reader { problems };
        let this = &mut reader;
        Self {
            users: this.number("users", &args.users, &fallback.users, 0, MAX_USERS),
            unknown_users_found: this.is(
                "unknown-users",
                &args.unknown_users,
                ["missing", "found"],
            ),
            malformed_ids_refused: this.is(
                "malformed-ids",
                &args.malformed_ids,
                ["missing", "refused"],
            ),
            custom_sources_refused: this.is(
                "custom-sources",
                &args.custom_sources,
                ["accepted", "refused"],
            ),
            rate_limit: this.number(
                "rate-limit",
                &args.rate_limit,
                &fallback.rate_limit,
                0,
                10_000,
            ),
            rate_window: this.one_of(
                "rate-window",
                &args.rate_window,
                &[
                    ("fixed", RateWindow::Fixed),
                    ("sliding", RateWindow::Sliding),
                ],
            ),
            bulk_order: this.one_of(
                "bulk-order",
                &args.bulk_order,
                &[
                    ("request", BulkOrder::Request),
                    ("sorted", BulkOrder::Sorted),
                    ("reversed", BulkOrder::Reversed),
                ],
            ),
            bulk_answers_each: this.is("bulk-duplicates", &args.bulk_duplicates, ["once", "each"]),
            bulk_without_ids_refused: this.is(
                "bulk-without-ids",
                &args.bulk_without_ids,
                ["empty", "refused"],
            ),
            bulk_write_partial: this.is("bulk-write", &args.bulk_write, ["atomic", "partial"]),
            bulk_write_limit: this.number(
                "bulk-write-limit",
                &args.bulk_write_limit,
                &fallback.bulk_write_limit,
                1,
                10_000,
            ),
            nulls: this.one_of(
                "nulls",
                &args.nulls,
                &[
                    ("absent", Nulls::Absent),
                    ("clear", Nulls::Clear),
                    ("refused", Nulls::Refused),
                ],
            ),
            empty_patch_refused: this.is("empty-patch", &args.empty_patch, ["accepted", "refused"]),
            captured_fields_only: this.is(
                "presence-fields",
                &args.presence_fields,
                ["full", "captured"],
            ),
            default_locale: this.locale(&args.default_locale, &fallback.default_locale),
            created_status: this.one_of(
                "created-status",
                &args.created_status,
                &[("200", 200), ("201", 201)],
            ),
            repeated_delete_missing: this.is(
                "repeated-delete",
                &args.repeated_delete,
                ["204", "404"],
            ),
            latency: this
                .problems
                .read("latency", &args.latency, duration)
                .unwrap_or(Duration::ZERO),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::read(&defaults::<Args>(), &mut Problems::default())
    }
}

/// Reads the kinds of settings that only the sandbox has.
struct Reader<'a> {
    problems: &'a mut Problems,
}

impl Reader<'_> {
    /// Reads a choice; what cannot be read gives the first, which is the default.
    fn one_of<T: Copy>(&mut self, flag: &str, raw: &str, choices: &[(&str, T)]) -> T {
        let read = self.problems.read(flag, raw, |raw| {
            choices
                .iter()
                .find(|(name, _)| *name == raw)
                .map(|(_, value)| *value)
                .ok_or_else(|| {
                    let names: Vec<String> = choices
                        .iter()
                        .map(|(name, _)| format!("`{name}`"))
                        .collect();
                    format!("is none of {}", names.join(", "))
                })
        });
        read.unwrap_or(choices[0].1)
    }

    /// Whether the second of two choices was made; the first is the default.
    fn is(&mut self, flag: &str, raw: &str, [no, yes]: [&str; 2]) -> bool {
        self.one_of(flag, raw, &[(no, false), (yes, true)])
    }

    fn number(&mut self, flag: &str, raw: &str, fallback: &str, min: usize, max: usize) -> usize {
        self.problems
            .read(flag, raw, number(min..=max))
            .or_else(|| fallback.parse().ok())
            .unwrap_or(min)
    }

    fn locale(&mut self, raw: &str, fallback: &str) -> String {
        let known = |raw: &str| {
            super::locale::is_known(raw)
                .then(|| raw.to_owned())
                .ok_or_else(|| {
                    "is no locale of the vendor's, such as `en_US`, nor `ALL`".to_owned()
                })
        };
        self.problems
            .read("default-locale", raw, known)
            .unwrap_or_else(|| fallback.to_owned())
    }
}

/// The names of the flags, for the page that says what is here.
pub(super) fn flags() -> Vec<(String, String, String)> {
    let command = Args::augment_args(clap::Command::new("sandbox"));
    let told = |arg: &clap::Arg| {
        let default = arg
            .get_default_values()
            .first()?
            .to_string_lossy()
            .into_owned();
        Some((
            arg.get_long()?.to_owned(),
            default,
            arg.get_help()?.to_string(),
        ))
    };
    command.get_arguments().filter_map(told).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_have_no_problem() {
        let mut problems = Problems::default();
        let settings = Settings::read(&defaults::<Args>(), &mut problems);
        assert_eq!(problems.into_vec(), Vec::<String>::new());
        assert_eq!(
            (
                settings.users,
                settings.rate_limit,
                settings.bulk_write_limit
            ),
            (100, 300, 50)
        );
        assert_eq!(settings.default_locale, "en_US");
        assert!(!settings.unknown_users_found);
    }

    #[test]
    fn every_mistake_is_told_with_its_flag_and_gets_its_default() {
        let mut args: Args = defaults();
        args.users = "10001".into();
        args.rate_window = "wide".into();
        args.latency = "5".into();
        args.default_locale = "en".into();
        let mut problems = Problems::default();
        let settings = Settings::read(&args, &mut problems);
        assert_eq!(
            problems.into_vec(),
            [
                "--users: `10001` is not a whole number from 0 to 10000",
                "--rate-window: `wide` is none of `fixed`, `sliding`",
                "--default-locale: `en` is no locale of the vendor's, such as `en_US`, nor `ALL`",
                "--latency: `5` is not a duration with a unit, such as `5s`, `250ms` or `1m`",
            ]
        );
        assert_eq!(
            (settings.users, settings.rate_window),
            (100, RateWindow::Fixed)
        );
    }

    #[test]
    fn no_flag_can_be_mistaken_for_what_kubernetes_injects() {
        for (flag, _, help) in flags() {
            for prefix in ["port", "host", "service"] {
                assert!(!flag.starts_with(prefix), "{flag}");
            }
            assert!(!help.is_empty());
        }
    }
}
