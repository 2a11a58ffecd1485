//! What is gathered over the training fold to fit a step.

use std::collections::HashMap;

use super::{Fixed, text};
use crate::{
    error::{Error, Result},
    sort::{Sorter, number, ordered},
    table::{Cell, Column, Kind},
};

/// How many different values of a column are counted.
const VALUES: usize = 1_000_000;

/// Sums over numbers (Welford 1962).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
    range: Option<(f64, f64)>,
}

impl Moments {
    pub(super) fn see(&mut self, value: f64) {
        self.count += 1.0;
        let apart = value - self.mean;
        self.mean += apart / self.count;
        self.squares += apart * (value - self.mean);
        let (least, greatest) = self.range.unwrap_or((value, value));
        self.range = Some((least.min(value), greatest.max(value)));
    }

    /// The least and the greatest, the mean and the standard deviation; nothing of no value.
    pub(super) fn finish(&self) -> Option<Summary> {
        let (least, greatest) = self.range?;
        Some(Summary { least, greatest, mean: self.mean, deviation: (self.squares / self.count).sqrt() })
    }
}

/// What numbers are like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Summary {
    pub(super) least: f64,
    pub(super) greatest: f64,
    pub(super) mean: f64,
    pub(super) deviation: f64,
}

/// The values at these shares of the sorted numbers: of two in the middle, the mean.
pub(super) fn quantiles(sorter: Sorter, shares: &[f64]) -> Result<Vec<f64>> {
    let count = sorter.count();
    let places: Vec<(u64, u64)> = shares.iter().map(|share| around(*share, count)).collect();
    let (mut low, mut high) = (vec![0.0; shares.len()], vec![0.0; shares.len()]);
    for (place, record) in (0..).zip(sorter.sorted()?) {
        let value = number(record?[0]);
        for (at, (below, above)) in places.iter().enumerate() {
            if *below == place {
                low[at] = value;
            }
            if *above == place {
                high[at] = value;
            }
        }
    }
    Ok(low.iter().zip(&high).map(|(low, high)| low / 2.0 + high / 2.0).collect())
}

/// The places of the two values on both sides of a share: the same where it falls on one.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count")]
fn around(share: f64, count: u64) -> (u64, u64) {
    let place = share * count as f64;
    let last = count.saturating_sub(1);
    let above = (place.floor() as u64).min(last);
    if place.fract() == 0.0 { ((place as u64).saturating_sub(1).min(last), above) } else { (above, above) }
}

/// How often values are there.
#[derive(Default)]
pub(super) struct Counts(HashMap<String, u64>);

impl Counts {
    pub(super) fn see(&mut self, value: &str) -> Result<()> {
        if let Some(count) = self.0.get_mut(value) {
            *count += 1;
            return Ok(());
        }
        if self.0.len() == VALUES {
            return Err(Error::new(format!("holds more than {VALUES} different values: too many to count; use `hash`")));
        }
        self.0.insert(value.to_owned(), 1);
        Ok(())
    }

    /// The most frequent, and how often each is there; of those that are as frequent, in the order of their texts.
    pub(super) fn most(self, most: usize) -> Vec<(String, u64)> {
        let mut all: Vec<(String, u64)> = self.0.into_iter().collect();
        all.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
        all.truncate(most);
        all
    }

    /// The most frequent value; of several, the first in order.
    pub(super) fn mode(self, kind: Kind) -> Option<Fixed> {
        let most = self.0.values().copied().max()?;
        let values = self.0.iter().filter(|(_, count)| **count == most).filter_map(|(text, _)| fixed(text, kind));
        values.min_by(|one, other| match (one.cell(), other.cell()) {
            (Cell::String(one), Cell::String(other)) => one.cmp(other),
            (one, other) => one.number().unwrap_or_default().total_cmp(&other.number().unwrap_or_default()),
        })
    }
}

/// A text as a value of a kind; nothing where it is none.
pub(super) fn fixed(text: &str, kind: Kind) -> Option<Fixed> {
    if kind == Kind::String {
        return Some(Fixed::String(text.to_owned()));
    }
    let mut column = Column::empty(kind);
    let fixed = column.push_text(text).then(|| Fixed::of(column.cell(0)))??;
    // Numbers that are none are refused in rows; they are not filled in either.
    fixed.cell().number().is_none_or(f64::is_finite).then_some(fixed)
}

/// Of runs of words: how often each is there, and in how many rows.
#[derive(Default)]
pub(super) struct Runs {
    often: Counts,
    rows: HashMap<String, u64>,
    all: u64,
}

impl Runs {
    pub(super) fn see(&mut self, text: &str, longest: u32) -> Result<()> {
        self.all += 1;
        let mut runs = text::runs(text, longest);
        runs.iter().try_for_each(|run| self.often.see(run))?;
        runs.sort_unstable();
        runs.dedup();
        for run in runs {
            *self.rows.entry(run).or_default() += 1;
        }
        Ok(())
    }

    /// The most frequent runs, each with its weight: the logarithm of how rare it is, as scikit-learn smoothes it.
    #[expect(clippy::cast_precision_loss, reason = "a quotient of counts")]
    pub(super) fn most(self, most: usize) -> (Vec<String>, Vec<f64>) {
        let Self { often, rows, all } = self;
        let terms: Vec<String> = often.most(most).into_iter().map(|(term, _)| term).collect();
        let weight = |term: &String| ((1.0 + all as f64) / (1.0 + rows.get(term).copied().unwrap_or_default() as f64)).ln() + 1.0;
        let weights = terms.iter().map(weight).collect();
        (terms, weights)
    }
}

/// Sorts numbers.
pub(super) fn sort(sorter: &mut Sorter, value: f64) -> Result<()> {
    sorter.add([ordered(value), 0, 0])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(values: &[f64], shares: &[f64]) -> Vec<f64> {
        let mut sorter = Sorter::new();
        for value in values {
            sort(&mut sorter, *value).unwrap();
        }
        quantiles(sorter, shares).unwrap()
    }

    #[test]
    fn a_median_is_the_middle_or_the_mean_of_two() {
        assert_eq!(at(&[5.0, 1.0, 3.0], &[0.5]), [3.0]);
        assert_eq!(at(&[4.0, 1.0, 3.0, 2.0], &[0.25, 0.5, 0.75]), [1.5, 2.5, 3.5]);
        assert_eq!(at(&[7.0], &[0.5]), [7.0]);
    }

    #[test]
    fn of_values_as_frequent_the_first_in_order_is_the_mode() {
        let mut counts = Counts::default();
        for value in ["10", "9", "10", "9", "3"] {
            counts.see(value).unwrap();
        }
        assert_eq!(counts.mode(Kind::Integer), Some(Fixed::Integer(9)));
    }
}
