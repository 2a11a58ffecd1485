//! Statistics over a few runs and over many samples.

use std::time::Duration;

/// The least, the middle and the greatest of some figures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) least: f64,
    pub(crate) median: f64,
    pub(crate) greatest: f64,
}

impl Spread {
    /// Of at least one figure; of none, zero.
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<_> = figures.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let at = |n: usize| sorted.get(n).copied().unwrap_or_default();
        let (lower, upper) = (at(sorted.len().saturating_sub(1) / 2), at(sorted.len() / 2));
        Self { least: at(0), median: lower.midpoint(upper), greatest: at(sorted.len().saturating_sub(1)) }
    }
}

/// The value that so many of a thousand samples do not exceed (nearest rank). The samples are sorted.
pub(crate) fn quantile(sorted: &[Duration], per_mille: usize) -> Duration {
    let rank = (sorted.len() * per_mille).div_ceil(1000).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

/// A time in milliseconds.
pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Rounded to so many decimals, as people and JSON want it.
pub(crate) fn rounded(figure: f64, decimals: i32) -> f64 {
    let scale = 10f64.powi(decimals);
    (figure * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_an_even_number_of_figures_lies_between_two() {
        assert_eq!(Spread::of([3.0, 1.0, 2.0, 10.0]), Spread { least: 1.0, median: 2.5, greatest: 10.0 });
        assert_eq!(Spread::of([7.0]), Spread { least: 7.0, median: 7.0, greatest: 7.0 });
    }

    #[test]
    fn a_quantile_is_a_sample() {
        let samples: Vec<_> = (1..=1000).map(Duration::from_millis).collect();
        assert_eq!(quantile(&samples, 500), Duration::from_millis(500));
        assert_eq!(quantile(&samples, 999), Duration::from_millis(999));
        assert_eq!(quantile(&samples[..1], 999), Duration::from_millis(1));
        assert_eq!(quantile(&[], 500), Duration::ZERO);
    }
}
