//! The limits of calls and of requests to the vendor.

use std::time::Duration;

use clap::Args;

use super::watch::WatchArgs;
use crate::args::{ConfigErrors, parse_bool, parse_duration, parse_number, parse_size};
use crate::bulk::BulkLimits;
use crate::deadline::DeadlinePolicy;
use crate::server::CallLimits;
use crate::watch::WatchLimits;

/// The flags, as given.
#[derive(Debug, Clone, Args)]
pub(super) struct LimitsArgs {
    /// Deadline of a call whose client sets none
    #[arg(long, value_name = "DURATION")]
    #[arg(env = "PRESENCE_GATEWAY_DEFAULT_DEADLINE")]
    #[arg(default_value_t = duration(DeadlinePolicy::default().default))]
    #[arg(help_heading = "Calls", hide_short_help = true)]
    default_deadline: String,

    /// Longest deadline that a client can set; for a stream of ids, the longest time of one batch
    #[arg(long, value_name = "DURATION", env = "PRESENCE_GATEWAY_MAX_DEADLINE")]
    #[arg(default_value_t = duration(DeadlinePolicy::default().max))]
    #[arg(help_heading = "Calls", hide_short_help = true)]
    max_deadline: String,

    /// Maximum number of ids or updates in a bulk call
    #[arg(long, value_name = "COUNT", env = "PRESENCE_GATEWAY_MAX_BULK_IDS")]
    #[arg(default_value_t = BulkLimits::default().max_ids.to_string())]
    #[arg(help_heading = "Calls")]
    max_bulk_ids: String,

    /// Maximum number of concurrent batches of a bulk call
    #[arg(long, value_name = "COUNT", env = "PRESENCE_GATEWAY_BULK_CONCURRENCY")]
    #[arg(default_value_t = BulkLimits::default().concurrency.to_string())]
    #[arg(help_heading = "Calls", hide_short_help = true)]
    bulk_concurrency: String,

    /// Longest time in which the caller of a stream neither sends nor reads
    #[arg(long, value_name = "DURATION")]
    #[arg(env = "PRESENCE_GATEWAY_STREAM_IDLE_TIMEOUT")]
    #[arg(default_value_t = duration(BulkLimits::default().stream_idle))]
    #[arg(help_heading = "Calls", hide_short_help = true)]
    stream_idle_timeout: String,

    /// Maximum number of requests to the vendor per token and minute; 0 for no limit
    #[arg(long, value_name = "COUNT")]
    #[arg(env = "PRESENCE_GATEWAY_TOKEN_REQUESTS_PER_MINUTE")]
    #[arg(default_value_t = Limits::default().token_requests_per_minute.to_string())]
    #[arg(help_heading = "Requests to the vendor")]
    token_requests_per_minute: String,

    /// Coalesce identical concurrent reads of one token into a single upstream request
    #[arg(long, value_name = "BOOL", env = "PRESENCE_GATEWAY_SHARE_READS")]
    #[arg(default_value_t = Limits::default().share_reads.to_string())]
    #[arg(default_missing_value = "true", num_args = 0..=1)]
    #[arg(require_equals = true)]
    #[arg(help_heading = "Requests to the vendor", hide_short_help = true)]
    share_reads: String,

    /// How long a bulk read waits to share a batch with others of its token; 0s to not wait
    #[arg(long, value_name = "DURATION")]
    #[arg(env = "PRESENCE_GATEWAY_BULK_MERGE_WINDOW")]
    #[arg(default_value_t = duration(Limits::default().bulk_merge_window.unwrap_or_default()))]
    #[arg(help_heading = "Requests to the vendor", hide_short_help = true)]
    bulk_merge_window: String,

    /// Maximum number of concurrent calls; more are rejected
    #[arg(long, value_name = "COUNT", env = "PRESENCE_GATEWAY_MAX_IN_FLIGHT")]
    #[arg(default_value_t = CallLimits::default().max_in_flight.to_string())]
    #[arg(help_heading = "Concurrency and memory")]
    max_in_flight: String,

    /// Memory for the request and response messages of all calls; calls that need more are rejected
    #[arg(long, value_name = "SIZE", env = "PRESENCE_GATEWAY_MESSAGE_MEMORY")]
    #[arg(default_value_t = format!("{}MiB", CallLimits::default().message_memory >> 20))]
    #[arg(help_heading = "Concurrency and memory", hide_short_help = true)]
    message_memory: String,

    #[command(flatten)]
    watch: WatchArgs,
}

/// A default as a flag is given it.
pub(super) fn duration(default: Duration) -> String {
    humantime::format_duration(default).to_string()
}

/// The limits of calls and of requests to the vendor.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The limits of every call.
    pub calls: CallLimits,
    /// The limits of a bulk call.
    pub bulk: BulkLimits,
    /// The settings of watches.
    pub watch: WatchLimits,
    /// The requests per token and minute; 0 for no limit.
    pub token_requests_per_minute: usize,
    /// Whether identical concurrent reads of one token are one request.
    pub share_reads: bool,
    /// How long bulk reads wait for others, if at all.
    pub bulk_merge_window: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            calls: CallLimits::default(),
            bulk: BulkLimits::default(),
            watch: WatchLimits::default(),
            // The vendor's own limit.
            token_requests_per_minute: 300,
            share_reads: true,
            bulk_merge_window: None,
        }
    }
}

impl LimitsArgs {
    /// Parses the flags; `None` if one is wrong.
    pub(super) fn parse(&self, errors: &mut ConfigErrors) -> Option<Limits> {
        let default = errors.parse("default-deadline", &self.default_deadline, parse_deadline);
        let max = errors.parse("max-deadline", &self.max_deadline, parse_deadline);
        if let (Some(default), Some(max)) = (default, max)
            && default > max
        {
            errors.add(format!(
                "--default-deadline: `{}` is longer than --max-deadline, `{}`",
                self.default_deadline, self.max_deadline
            ));
        }
        let mut count = |flag, raw: &str, range| errors.parse(flag, raw, parse_number(range));
        let max_ids = count("max-bulk-ids", &self.max_bulk_ids, 1..=100_000);
        let concurrency = count("bulk-concurrency", &self.bulk_concurrency, 1..=64);
        let max_in_flight = count("max-in-flight", &self.max_in_flight, 1..=1_000_000);
        let stream_idle = errors.parse(
            "stream-idle-timeout",
            &self.stream_idle_timeout,
            parse_deadline,
        );
        let token_requests = errors.parse(
            "token-requests-per-minute",
            &self.token_requests_per_minute,
            parse_number(0..=100_000),
        );
        let share_reads = errors.parse("share-reads", &self.share_reads, parse_bool);
        let merge_window = errors.parse(
            "bulk-merge-window",
            &self.bulk_merge_window,
            parse_merge_window,
        );
        let message_memory = errors.parse("message-memory", &self.message_memory, parse_memory);
        let watch = self.watch.parse(max, errors);
        let (max_watches, watch) = watch?;
        Some(Limits {
            calls: CallLimits {
                deadlines: DeadlinePolicy {
                    default: default?,
                    max: max?,
                },
                max_in_flight: max_in_flight?,
                max_watches,
                max_bulk_ids: max_ids?,
                message_memory: message_memory?,
            },
            bulk: BulkLimits {
                max_ids: max_ids?,
                concurrency: concurrency?,
                stream_idle: stream_idle?,
            },
            watch,
            token_requests_per_minute: token_requests?,
            share_reads: share_reads?,
            bulk_merge_window: merge_window?,
        })
    }
}

/// The least memory for messages: what one call of the largest size takes,
/// with its response.
const MIN_MEMORY: u64 = 64 << 20;

/// The most: no machine has more by mistake.
const MAX_MEMORY: u64 = 1024 << 30;

fn parse_memory(raw: &str) -> Result<usize, String> {
    let bytes = Some(parse_size(raw)?).filter(|it| (MIN_MEMORY..=MAX_MEMORY).contains(it));
    let bytes = bytes.and_then(|it| it.try_into().ok());
    bytes.ok_or_else(|| "is not between 64MiB and 1024GiB".to_owned())
}

/// The longest window: a delay that a person notices.
const MAX_MERGE_WINDOW: Duration = Duration::from_secs(1);

fn parse_merge_window(raw: &str) -> Result<Option<Duration>, String> {
    let window = parse_duration(raw)?;
    if window > MAX_MERGE_WINDOW {
        return Err("is longer than 1s".to_owned());
    }
    Ok((!window.is_zero()).then_some(window))
}

fn parse_deadline(raw: &str) -> Result<Duration, String> {
    let deadline = Some(parse_duration(raw)?);
    let deadline = deadline.filter(|it| (1..=86_400_000).contains(&it.as_millis()));
    deadline.ok_or_else(|| "is not between 1ms and 24h".to_owned())
}
