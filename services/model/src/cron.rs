//! Times that come again, as `cron` writes them: minute, hour, day of the month, month, day of the week; in UTC.

use std::fmt;

use jiff::{Timestamp, civil, tz::TimeZone};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use switchyard_file::Word;

/// Five fields of `cron`: numbers, `*`, lists, ranges and steps.
///
/// Where both days are restricted, either is enough, as in POSIX.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    text: String,
    minute: u64,
    hour: u64,
    day: u64,
    month: u64,
    weekday: u64,
    either_day: bool,
}

/// A field: its name, its least and its greatest number.
const FIELDS: [(&str, u32, u32); 5] = [("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 7)];

/// No time that comes at all is further away: the 29th of February, over a century without one.
const FURTHEST_YEARS: i16 = 9;

impl Cron {
    /// The first time after `after`; `None` where there never is one, such as on the 30th of February.
    #[must_use]
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let start = after.to_zoned(TimeZone::UTC).datetime();
        let mut date = start.date();
        let last = civil::Date::new(date.year().checked_add(FURTHEST_YEARS)?, 1, 1).ok()?;
        let mut from = Some(start.time());
        while date < last {
            if self.is_day(date)
                && let Some(time) = self.first(from)
            {
                return date.to_datetime(time).to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
            }
            from = None;
            date = date.tomorrow().ok()?;
        }
        None
    }

    /// The first time of a day, later than `after` if that is given.
    fn first(&self, after: Option<civil::Time>) -> Option<civil::Time> {
        let minutes = (0..24_i8).flat_map(|hour| (0..60_i8).map(move |minute| (hour, minute)));
        let fits = minutes.filter(|(hour, minute)| self.hour >> hour & 1 == 1 && self.minute >> minute & 1 == 1);
        let later = |(hour, minute): &(i8, i8)| after.is_none_or(|after| (*hour, *minute) > (after.hour(), after.minute()));
        fits.filter(later).find_map(|(hour, minute)| civil::Time::new(hour, minute, 0, 0).ok())
    }

    fn is_day(&self, date: civil::Date) -> bool {
        let day = self.day >> date.day() & 1 == 1;
        let weekday = self.weekday >> date.weekday().to_sunday_zero_offset() & 1 == 1;
        let days = if self.either_day { day || weekday } else { day && weekday };
        days && self.month >> date.month() & 1 == 1
    }
}

impl Word for Cron {
    fn parse(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        if fields.len() != FIELDS.len() {
            let rule = "is not five fields: minute, hour, day, month, weekday, such as '0 3 * * 0' for Sundays at 3:00 UTC";
            return Err(format!("{text:?} {rule}"));
        }
        let mut sets = [0; 5];
        for (at, (field, (name, least, most))) in fields.iter().zip(FIELDS).enumerate() {
            sets[at] = set(field, least, most)
                .ok_or_else(|| format!("{field:?} is no {name}: {least} to {most}, *, lists, ranges or steps"))?;
        }
        let [minute, hour, day, month, mut weekday] = sets;
        weekday |= weekday >> 7 & 1;
        let either_day = !fields[2].starts_with('*') && !fields[4].starts_with('*');
        let cron = Self { text: fields.join(" "), minute, hour, day, month, weekday, either_day };
        let never = || format!("{text:?} never comes");
        cron.next(Timestamp::UNIX_EPOCH).map(|_| cron.clone()).ok_or_else(never)
    }

    fn schema() -> Value {
        json!({"type": "string", "examples": ["0 3 * * 0"]})
    }
}

/// The numbers of a field, as bits.
fn set(field: &str, least: u32, most: u32) -> Option<u64> {
    field.split(',').try_fold(0, |set, part| {
        let (range, step) = part.split_once('/').map_or((part, Some(1)), |(range, step)| (range, number(step)));
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (least, most),
            Some((from, to)) => (number(from)?, number(to)?),
            None if part.contains('/') => (number(range)?, most),
            None => (number(range)?, number(range)?),
        };
        let step = step.filter(|step| *step > 0)?;
        (from >= least && to <= most && from <= to).then(|| (from..=to).step_by(step as usize).fold(set, |set, n| set | 1 << n))
    })
}

fn number(text: &str) -> Option<u32> {
    (1..=2).contains(&text.len()).then(|| text.parse().ok()).flatten().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Cron {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(cron: &str, after: &str) -> String {
        Cron::parse(cron).unwrap().next(after.parse().unwrap()).unwrap().to_string()
    }

    #[test]
    fn the_next_time_is_found() {
        for (cron, after, wanted) in [
            ("0 3 * * 0", "2026-11-25T01:00:00Z", "2026-11-29T03:00:00Z"),
            ("0 3 * * 7", "2026-11-29T03:00:00Z", "2026-12-06T03:00:00Z"),
            ("*/15 * * * *", "2026-11-25T01:00:00Z", "2026-11-25T01:15:00Z"),
            ("5 0-1 * * 1-5", "2026-11-27T01:05:01Z", "2026-11-30T00:05:00Z"),
            ("0 0 29 2 *", "2096-03-01T00:00:00Z", "2104-02-29T00:00:00Z"),
            ("0 0 13 * 5", "2026-11-25T00:00:00Z", "2026-11-27T00:00:00Z"),
            ("59 23 31 12 *", "2026-12-31T23:59:00Z", "2027-12-31T23:59:00Z"),
            ("10/20 5 1,2 * *", "2026-11-30T00:00:00Z", "2026-12-01T05:10:00Z"),
        ] {
            assert_eq!(next(cron, after), wanted, "{cron} after {after}");
        }
    }

    #[test]
    fn what_is_no_time_says_which_field() {
        let wrong = |cron: &str| Cron::parse(cron).unwrap_err();
        assert!(wrong("0 3 * *").contains("five fields"));
        assert!(wrong("60 3 * * 0").contains("\"60\" is no minute: 0 to 59"));
        assert!(wrong("0 3 * * sun").contains("\"sun\" is no weekday"));
        assert!(wrong("*/0 * * * *").contains("no minute") && wrong("5-1 * * * *").contains("no minute"));
        assert!(wrong("0 0 30 2 *").contains("never comes"));
    }
}
