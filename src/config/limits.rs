//! How much callers may ask for, and how the vendor is spared.

use std::time::Duration;

use clap::Args;

use crate::args::{ConfigErrors, parse_bool, parse_duration, parse_number, parse_size};
use crate::bulk::BulkLimits;
use crate::deadline::DeadlinePolicy;
use crate::server::CallLimits;

/// The flags of it.
#[derive(Debug, Clone, Args)]
pub(super) struct LimitsArgs {
    /// How long a call may take whose client sets no deadline
    #[arg(
        long,
        value_name = "DURATION",
        env = "PRESENCE_GATEWAY_DEFAULT_DEADLINE"
    )]
    #[arg(default_value = "30s")]
    default_deadline: String,

    /// The longest deadline that a client can set; of a stream of ids, how long one batch may take
    #[arg(long, value_name = "DURATION", env = "PRESENCE_GATEWAY_MAX_DEADLINE")]
    #[arg(default_value = "120s")]
    max_deadline: String,

    /// How many ids or updates a bulk call may hold
    #[arg(long, value_name = "COUNT", env = "PRESENCE_GATEWAY_MAX_BULK_IDS")]
    #[arg(default_value = "5000")]
    max_bulk_ids: String,

    /// How many batches of a bulk call are sent at once
    #[arg(long, value_name = "COUNT", env = "PRESENCE_GATEWAY_BULK_CONCURRENCY")]
    #[arg(default_value = "8")]
    bulk_concurrency: String,

    /// How long the caller of a stream may neither send nor take anything
    #[arg(
        long,
        value_name = "DURATION",
        env = "PRESENCE_GATEWAY_STREAM_IDLE_TIMEOUT"
    )]
    #[arg(default_value = "5m")]
    stream_idle_timeout: String,

    /// How many requests a minute each token may make of the vendor; 0 sets no limit
    #[arg(
        long,
        value_name = "COUNT",
        env = "PRESENCE_GATEWAY_TOKEN_REQUESTS_PER_MINUTE"
    )]
    #[arg(default_value = "300")]
    token_requests_per_minute: String,

    /// Make one request of identical reads of one token that are under way together
    #[arg(long, value_name = "BOOL", env = "PRESENCE_GATEWAY_SHARE_READS")]
    #[arg(default_value = "true", default_missing_value = "true", num_args = 0..=1)]
    #[arg(require_equals = true)]
    share_reads: String,

    /// How long a bulk read waits for another of its token to share a batch with; 0s for not at all
    #[arg(
        long,
        value_name = "DURATION",
        env = "PRESENCE_GATEWAY_BULK_MERGE_WINDOW"
    )]
    #[arg(default_value = "0s")]
    bulk_merge_window: String,

    /// How many calls are served at once; more are refused
    #[arg(long, value_name = "COUNT", env = "PRESENCE_GATEWAY_MAX_IN_FLIGHT")]
    #[arg(default_value = "1024")]
    max_in_flight: String,

    /// How much memory the messages and answers of all calls may take; more calls are refused
    #[arg(long, value_name = "SIZE", env = "PRESENCE_GATEWAY_MESSAGE_MEMORY")]
    #[arg(default_value = "256MiB")]
    message_memory: String,
}

/// How much callers may ask for, and how the vendor is spared.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// What a call is granted.
    pub calls: CallLimits,
    /// What a bulk call is granted.
    pub bulk: BulkLimits,
    /// How many requests a minute each token may make; 0 for any number.
    pub token_requests_per_minute: usize,
    /// Whether identical reads of one token are one request.
    pub share_reads: bool,
    /// How long bulk reads wait for others, if at all.
    pub bulk_merge_window: Option<Duration>,
}

impl LimitsArgs {
    /// What the flags say, if nothing of it is wrong.
    pub(super) fn read(&self, problems: &mut ConfigErrors) -> Option<Limits> {
        let default = problems.parse("default-deadline", &self.default_deadline, deadline);
        let max = problems.parse("max-deadline", &self.max_deadline, deadline);
        if let (Some(default), Some(max)) = (default, max)
            && default > max
        {
            problems.add(format!(
                "--default-deadline: `{}` is longer than --max-deadline, `{}`",
                self.default_deadline, self.max_deadline
            ));
        }
        let max_ids = problems.parse(
            "max-bulk-ids",
            &self.max_bulk_ids,
            parse_number(1..=100_000),
        );
        let concurrency = problems.parse(
            "bulk-concurrency",
            &self.bulk_concurrency,
            parse_number(1..=64),
        );
        let stream_idle =
            problems.parse("stream-idle-timeout", &self.stream_idle_timeout, deadline);
        let token_requests = problems.parse(
            "token-requests-per-minute",
            &self.token_requests_per_minute,
            parse_number(0..=100_000),
        );
        let share_reads = problems.parse("share-reads", &self.share_reads, parse_bool);
        let merge_window =
            problems.parse("bulk-merge-window", &self.bulk_merge_window, merge_window);
        let max_in_flight = problems.parse(
            "max-in-flight",
            &self.max_in_flight,
            parse_number(1..=1_000_000),
        );
        let message_memory = problems.parse("message-memory", &self.message_memory, memory);
        Some(Limits {
            calls: CallLimits {
                deadlines: DeadlinePolicy {
                    default: default?,
                    max: max?,
                },
                max_in_flight: max_in_flight?,
                max_bulk_ids: max_ids?,
                message_memory: message_memory?,
            },
            bulk: BulkLimits {
                max_ids: max_ids?,
                concurrency: concurrency?,
                stream_idle: stream_idle?,
            },
            token_requests_per_minute: token_requests?,
            share_reads: share_reads?,
            bulk_merge_window: merge_window?,
        })
    }
}

/// Reads how much memory messages may take: the largest one at least.
fn memory(raw: &str) -> Result<usize, String> {
    let bytes = parse_size(raw)?;
    if (MIN_MEMORY..=MAX_MEMORY).contains(&bytes) {
        usize::try_from(bytes).map_err(|error| error.to_string())
    } else {
        Err("is not between 64MiB and 1024GiB".to_owned())
    }
}

/// The least memory for messages: what one call of the largest size takes,
/// with its answer.
const MIN_MEMORY: u64 = 64 << 20;

/// The most: what no machine has by mistake.
const MAX_MEMORY: u64 = 1024 << 30;

/// Reads how long bulk reads wait for others, of which none is nothing.
fn merge_window(raw: &str) -> Result<Option<Duration>, String> {
    let window = parse_duration(raw)?;
    if window > MAX_MERGE_WINDOW {
        return Err("is longer than 1s".to_owned());
    }
    Ok((!window.is_zero()).then_some(window))
}

/// The longest that bulk reads may wait for others: what a person notices.
const MAX_MERGE_WINDOW: Duration = Duration::from_secs(1);

/// Reads a deadline, which is neither nothing nor longer than a day.
fn deadline(raw: &str) -> Result<Duration, String> {
    let deadline = parse_duration(raw)?;
    if (1..=86_400_000).contains(&deadline.as_millis()) {
        Ok(deadline)
    } else {
        Err("is not between 1ms and 24h".to_owned())
    }
}
