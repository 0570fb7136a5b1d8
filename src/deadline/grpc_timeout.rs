//! `grpc-timeout`: the timeout that a client sends, less what it rounded up.

use std::time::Duration;

use http::HeaderMap;

/// The header with the timeout of a call.
pub(super) const GRPC_TIMEOUT: &str = "grpc-timeout";

/// How long the client waits at least, if its headers have a valid timeout.
pub(super) fn from_headers(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(GRPC_TIMEOUT)?.as_bytes();
    let timeout = parse(value)?;
    Some(timeout.saturating_sub(rounded_up(value, timeout)))
}

/// Parses digits and a unit. The protocol allows eight digits, but connect-node
/// writes more for a very long timeout, and one that no clock can hold is as
/// good as none.
fn parse(value: &[u8]) -> Option<Duration> {
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

/// By how much at most a core client has rounded up to this value; zero for a
/// value that none writes.
///
/// Core gRPC clients (Python, C++, Ruby, PHP) round their timeouts up, in steps
/// that depend on the unit that they write and on the seconds (grpc/grpc#28346,
/// `src/core/lib/transport/timeout_encoding.cc`). They give up before the timeout
/// that they send.
///
/// The same clients may send the timeout of an earlier call of the connection
/// that is up to 3 % longer. That is not subtracted: nothing shows it, and all
/// calls would have less time.
fn rounded_up(value: &[u8], timeout: Duration) -> Duration {
    let step = match (value.last(), timeout.as_secs()) {
        (Some(b'm' | b'S'), 1..10) => Duration::from_millis(10),
        (Some(b'm' | b'S'), 10..100) => Duration::from_millis(100),
        (Some(b'S'), 100..1000) => Duration::from_secs(1),
        (Some(b'S'), 1000..10_000) => Duration::from_secs(10),
        (Some(b'S'), 10_000..100_000) => Duration::from_secs(100),
        (Some(b'M'), 1..100) => Duration::from_millis(100),
        (Some(b'M'), 100..1000) => Duration::from_secs(1),
        (Some(b'M'), 1000..10_000) => Duration::from_secs(10),
        (Some(b'M' | b'H'), 10_000..60_000) => Duration::from_mins(1),
        (Some(b'M' | b'H'), 60_000..600_000) => Duration::from_mins(10),
        (Some(b'M'), 600_000..6_000_000) => Duration::from_mins(100),
        (Some(b'H'), 1..10_000) => Duration::from_secs(10),
        (Some(b'H'), 600_000..) => Duration::from_hours(1),
        // Too short to be rounded, or written with another unit.
        _ => return Duration::ZERO,
    };
    let is_multiple = timeout.as_nanos().is_multiple_of(step.as_nanos());
    if is_multiple { step } else { Duration::ZERO }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shortest time that a client which writes this value waits.
    fn min_wait(value: &'static str) -> Duration {
        from_headers(
            &[(GRPC_TIMEOUT.parse().unwrap(), value.parse().unwrap())]
                .into_iter()
                .collect(),
        )
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
            assert_eq!(parse(value.as_bytes()), Some(time), "{value}");
        }
        for malformed in [
            "", "S", "1", "1s", "-1S", "+1S", "1.5S", "1 S", "1\u{e9}", "\u{e9}S",
        ] {
            assert_eq!(parse(malformed.as_bytes()), None, "{malformed}");
        }
    }

    #[test]
    fn more_digits_than_the_protocol_allows_are_a_long_timeout() {
        // connect-node writes this for 1000 hours.
        assert_eq!(min_wait("3600000000m"), Duration::from_hours(1000));
        assert_eq!(min_wait("123456789S"), Duration::from_secs(123_456_789));
        for unit in ["H", "M", "S"] {
            let value = "9".repeat(5000) + unit;
            let time = parse(value.as_bytes());
            assert_eq!(time, Some(Duration::from_secs(u64::MAX)), "{unit}");
        }
    }

    #[test]
    fn the_rounding_of_core_clients_is_subtracted() {
        // grpcio 1.85.3 and Ruby 1.51.1 write these values for these seconds.
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
            let wait = min_wait(value);
            assert!(wait <= time, "{value}: {wait:?}");
            // Within the two largest digits, so no client is cut off early.
            assert!(wait + time / 50 >= time, "{value}: {wait:?}");
        }
    }

    #[test]
    fn the_timeouts_of_other_clients_stay_unchanged() {
        for (value, time) in [
            ("2009m", Duration::from_millis(2009)),
            ("90000000u", Duration::from_secs(90)),
            ("119998m", Duration::from_millis(119_998)),
            // grpc-js and grpc-go write these for two minutes and for 1000 hours.
            ("120000m", Duration::from_mins(2)),
            ("3600000S", Duration::from_hours(1000)),
        ] {
            assert_eq!(min_wait(value), time, "{value}");
        }
    }

    /// Encodes a timeout in milliseconds as `timeout_encoding.cc` does.
    fn encode_as_core(millis: u64) -> String {
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
    fn no_core_client_gives_up_before_the_parsed_timeout() {
        // Every timeout up to three minutes, then larger and larger steps up to
        // two years.
        let mut millis = 1;
        while millis < 2 * 365 * 24 * 60 * 60 * 1000 {
            let value = encode_as_core(millis);
            let sent = parse(value.as_bytes()).unwrap();
            let wait = sent.saturating_sub(rounded_up(value.as_bytes(), sent));
            let time = Duration::from_millis(millis);
            assert!(
                wait <= time && time <= sent,
                "{time:?} is written `{value}`"
            );
            assert!(wait + time / 50 >= time, "{time:?} is cut to {wait:?}");
            millis += 1 + millis / 180_000 * 977;
        }
    }
}
