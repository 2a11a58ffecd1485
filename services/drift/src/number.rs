//! Between counts and real numbers, in one place each.

/// A count as a real number; exact up to 2⁵³.
#[expect(clippy::cast_precision_loss, reason = "a window never holds 2⁵³ rows")]
pub(crate) fn real(count: u64) -> f64 {
    count as f64
}

/// The length of something as a real number.
pub(crate) fn length(of: usize) -> f64 {
    real(of as u64)
}

/// The whole part of a number that is not negative.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "callers hold it within 0 and a length")]
pub(crate) fn whole(number: f64) -> usize {
    number.max(0.0) as usize
}
