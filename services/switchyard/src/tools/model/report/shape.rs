//! Counts between edges that lie wherever the reference has them, as bars of one width. Pure.

use switchyard_drift::{Categories, Histogram};

use super::view::Shape;

/// How many bars a column of numbers has.
const BARS: usize = 36;
/// How many names are shown one by one.
const NAMES: usize = 8;
/// The tails beyond these shares are cut off where they would flatten everything else.
const TAIL: f64 = 0.005;
/// They are cut off where the whole is so many times as wide as the rest.
const FLAT: f64 = 2.0;

/// Numbers of the reference and of a window, between the same edges.
pub(super) fn numbers(reference: &Histogram, current: Option<&Histogram>) -> Option<Shape> {
    let ties = ties(reference);
    let (old, new) = (pieces(reference, &ties), current.map(|current| pieces(current, &ties)).unwrap_or_default());
    let (low, high) = range(&[&old, &new])?;
    Some(Shape::Numbers { low, high, reference: bars(&old, low, high), current: bars(&new, low, high) })
}

/// Names of the reference and of a window.
pub(super) fn names(reference: &Categories, current: Option<&Categories>) -> Shape {
    let share = |counts: Vec<u64>| {
        let whole = counts.iter().sum::<u64>().max(1) as f64;
        counts.into_iter().map(|count| count as f64 / whole).collect::<Vec<f64>>()
    };
    let (old, new) = (share(reference.counts()), current.map(|current| share(current.counts())).unwrap_or_default());
    let all: Vec<String> = reference.names().map(str::to_owned).chain(["unseen".to_owned()]).collect();
    let mut order: Vec<usize> = (0..all.len() - 1).collect();
    order.sort_by(|a, b| old[*b].total_cmp(&old[*a]).then(a.cmp(b)));
    let (first, rest) = order.split_at(order.len().min(NAMES));
    let pick = |shares: &[f64]| {
        let rest = (!rest.is_empty()).then(|| rest.iter().filter_map(|at| shares.get(*at)).sum());
        let unseen = shares.last().copied().unwrap_or(0.0);
        first.iter().map(|at| shares.get(*at).copied().unwrap_or(0.0)).chain(rest).chain([unseen]).collect()
    };
    let others = (!rest.is_empty()).then(|| format!("{} others", rest.len()));
    let names = first.iter().map(|at| all[*at].clone()).chain(others).chain(["(unseen)".to_owned()]).collect();
    Shape::Names { names, reference: pick(&old), current: if new.is_empty() { Vec::new() } else { pick(&new) } }
}

/// So many times what an even cut would give is no chance: many rows hold one value.
const TIED: f64 = 10.0;

/// The slots whose rows hold one value nearly all: their lower edge. The reference is cut into parts of equal mass, and only rows
/// that cannot be told apart make a part greater.
fn ties(reference: &Histogram) -> Vec<bool> {
    let even = reference.values() as f64 / reference.counts().iter().filter(|count| **count > 0).count().max(1) as f64;
    let mean = even.min(reference.values() as f64 / 2.0 / TIED);
    reference.counts().iter().map(|count| *count as f64 > TIED * mean.max(1.0)).collect()
}

/// Where values lie, and which share of them.
struct Piece {
    from: f64,
    to: f64,
    share: f64,
}

fn pieces(histogram: &Histogram, ties: &[bool]) -> Vec<Piece> {
    let (edges, beside) = (histogram.edges().as_slice(), histogram.beside());
    let (Some(least), Some(greatest)) = (beside.least, beside.greatest) else { return Vec::new() };
    let whole = histogram.values().max(1) as f64;
    let bound = |at: Option<usize>, none: f64| at.and_then(|at| edges.get(at)).copied().unwrap_or(none);
    let piece = |(slot, count): (usize, &u64)| {
        let (from, to) = (bound(slot.checked_sub(1), least).max(least), bound(Some(slot), greatest).min(greatest));
        let to = if ties.get(slot).copied().unwrap_or(false) { from } else { to };
        (*count > 0).then(|| Piece { from: from.min(to), to, share: *count as f64 / whole })
    };
    histogram.counts().iter().enumerate().filter_map(piece).collect()
}

/// What is shown: everything, or without the tails where these would flatten the rest.
fn range(all: &[&Vec<Piece>]) -> Option<(f64, f64)> {
    let pieces = || all.iter().flat_map(|pieces| pieces.iter());
    let least = pieces().map(|piece| piece.from).reduce(f64::min)?;
    let greatest = pieces().map(|piece| piece.to).reduce(f64::max)?;
    let inner = |pieces: &&&Vec<Piece>| Some((quantile(pieces, TAIL)?, quantile(pieces, 1.0 - TAIL)?));
    let inner = all.iter().filter_map(|pieces| inner(&pieces)).reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))?;
    let (low, high) = if greatest - least > FLAT * (inner.1 - inner.0) && inner.1 > inner.0 { inner } else { (least, greatest) };
    Some(if high > low { (low, high) } else { (low - 0.5, high + 0.5) })
}

fn quantile(pieces: &[Piece], share: f64) -> Option<f64> {
    let mut before = 0.0;
    for piece in pieces {
        if before + piece.share >= share {
            return Some(piece.from + (piece.to - piece.from) * ((share - before) / piece.share).clamp(0.0, 1.0));
        }
        before += piece.share;
    }
    pieces.last().map(|piece| piece.to)
}

/// The share in each bar; values are taken to be spread evenly between two edges.
fn bars(pieces: &[Piece], low: f64, high: f64) -> Vec<f64> {
    if pieces.is_empty() {
        return Vec::new();
    }
    let (mut bars, width) = (vec![0.0; BARS], (high - low) / BARS as f64);
    for Piece { from, to, share } in pieces {
        for (n, bar) in bars.iter_mut().enumerate() {
            let (left, right) = (low + width * n as f64, low + width * (n + 1) as f64);
            *bar += share * overlap(*from, *to, left, right, n + 1 == BARS);
        }
    }
    bars
}

/// Which part of what lies between `from` and `to` is in the bar from `left` to `right`.
fn overlap(from: f64, to: f64, left: f64, right: f64, last: bool) -> f64 {
    if to > from {
        return ((to.min(right) - from.max(left)) / (to - from)).max(0.0);
    }
    let inside = from >= left && (from < right || (last && from <= right));
    f64::from(u8::from(inside))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use switchyard_drift::Reference;

    use super::*;

    fn histogram(values: impl Iterator<Item = f64>) -> Histogram {
        let values: Vec<Option<f64>> = values.map(Some).collect();
        let Reference::Numeric { histogram, .. } = Reference::numeric(&values, NonZeroUsize::new(1024).unwrap()).unwrap() else {
            panic!("numbers")
        };
        histogram
    }

    fn bars_of(histogram: &Histogram) -> Vec<f64> {
        let Some(Shape::Numbers { reference, current, .. }) = numbers(histogram, Some(histogram)) else { panic!("numbers") };
        assert_eq!(reference, current);
        assert!((reference.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{reference:?}");
        reference
    }

    #[test]
    fn even_values_give_even_bars() {
        let bars = bars_of(&histogram((0..10_000).map(f64::from)));
        assert!(bars.iter().all(|bar| (bar * 36.0 - 1.0).abs() < 0.05), "{bars:?}");
    }

    #[test]
    fn a_value_that_many_rows_hold_stays_where_it_is() {
        let bars = bars_of(&histogram((0..2000).map(|n| if n % 2 == 0 { 0.0 } else { 50.0 + f64::from(n) / 40.0 })));
        assert!((bars[0] - 0.5).abs() < 1e-9 && bars[1..17].iter().all(|bar| *bar == 0.0), "{bars:?}");
    }

    #[test]
    fn a_value_far_away_does_not_flatten_the_rest() {
        let far = histogram((0..10_000).map(|n| if n == 0 { 1e9 } else { f64::from(n) }));
        let Some(Shape::Numbers { high, .. }) = numbers(&far, None) else { panic!("numbers") };
        assert!(high < 20_000.0, "{high}");
    }
}
