//! Where two samples are furthest apart: what a person asks once the statistic is great.

/// A place of the greatest distance between two distribution functions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Widest {
    /// The value at which it is measured: of several, the least of the first sample's, else of the other's.
    pub at: f64,
    /// Whether more of the first sample than of the other lies up to there.
    pub first_leads: bool,
}

/// Looks through both samples, sorted.
pub(super) fn widest(one: &[f64], other: &[f64]) -> Option<Widest> {
    let upto = |sample: &[f64], value: f64| sample.partition_point(|at| *at <= value) as i128;
    let lead = |value: f64| upto(one, value) * other.len() as i128 - upto(other, value) * one.len() as i128;
    let mut most: Option<(i128, f64)> = None;
    let mut least: Option<(i128, f64)> = None;
    for value in one.iter().chain(other).copied() {
        let lead = lead(value);
        most = most.filter(|(most, _)| *most >= lead).or(Some((lead, value)));
        least = least.filter(|(least, _)| *least <= lead).or(Some((lead, value)));
    }
    let (most, least) = most.zip(least)?;
    let first_leads = most.0 >= -least.0;
    Some(Widest { at: if first_leads { most.1 } else { least.1 }, first_leads })
}
