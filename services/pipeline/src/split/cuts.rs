//! Where the order of a column is cut into folds: exactly, however many rows there are.

use std::collections::BTreeMap;

use super::{Fold, Ratios, rank};
use crate::{
    digest,
    error::{Error, Result},
    sort::Sorter,
    table::{Batch, Cell},
};

/// Into how many groups rows may fall before they are cut.
const GROUPS: usize = 100_000;

/// The cuts of each group of rows.
#[derive(Clone, Debug)]
pub(crate) struct Cuts {
    column: String,
    ratios: Ratios,
    /// By group: from which value on a row is no longer trained on, and from which on it is tested with.
    groups: BTreeMap<u64, (u64, u64)>,
}

/// Gathers what the cuts are made from.
pub(crate) struct CutsBy {
    column: String,
    ratios: Ratios,
    sorter: Sorter,
    sizes: BTreeMap<u64, u64>,
}

impl CutsBy {
    /// Cuts through the order of a column.
    pub(crate) fn new(column: &str, ratios: Ratios) -> Self {
        Self { column: column.to_owned(), ratios, sorter: Sorter::new(), sizes: BTreeMap::new() }
    }

    /// Takes rows; `group` names the column by whose values they are cut apart.
    pub(crate) fn see(&mut self, group: Option<&str>, batch: &Batch) -> Result<()> {
        let index = super::column(batch, &self.column)?;
        let groups = group.map(|group| super::column(batch, group)).transpose()?;
        for row in 0..batch.rows() {
            let group = of(groups.and_then(|groups| groups.cell(row).text()).as_deref());
            self.sorter.add([group, rank(index.cell(row), &self.column)?, 0])?;
            *self.sizes.entry(group).or_default() += 1;
            if self.sizes.len() > GROUPS {
                return Err(Error::new(format!("has more than {GROUPS} values: too many to cut one by one")).column(&self.column));
            }
        }
        Ok(())
    }

    /// Makes the cuts.
    pub(crate) fn finish(self) -> Result<Cuts> {
        let mut groups: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        let mut place = (None, 0);
        for record in self.sorter.sorted()? {
            let [group, value, _] = record?;
            place = if place.0 == Some(group) { (place.0, place.1 + 1) } else { (Some(group), 0) };
            let size = self.sizes.get(&group).copied().unwrap_or_default();
            let (train, eval) = groups.entry(group).or_insert((u64::MAX, u64::MAX));
            if place.1 == at(self.ratios.train, size) {
                *train = value;
            }
            if place.1 == at(self.ratios.train + self.ratios.eval, size) {
                *eval = value;
            }
        }
        Ok(Cuts { column: self.column, ratios: self.ratios, groups })
    }
}

/// The place of the first row beyond a share of the rows. What is a whole number but for rounding is that number.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count")]
fn at(share: f64, size: u64) -> u64 {
    (share * size as f64 - 1e-6).ceil().max(0.0) as u64
}

fn of(group: Option<&str>) -> u64 {
    group.map_or(0, |group| u64::from_str_radix(&digest::of_bytes(group.as_bytes())[..16], 16).unwrap_or_default())
}

impl Cuts {
    /// The column whose order is cut.
    pub(crate) fn column(&self) -> &str {
        &self.column
    }

    /// The fold of a row of a group.
    pub(super) fn fold(&self, group: Option<&str>, value: Cell<'_>) -> Result<Fold> {
        let value = rank(value, &self.column)?;
        let (train, eval) = self.groups.get(&of(group)).copied().unwrap_or((u64::MAX, u64::MAX));
        Ok(if value < train {
            Fold::Train
        } else if value < eval && self.ratios.eval > 0.0 {
            Fold::Eval
        } else {
            Fold::Test
        })
    }
}
