//! What a service says now and then about the executor that it works on: the values of bucket `executors`.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// One service's word on one executor, under the key `<executor>.<service>.<instance>`. It expires by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Heartbeat {
    /// The executor.
    pub executor: String,
    /// `launcher` or `reaper`.
    pub service: String,
    /// Which of its replicas.
    pub instance: String,
    /// When it was said.
    pub at: Timestamp,
    /// Whether builds can be launched there.
    pub healthy: bool,
    /// Whether its operator wants it to become empty: what is there goes on, and nothing new begins.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub draining: bool,
    /// Why not, or what keeps it from taking more now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Whether the place is asked at all.
    #[serde(default)]
    pub breaker: BreakerState,
    /// How many builds may be there at once, if that is limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots: Option<u32>,
    /// How many more it takes now, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free: Option<u32>,
}

/// What a circuit breaker does with a question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BreakerState {
    /// It is asked.
    #[default]
    Closed,
    /// It is not: the place did not answer some times in a row.
    Open,
    /// One is asked, to see whether the place answers again.
    HalfOpen,
}

impl Heartbeat {
    /// How long it counts.
    pub const FRESH: SignedDuration = SignedDuration::from_secs(30);

    /// The key that it is written under.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}.{}.{}", self.executor, self.service, self.instance)
    }

    /// Whether it still counts.
    #[must_use]
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        now.duration_since(self.at) < Self::FRESH
    }

    /// Whether a launcher says that it can launch a build on `executor` now, and has room for it.
    pub fn takes<'a>(beats: impl IntoIterator<Item = &'a Self>, executor: &str, now: Timestamp) -> bool {
        beats.into_iter().any(|beat| {
            let speaks = beat.executor == executor && beat.service == "launcher" && beat.is_fresh(now);
            speaks && beat.healthy && !beat.draining && beat.free != Some(0)
        })
    }

    /// Why no launcher can launch on `executor`, if all that say something about it now say so.
    ///
    /// An executor of which nobody says anything is well as far as anybody knows: its builds wait for a launcher.
    pub fn unwell<'a>(beats: impl IntoIterator<Item = &'a Self>, executor: &str, now: Timestamp) -> Option<&'a str> {
        let mut why = None;
        for beat in beats.into_iter().filter(|beat| beat.executor == executor && beat.service == "launcher" && beat.is_fresh(now))
        {
            if beat.healthy {
                return None;
            }
            why = why.or(Some(beat.why.as_deref().unwrap_or("it does not answer")));
        }
        why
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat(instance: &str, healthy: bool, age: i64) -> Heartbeat {
        Heartbeat {
            executor: "k8s".into(),
            service: "launcher".into(),
            instance: instance.into(),
            at: Timestamp::UNIX_EPOCH - SignedDuration::from_secs(age),
            healthy,
            draining: false,
            why: (!healthy).then(|| "no answer".into()),
            breaker: BreakerState::Closed,
            slots: Some(5),
            free: None,
        }
    }

    #[test]
    fn an_executor_is_unwell_only_if_everybody_who_speaks_says_so() {
        let unwell = |beats: &[Heartbeat]| Heartbeat::unwell(beats, "k8s", Timestamp::UNIX_EPOCH).map(str::to_owned);
        assert_eq!(unwell(&[]), None);
        assert_eq!(unwell(&[beat("a", false, 0)]).as_deref(), Some("no answer"));
        assert_eq!(unwell(&[beat("a", false, 0), beat("b", true, 1)]), None);
        assert_eq!(unwell(&[beat("a", false, 31)]), None, "too old to count");
        assert_eq!(Heartbeat::unwell(&[beat("a", false, 0)], "k8s-vm", Timestamp::UNIX_EPOCH), None);
    }

    #[test]
    fn an_executor_takes_builds_if_somebody_with_room_says_so() {
        let takes = |beats: &[Heartbeat]| Heartbeat::takes(beats, "k8s", Timestamp::UNIX_EPOCH);
        let full = Heartbeat { free: Some(0), ..beat("a", true, 0) };
        let draining = Heartbeat { draining: true, ..beat("a", true, 0) };
        for nobody in [&[][..], &[beat("a", false, 0)], &[beat("a", true, 31)], std::slice::from_ref(&full), &[draining]] {
            assert!(!takes(nobody), "{nobody:?}");
        }
        assert!(takes(&[full, beat("b", true, 0)]));
    }

    #[test]
    fn a_heartbeat_is_written_in_few_words() {
        let text = serde_json::to_string(&Heartbeat { breaker: BreakerState::HalfOpen, ..beat("a", true, 0) }).unwrap();
        assert_eq!(
            text,
            r#"{"executor":"k8s","service":"launcher","instance":"a","at":"1970-01-01T00:00:00Z","healthy":true,"breaker":"half-open","slots":5}"#
        );
        assert_eq!(serde_json::from_str::<Heartbeat>(&text).unwrap().key(), "k8s.launcher.a");
    }
}
