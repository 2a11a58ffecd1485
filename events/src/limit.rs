//! Time limits as people write them: `20s`, `90m`, `1h30m`; a bare number is minutes, as in Screwdriver.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A length of time that something may take, in whole milliseconds, at most 365 days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeLimit(Duration);

/// A time limit that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a time limit: write 20s, 90m, 1h30m or a number of minutes, at most 365d")]
pub struct InvalidTimeLimit(String);

const LONGEST: Duration = Duration::from_hours(365 * 24);
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

impl TimeLimit {
    /// No time at all.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// A limit of so many seconds.
    #[must_use]
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// A limit of so many minutes.
    #[must_use]
    pub const fn minutes(minutes: u64) -> Self {
        Self::seconds(minutes * 60)
    }

    /// The limit as a duration.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// What it is written as: so many of each unit, the largest first.
    pub(crate) fn parts(self) -> impl Iterator<Item = (u64, &'static str)> {
        let all = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        let mut rest = all;
        UNITS.into_iter().filter_map(move |(unit, each)| {
            let count = rest / each;
            rest %= each;
            (count > 0 || (all == 0 && unit == "s")).then_some((count, unit))
        })
    }

    /// Whole seconds, rounded up: what a Kubernetes field takes.
    #[must_use]
    pub fn whole_seconds(self) -> i64 {
        i64::try_from(self.0.as_millis().div_ceil(1000)).unwrap_or(i64::MAX)
    }
}

impl FromStr for TimeLimit {
    type Err = InvalidTimeLimit;

    fn from_str(text: &str) -> Result<Self, InvalidTimeLimit> {
        let invalid = || InvalidTimeLimit(text.to_owned());
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(invalid());
        }
        let mut milliseconds = 0u64;
        while !rest.is_empty() {
            let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
            let (unit, after) = after.split_at(after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len()));
            let each = match UNITS.iter().find(|(name, _)| *name == unit) {
                Some((_, each)) => *each,
                None if unit.is_empty() && number.len() == text.trim().len() => 60_000,
                None => return Err(invalid()),
            };
            let part = number.parse::<u64>().ok().and_then(|n| n.checked_mul(each)).ok_or_else(invalid)?;
            milliseconds = milliseconds.checked_add(part).ok_or_else(invalid)?;
            rest = after;
        }
        let limit = Duration::from_millis(milliseconds);
        if limit <= LONGEST { Ok(Self(limit)) } else { Err(invalid()) }
    }
}

impl fmt::Display for TimeLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts().try_for_each(|(count, unit)| write!(f, "{count}{unit}"))
    }
}

impl Serialize for TimeLimit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = TimeLimit;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time limit such as 20s, 90m or a number of minutes")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<TimeLimit, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_u64<E: de::Error>(self, minutes: u64) -> Result<TimeLimit, E> {
                minutes.to_string().parse().map_err(E::custom)
            }
            fn visit_i64<E: de::Error>(self, minutes: i64) -> Result<TimeLimit, E> {
                minutes.to_string().parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// The limits of one attempt, fixed when it is routed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Routed to bound: how long a build may wait for a launcher.
    pub queued: TimeLimit,
    /// Unbound for so long, it is given to another executor that takes builds; without one, it waits where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reroute_after: Option<TimeLimit>,
    /// Bound to running: scheduling, image pull, start of the virtual machine.
    pub pending: TimeLimit,
    /// Running to ended.
    pub running: TimeLimit,
    /// The most that `running` may ever become: the node's own deadline is set from it.
    pub running_max: TimeLimit,
    /// Delete asked to pod gone.
    pub teardown: TimeLimit,
    /// Added to the node's deadline, so that ours comes first.
    pub grace: TimeLimit,
    /// How long an ended pod is kept for its logs.
    pub linger: TimeLimit,
}

impl Limits {
    /// What holds where nothing else was said.
    pub const STANDARD: Self = Self {
        queued: TimeLimit::minutes(8 * 60),
        reroute_after: None,
        pending: TimeLimit::minutes(10),
        running: TimeLimit::minutes(90),
        running_max: TimeLimit::minutes(120),
        teardown: TimeLimit::minutes(5),
        grace: TimeLimit::seconds(60),
        linger: TimeLimit::minutes(10),
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::STANDARD
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn limits_are_read_as_people_write_them() {
        for (text, seconds) in [("20s", 20), ("90m", 5400), ("1h30m", 5400), ("90", 5400), ("2d", 172_800), ("0", 0)] {
            assert_eq!(text.parse(), Ok(TimeLimit::seconds(seconds)), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_limit_is_refused_with_the_remedy() {
        for text in ["", "m", "-1", "1.5h", "90 m", "1h30", "5w", "366d", "99999999999999999999s"] {
            assert!(text.parse::<TimeLimit>().is_err(), "{text}");
        }
        assert!("abc".parse::<TimeLimit>().unwrap_err().to_string().contains("write 20s, 90m"));
    }

    #[test]
    fn a_bare_number_in_a_file_is_minutes() {
        assert_eq!(serde_json::from_str::<TimeLimit>("90").unwrap(), TimeLimit::minutes(90));
        assert!(serde_json::from_str::<TimeLimit>("-3").is_err());
    }

    proptest! {
        #[test]
        fn every_limit_survives_being_written(milliseconds in 0u64..=365 * 86_400_000) {
            let limit = TimeLimit(Duration::from_millis(milliseconds));
            prop_assert_eq!(limit.to_string().parse(), Ok(limit));
        }
    }
}
