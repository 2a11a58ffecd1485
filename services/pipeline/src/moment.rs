//! When a row happened.

use jiff::{Timestamp, civil, tz::TimeZone};

use crate::table::Cell;

/// The moment that a value names, in microseconds since 1970: RFC 3339, a date with or without a time (UTC), or seconds,
/// milliseconds or microseconds since 1970, told apart by their size.
pub(crate) fn moment(cell: Cell<'_>) -> Option<i64> {
    match cell {
        Cell::Missing | Cell::Boolean(_) => None,
        Cell::Integer(value) => Some(since_epoch(value)),
        Cell::Float(value) if value.abs() < 1e11 => Some(whole(value * 1e6)),
        Cell::Float(value) => Some(since_epoch(whole(value))),
        Cell::String(text) => written(text),
    }
}

fn since_epoch(value: i64) -> i64 {
    match value.unsigned_abs() {
        0..100_000_000_000 => value * 1_000_000,
        100_000_000_000..100_000_000_000_000 => value * 1_000,
        _ => value,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "moments lie far within; what does not is held at the end of the range")]
fn whole(value: f64) -> i64 {
    value.round() as i64
}

fn written(text: &str) -> Option<i64> {
    let utc = |at: civil::DateTime| at.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    let at = text.parse::<Timestamp>().ok();
    let at = at.or_else(|| text.parse::<civil::DateTime>().ok().and_then(utc));
    at.or_else(|| text.parse::<civil::Date>().ok().and_then(|date| utc(date.to_datetime(civil::Time::midnight()))))
        .map(Timestamp::as_microsecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_however_it_is_written() {
        let expected = Some(1_767_225_600_000_000);
        for text in
            ["2026-01-01", "2026-01-01T00:00:00", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", "2026-01-01 00:00:00"]
        {
            assert_eq!(moment(Cell::String(text)), expected, "{text}");
        }
        for value in [1_767_225_600, 1_767_225_600_000, 1_767_225_600_000_000] {
            assert_eq!(moment(Cell::Integer(value)), expected);
        }
        assert_eq!(moment(Cell::Float(1_767_225_600.0)), expected);
        assert_eq!(moment(Cell::String("yesterday")), None);
    }
}
