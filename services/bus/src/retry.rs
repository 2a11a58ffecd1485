//! How long to wait before the next try; the one place where that is said.

use std::time::Duration;

use backoff::{ExponentialBackoff, ExponentialBackoffBuilder, backoff::Backoff as _};

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(30);

/// A back-off that never gives up: 0.2 s doubling to 30 s, each ± 30 %.
#[must_use]
pub fn endless() -> ExponentialBackoff {
    ExponentialBackoffBuilder::new()
        .with_initial_interval(FIRST)
        .with_multiplier(2.0)
        .with_randomization_factor(0.3)
        .with_max_interval(LONGEST)
        .with_max_elapsed_time(None)
        .build()
}

/// How long a message that was delivered so often (from 1) stays away before it is delivered again.
#[must_use]
pub fn redelivery(delivered: u64) -> Duration {
    redelivery_from(FIRST, delivered)
}

/// The same, beginning at `first` instead of 0.2 s.
#[must_use]
pub fn redelivery_from(first: Duration, delivered: u64) -> Duration {
    let mut backoff = ExponentialBackoff { initial_interval: first, current_interval: first, ..endless() };
    let mut delay = first;
    for _ in 0..delivered.clamp(1, 10) {
        delay = backoff.next_backoff().unwrap_or(LONGEST);
    }
    delay
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_grows_and_never_ends() {
        assert!(redelivery(0) < Duration::from_millis(300));
        assert!(redelivery(4) > Duration::from_secs(1));
        assert!((20..40).contains(&redelivery(1_000_000).as_secs()));
        assert!((2..4).contains(&redelivery_from(Duration::from_secs(3), 1).as_secs()));
    }
}
