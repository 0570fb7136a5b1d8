//! Dates: parsed from every spelling that the vendor uses, written in one.

use std::ops::RangeInclusive;

use jiff::civil::{DateTime, date};
use jiff::{SignedDuration, Timestamp};
use serde::de::Unexpected;
use serde::{Deserializer, Serialize, Serializer, ser};

/// The range of `google.protobuf.Timestamp`: the years 1 to 9999.
const SECONDS: RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

const EPOCH: DateTime = date(1970, 1, 1).at(0, 0, 0, 0);

/// Parses an ISO 8601 date, with an offset (`Z`, `+00:00`, `+0000`) or without
/// (UTC), and with or without a fraction, whose digits beyond the ninth are cut.
/// `null` and empty text are `None`.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<prost_types::Timestamp>, D::Error> {
    super::scalar(deserializer, "an ISO 8601 date", |found| match found {
        Unexpected::Str(text) => parse(text),
        _ => None,
    })
}

/// Parses a date as [`deserialize`] does.
pub(crate) fn parse(text: &str) -> Option<prost_types::Timestamp> {
    let since = since_epoch(text).or_else(|| since_epoch(&with_nanoseconds(text)?))?;
    // Protobuf counts the fraction upwards, also before 1970.
    let seconds = since.as_secs() - i64::from(since.subsec_nanos() < 0);
    let nanos = since.subsec_nanos().rem_euclid(1_000_000_000);
    let is_valid = SECONDS.contains(&seconds);
    is_valid.then_some(prost_types::Timestamp { seconds, nanos })
}

fn since_epoch(text: &str) -> Option<SignedDuration> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(moment.as_duration());
    }
    // Dates without an offset; and the last day of the year 9999, which means
    // "never" and is outside the range of `jiff::Timestamp`.
    let utc = ["Z", "+00:00", "+0000"]
        .iter()
        .find_map(|offset| text.strip_suffix(offset));
    let local: DateTime = utc.unwrap_or(text).parse().ok()?;
    Some(local.duration_since(EPOCH))
}

/// The date with its fraction cut to nine digits, if it has more.
fn with_nanoseconds(text: &str) -> Option<String> {
    let (whole, rest) = text.split_once('.')?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (fraction, offset) = rest.split_at(digits);
    Some(format!("{whole}.{}{offset}", fraction.get(..9)?))
}

/// Writes a date as the vendor does: `2026-11-23T10:15:30.123Z`, cut to
/// milliseconds.
#[expect(
    clippy::ref_option,
    reason = "serde calls it with a reference to the field"
)]
pub(crate) fn serialize<S: Serializer>(
    date: &Option<prost_types::Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    /// Fails inside the field, so that the tracked path names the field and not
    /// its parent.
    struct OutOfRange;

    impl Serialize for OutOfRange {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(ser::Error::custom(
                "must be a date of the years 1 to 9999, with nanos from 0 to 999999999",
            ))
        }
    }

    let Some(date) = date else {
        return serializer.serialize_none();
    };
    let is_valid = SECONDS.contains(&date.seconds) && (0..1_000_000_000).contains(&date.nanos);
    let since = is_valid.then(|| SignedDuration::new(date.seconds, date.nanos));
    match since.and_then(|since| EPOCH.checked_add(since).ok()) {
        Some(date) => serializer.collect_str(&date.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")),
        None => serializer.serialize_newtype_struct("date", &OutOfRange),
    }
}

#[cfg(test)]
mod tests {
    use crate::proto::v1::UserPresence;

    fn parse_field(json: &str) -> serde_json::Result<Option<prost_types::Timestamp>> {
        super::deserialize(&mut serde_json::Deserializer::from_str(json))
    }

    fn read(date: &str) -> Option<(i64, i32)> {
        let date = parse_field(date).unwrap()?;
        Some((date.seconds, date.nanos))
    }

    #[test]
    fn every_spelling_of_a_date_parses_to_the_same_moment() {
        for spelling in [
            "2026-11-23T10:15:30.123Z",
            "2026-11-23T10:15:30.123+00:00",
            "2026-11-23T10:15:30.123+0000",
            "2026-11-23T12:15:30.123+02:00",
            "2026-11-23T10:15:30.123000Z",
            "2026-11-23T10:15:30.123",
        ] {
            let moment = Some((1_795_428_930, 123_000_000));
            assert_eq!(read(&format!("\"{spelling}\"")), moment, "{spelling}");
        }
        assert_eq!(read("\"2026-11-23T10:15:30Z\""), Some((1_795_428_930, 0)));
        assert_eq!(
            read("\"2026-11-23T10:15:30+0000\""),
            Some((1_795_428_930, 0))
        );
        assert_eq!(
            read("\"9999-12-31T23:59:59Z\""),
            Some((*super::SECONDS.end(), 0))
        );
        assert_eq!(
            read("\"0001-01-01T00:00:00+0000\""),
            Some((*super::SECONDS.start(), 0))
        );
        assert_eq!(read("null"), None);
    }

    #[test]
    fn digits_beyond_nanoseconds_are_truncated_and_an_empty_text_is_no_date() {
        for spelling in [
            "2026-11-23T10:15:30.1234567899Z",
            "2026-11-23T12:15:30.123456789000000000000+0200",
            "2026-11-23T10:15:30.1234567891",
        ] {
            let moment = Some((1_795_428_930, 123_456_789));
            assert_eq!(read(&format!("\"{spelling}\"")), moment, "{spelling}");
        }
        assert_eq!(read("\"\""), None);
    }

    #[test]
    fn a_date_outside_the_range_is_rejected() {
        for date in [
            "0000-12-31T23:59:59Z",
            "0001-01-01T00:00:00+01:00",
            "-0001-01-01T00:00:00Z",
        ] {
            let error = parse_field(&format!("\"{date}\"")).unwrap_err();
            assert!(
                error.to_string().contains("an ISO 8601 date"),
                "{date}: {error}"
            );
        }
    }

    #[test]
    fn a_fraction_before_1970_is_positive() {
        assert_eq!(
            read("\"1969-12-31T23:59:59.750Z\""),
            Some((-1, 750_000_000))
        );
    }

    #[test]
    fn a_date_is_written_with_milliseconds_and_z() {
        for (seconds, nanos, written) in [
            (1_795_428_930, 123_456_789, "2026-11-23T10:15:30.123Z"),
            (1_795_428_930, 0, "2026-11-23T10:15:30.000Z"),
            (-1, 750_000_000, "1969-12-31T23:59:59.750Z"),
            (*super::SECONDS.start(), 0, "0001-01-01T00:00:00.000Z"),
            (
                *super::SECONDS.end(),
                999_999_999,
                "9999-12-31T23:59:59.999Z",
            ),
        ] {
            let modified_date = Some(prost_types::Timestamp { seconds, nanos });
            let presence = UserPresence {
                modified_date,
                ..UserPresence::default()
            };
            let json = serde_json::to_value(&presence).unwrap();
            assert_eq!(json["modifiedDate"], written);
        }
    }

    #[test]
    fn a_date_that_cannot_be_written_is_an_error() {
        for (seconds, nanos) in [(i64::MAX, 0), (i64::MIN, 0), (0, -1), (0, 1_000_000_000)] {
            let modified_date = Some(prost_types::Timestamp { seconds, nanos });
            let presence = UserPresence {
                modified_date,
                ..UserPresence::default()
            };
            let error = serde_json::to_value(&presence).unwrap_err().to_string();
            assert!(
                error.contains("years 1 to 9999"),
                "{seconds}.{nanos}: {error}"
            );
        }
    }
}
