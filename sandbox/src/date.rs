//! Dates in the vendor's format.

use jiff::Timestamp;

/// Formats a timestamp as the vendor does: RFC 3339 in UTC, with milliseconds.
pub(super) fn date(timestamp: Timestamp) -> String {
    format!("{timestamp:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_ends_with_milliseconds_and_z() {
        let moment: Timestamp = "2026-11-23T10:15:30.123456+00:00".parse().unwrap();
        assert_eq!(date(moment), "2026-11-23T10:15:30.123Z");
        assert_eq!(date(Timestamp::UNIX_EPOCH), "1970-01-01T00:00:00.000Z");
    }
}
