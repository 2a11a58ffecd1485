//! The decision whether an API server is asked at all: after some failures in a row it is left alone for a while.

use std::time::Duration;

use tokio::time::Instant;

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    /// How long one question may take.
    pub(crate) timeout: Duration,
    /// So many failures in a row open it.
    pub(crate) max_failures: u32,
    /// So long nothing is asked; then one question tries.
    pub(crate) reset: Duration,
}

/// Closed: everything is asked. Open: nothing is. Half open: one question is, and its answer decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Breaker {
    Closed { failures: u32 },
    Open { until: Instant },
    HalfOpen { until: Instant },
}

impl Default for Breaker {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

impl Breaker {
    /// Whether one more question may be asked now; else how long it must wait. An open one whose time is over becomes half open.
    pub(crate) fn admit(self, policy: &Policy, now: Instant) -> Result<Self, Duration> {
        match self {
            Self::Closed { .. } => Ok(self),
            // A question that was never answered, nor failed, must not keep the others away for ever.
            Self::Open { until } | Self::HalfOpen { until } if until <= now => Ok(Self::HalfOpen { until: now + policy.timeout }),
            Self::Open { until } => Err(until - now),
            Self::HalfOpen { until } => Err(policy.reset.min(until - now)),
        }
    }

    /// After an answer.
    pub(crate) const fn succeeded() -> Self {
        Self::Closed { failures: 0 }
    }

    /// After a failure.
    pub(crate) fn failed(self, policy: &Policy, now: Instant) -> Self {
        match self {
            Self::Closed { failures } if failures + 1 < policy.max_failures => Self::Closed { failures: failures + 1 },
            Self::Closed { .. } | Self::Open { .. } | Self::HalfOpen { .. } => Self::Open { until: now + policy.reset },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy { timeout: Duration::from_secs(10), max_failures: 3, reset: Duration::from_secs(2) };

    fn opened(now: Instant) -> Breaker {
        (0..3).fold(Breaker::default(), |breaker, _| breaker.failed(&POLICY, now))
    }

    #[test]
    fn failures_in_a_row_open_it_and_an_answer_in_between_does_not_let_them_add_up() {
        let now = Instant::now();
        let two = Breaker::default().failed(&POLICY, now).failed(&POLICY, now);
        assert!(two.admit(&POLICY, now).is_ok());
        assert_eq!(opened(now).admit(&POLICY, now), Err(POLICY.reset));
        let again = (0..2).fold(Breaker::succeeded(), |breaker, _| breaker.failed(&POLICY, now));
        assert!(again.admit(&POLICY, now).is_ok());
    }

    #[test]
    fn after_its_time_one_question_tries() {
        let now = Instant::now();
        let later = now + POLICY.reset;
        let half = opened(now).admit(&POLICY, later).unwrap();
        assert_eq!(half.admit(&POLICY, later), Err(POLICY.reset), "the others wait for its answer");
        assert_eq!(half.failed(&POLICY, later).admit(&POLICY, later), Err(POLICY.reset));
        assert!(Breaker::succeeded().admit(&POLICY, later).is_ok());
    }

    #[test]
    fn a_question_that_was_dropped_does_not_keep_it_half_open() {
        let now = Instant::now();
        let half = opened(now).admit(&POLICY, now + POLICY.reset).unwrap();
        assert!(half.admit(&POLICY, now + POLICY.reset + POLICY.timeout).is_ok());
    }
}
