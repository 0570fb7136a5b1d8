//! Dates: read in every spelling that the vendor has used, written in one.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use serde::{Deserialize, Deserializer, Serializer, de, ser};

/// What a date may be, as `google.protobuf.Timestamp` defines it: the years 1 to 9999.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// Reads an ISO 8601 date, with `Z`, `+00:00`, `+0000` or no offset at all
/// (which means UTC), with or without a fraction; `null` is no date.
pub(crate) fn deserialize<'de, D>(
    deserializer: D,
) -> Result<Option<prost_types::Timestamp>, D::Error>
where
    D: Deserializer<'de>,
{
    let Some(text) = Option::<String>::deserialize(deserializer)? else {
        return Ok(None);
    };
    let date = text
        .parse::<Timestamp>()
        .or_else(|_| Offset::UTC.to_timestamp(text.parse::<DateTime>()?))
        .map_err(|_| de::Error::invalid_value(de::Unexpected::Str(&text), &"an ISO 8601 date"))?;
    Ok(Some(prost_types::Timestamp {
        // Protobuf counts the fraction upwards, also before 1970.
        seconds: date.as_second() - i64::from(date.subsec_nanosecond() < 0),
        nanos: date.subsec_nanosecond().rem_euclid(1_000_000_000),
    }))
}

/// Writes a date as the vendor does, `2026-11-23T10:15:30.123Z`; what is finer
/// than a millisecond is cut off.
#[expect(clippy::ref_option, reason = "serde calls it with a reference to the field")]
pub(crate) fn serialize<S>(
    date: &Option<prost_types::Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error>
where
    S: Serializer,
{
    let Some(date) = date else {
        return serializer.serialize_none();
    };
    let valid = SECONDS.contains(&date.seconds) && (0..1_000_000_000).contains(&date.nanos);
    let date = Timestamp::new(date.seconds, date.nanos).ok().filter(|_| valid);
    let date = date.ok_or_else(|| {
        ser::Error::custom("must be a date of the years 1 to 9999, with nanos from 0 to 999999999")
    })?;
    serializer.collect_str(&date.strftime("%Y-%m-%dT%H:%M:%S%.3fZ"))
}

#[cfg(test)]
mod tests {
    use crate::proto::v1::UserPresence;

    fn read(date: &str) -> Option<(i64, i32)> {
        let json = format!(r#"{{"modifiedDate":{date}}}"#);
        let presence: UserPresence = serde_json::from_str(&json).unwrap();
        presence.modified_date.map(|date| (date.seconds, date.nanos))
    }

    #[test]
    fn every_spelling_of_the_vendors_reads_as_the_same_moment() {
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
        assert_eq!(read("\"2026-11-23T10:15:30+0000\""), Some((1_795_428_930, 0)));
        assert_eq!(read("null"), None);
    }

    #[test]
    fn a_fraction_before_1970_counts_upwards() {
        assert_eq!(read("\"1969-12-31T23:59:59.750Z\""), Some((-1, 750_000_000)));
    }

    #[test]
    fn a_date_is_written_with_milliseconds_and_z() {
        for (seconds, nanos, written) in [
            (1_795_428_930, 123_456_789, "2026-11-23T10:15:30.123Z"),
            (1_795_428_930, 0, "2026-11-23T10:15:30.000Z"),
            (-1, 750_000_000, "1969-12-31T23:59:59.750Z"),
            (*super::SECONDS.start(), 0, "0001-01-01T00:00:00.000Z"),
            (*super::SECONDS.end(), 999_999_999, "9999-12-31T23:59:59.999Z"),
        ] {
            let modified_date = Some(prost_types::Timestamp { seconds, nanos });
            let presence = UserPresence { modified_date, ..UserPresence::default() };
            let json = serde_json::to_value(&presence).unwrap();
            assert_eq!(json["modifiedDate"], written);
        }
    }

    #[test]
    fn a_date_that_cannot_be_written_is_refused() {
        for (seconds, nanos) in [(i64::MAX, 0), (i64::MIN, 0), (0, -1), (0, 1_000_000_000)] {
            let modified_date = Some(prost_types::Timestamp { seconds, nanos });
            let presence = UserPresence { modified_date, ..UserPresence::default() };
            let error = serde_json::to_value(&presence).unwrap_err().to_string();
            assert!(error.contains("years 1 to 9999"), "{seconds}.{nanos}: {error}");
        }
    }
}
