//! `grpc-timeout`: how long a client says that it waits, and how long it does.

use std::time::Duration;

use http::HeaderMap;

/// The header in which a client says how long it waits.
pub(super) const GRPC_TIMEOUT: &str = "grpc-timeout";

const NONE: Duration = Duration::ZERO;

/// The steps to which core clients of gRPC (Python, C++, Ruby, PHP) round their
/// deadlines up, by the unit that they write and from which time on
/// (`src/core/lib/transport/timeout_encoding.cc` of gRPC): they give up before
/// the time that they named. They write no time from where the step is none.
///
/// What they may add by naming the time of an earlier call of the connection
/// that is up to 3 % longer (`TimeoutCompressorImpl` of gRPC) is not among them:
/// nothing shows it, and all would have less time.
const STEPS: [(u8, &[(u64, Duration)]); 4] = [
    (
        b'm',
        &[
            (100, NONE),
            (10, Duration::from_millis(100)),
            (1, Duration::from_millis(10)),
        ],
    ),
    (
        b'S',
        &[
            (100_000, NONE),
            (10_000, Duration::from_secs(100)),
            (1000, Duration::from_secs(10)),
            (100, Duration::from_secs(1)),
            (10, Duration::from_millis(100)),
            (1, Duration::from_millis(10)),
        ],
    ),
    (
        b'M',
        &[
            (6_000_000, NONE),
            (600_000, Duration::from_mins(100)),
            (60_000, Duration::from_mins(10)),
            (10_000, Duration::from_mins(1)),
            (1000, Duration::from_secs(10)),
            (100, Duration::from_secs(1)),
            (1, Duration::from_millis(100)),
        ],
    ),
    (
        b'H',
        &[
            (600_000, Duration::from_hours(1)),
            (60_000, Duration::from_mins(10)),
            (10_000, Duration::from_mins(1)),
            (1, Duration::from_secs(10)),
        ],
    ),
];

/// How long the client of these headers waits at least, if it says so.
pub(super) fn of(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(GRPC_TIMEOUT)?.as_bytes();
    let named = named(value)?;
    Some(named.saturating_sub(rounded_up(value, named)))
}

/// Reads a `grpc-timeout`: digits and a unit. The protocol has at most eight
/// digits; there are clients that write more for a very long time
/// (connect-node), and one that does not fit into a clock is as good as none.
fn named(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let amount = digits.iter().fold(0_u64, |amount, digit| {
        let digit = u64::from(digit - b'0');
        amount.saturating_mul(10).saturating_add(digit)
    });
    Some(match unit {
        b'H' => Duration::from_secs(amount.saturating_mul(60 * 60)),
        b'M' => Duration::from_secs(amount.saturating_mul(60)),
        b'S' => Duration::from_secs(amount),
        b'm' => Duration::from_millis(amount),
        b'u' => Duration::from_micros(amount),
        b'n' => Duration::from_nanos(amount),
        _ => return None,
    })
}

/// By how much at most a time was rounded up, as it looks.
fn rounded_up(value: &[u8], named: Duration) -> Duration {
    let steps = STEPS.iter().find(|(unit, _)| value.last() == Some(unit));
    let steps = steps.map_or(&[][..], |(_, steps)| steps);
    let step = steps.iter().find(|(from, _)| named.as_secs() >= *from);
    step.map(|&(_, step)| step)
        .filter(|step| !step.is_zero() && named.as_nanos().is_multiple_of(step.as_nanos()))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long the client waits at least that writes this.
    fn waits(value: &'static str) -> Duration {
        of(&[(GRPC_TIMEOUT.parse().unwrap(), value.parse().unwrap())]
            .into_iter()
            .collect())
        .unwrap()
    }

    #[test]
    fn a_timeout_is_digits_and_a_unit() {
        for (value, time) in [
            ("1H", Duration::from_hours(1)),
            ("2M", Duration::from_mins(2)),
            ("30S", Duration::from_secs(30)),
            ("250m", Duration::from_millis(250)),
            ("99999999u", Duration::from_micros(99_999_999)),
            ("0n", Duration::ZERO),
            ("99999999H", Duration::from_hours(99_999_999)),
        ] {
            assert_eq!(named(value.as_bytes()), Some(time), "{value}");
        }
        for malformed in [
            "", "S", "1", "1s", "-1S", "+1S", "1.5S", "1 S", "1\u{e9}", "\u{e9}S",
        ] {
            assert_eq!(named(malformed.as_bytes()), None, "{malformed}");
        }
    }

    #[test]
    fn more_digits_than_there_may_be_are_a_long_time() {
        // What connect-node writes for 1000 hours.
        assert_eq!(waits("3600000000m"), Duration::from_hours(1000));
        assert_eq!(waits("123456789S"), Duration::from_secs(123_456_789));
        for unit in ["H", "M", "S"] {
            let value = "9".repeat(5000) + unit;
            let time = named(value.as_bytes());
            assert_eq!(time, Some(Duration::from_secs(u64::MAX)), "{unit}");
        }
    }

    #[test]
    fn what_core_clients_write_is_cut_by_what_they_may_have_rounded_up() {
        // What grpcio 1.85.3 and Ruby 1.51.1 write for these seconds.
        for (value, seconds) in [
            ("2010m", 2),
            ("3010m", 3),
            ("10100m", 10),
            ("90100m", 90),
            ("101S", 100),
            ("121S", 120),
            ("601S", 600),
            ("1010S", 1000),
            ("7210S", 7200),
            ("10100S", 10_000),
            ("86500S", 86_400),
            ("1670M", 100_000),
            ("60100M", 3_600_000),
        ] {
            let time = Duration::from_secs(seconds);
            let waits = waits(value);
            assert!(waits <= time, "{value}: {waits:?}");
            // Within the two largest digits: no client is cut off early.
            assert!(waits + time / 50 >= time, "{value}: {waits:?}");
        }
    }

    #[test]
    fn what_other_clients_write_is_left_as_it_is() {
        for (value, time) in [
            ("2009m", Duration::from_millis(2009)),
            ("90000000u", Duration::from_secs(90)),
            ("119998m", Duration::from_millis(119_998)),
            // grpc-js and grpc-go, of two minutes and of 1000 hours.
            ("120000m", Duration::from_mins(2)),
            ("3600000S", Duration::from_hours(1000)),
        ] {
            assert_eq!(waits(value), time, "{value}");
        }
    }

    /// As `timeout_encoding.cc` writes a time of so many milliseconds.
    fn written_by_core(millis: u64) -> String {
        let seconds = match millis {
            0..1000 => return format!("{millis}m"),
            1000..10_000 if !millis.div_ceil(10).is_multiple_of(100) => {
                return format!("{}m", millis.div_ceil(10) * 10);
            }
            10_000..100_000 if !millis.div_ceil(100).is_multiple_of(10) => {
                return format!("{}m", millis.div_ceil(100) * 100);
            }
            _ => millis.div_ceil(1000),
        };
        let in_steps = |amount: u64| match amount {
            0..1000 => Some(amount),
            1000..10_000 => Some(amount.div_ceil(10) * 10),
            10_000..100_000 => Some(amount.div_ceil(100) * 100),
            _ => None,
        };
        if let Some(seconds) = in_steps(seconds).filter(|seconds| seconds % 60 != 0) {
            return format!("{seconds}S");
        }
        let minutes = seconds.div_ceil(60);
        if let Some(minutes) = in_steps(minutes).filter(|minutes| minutes % 60 != 0) {
            return format!("{minutes}M");
        }
        format!("{}H", minutes.div_ceil(60).min(27_000))
    }

    #[test]
    fn no_core_client_gives_up_before_the_time_that_is_left_here() {
        // Every time up to three minutes, and then ever fewer up to two years.
        let mut millis = 1;
        while millis < 2 * 365 * 24 * 60 * 60 * 1000 {
            let value = written_by_core(millis);
            let named = named(value.as_bytes()).unwrap();
            let waits = named.saturating_sub(rounded_up(value.as_bytes(), named));
            let time = Duration::from_millis(millis);
            assert!(
                waits <= time && time <= named,
                "{time:?} is written `{value}`"
            );
            assert!(waits + time / 50 >= time, "{time:?} is cut to {waits:?}");
            millis += 1 + millis / 180_000 * 977;
        }
    }
}
