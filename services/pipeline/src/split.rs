//! Which fold a row belongs to. A fold drawn by ratio or by category depends on the seed and on the row's own key or category,
//! and on nothing else: rows that are added move no row that was there. A split by index is a cut through the order of a column,
//! and moves with it.

mod cuts;

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
pub(crate) use switchyard_model::Fold;

use crate::{
    error::{Error, Result},
    moment::moment,
    sort::ordered,
    table::{Batch, Cell, Column},
};
pub(crate) use cuts::{Cuts, CutsBy};

/// The folds in their order.
pub(crate) const FOLDS: [Fold; 3] = [Fold::Train, Fold::Eval, Fold::Test];

/// A fold's name in the model file.
pub(crate) fn name(fold: Fold) -> &'static str {
    match fold {
        Fold::Train => "train",
        Fold::Eval => "eval",
        Fold::Test => "test",
    }
}

/// How much of the rows each fold has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ratios {
    /// The share that is trained on.
    pub(crate) train: f64,
    /// The share after it. What is left is the test fold's.
    pub(crate) eval: f64,
    /// Whether there is a test fold: without one, rounding gives the last row to the one before.
    pub(crate) test: f64,
}

impl Ratios {
    /// The fold at a place between 0 and 1.
    pub(crate) fn fold(&self, place: f64) -> Fold {
        if place < self.train || (self.eval <= 0.0 && self.test <= 0.0) {
            Fold::Train
        } else if place < self.train + self.eval || self.test <= 0.0 {
            if self.eval > 0.0 { Fold::Eval } else { Fold::Test }
        } else {
            Fold::Test
        }
    }
}

/// The place of a text between 0 (included) and 1 (not): the first 53 bits of SHA-256 of the seed, the purpose and the text.
pub(crate) fn place(seed: u64, purpose: &str, text: &str) -> f64 {
    let digest =
        Sha256::new().chain_update(seed.to_le_bytes()).chain_update(purpose).chain_update([0]).chain_update(text).finalize();
    let word = digest.iter().take(8).fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
    real(word >> 11) / real(1 << 53)
}

#[expect(clippy::cast_precision_loss, reason = "at most 53 bits")]
fn real(word: u64) -> f64 {
    word as f64
}

/// How rows are split.
#[derive(Clone, Debug)]
pub(crate) enum Splitter {
    /// By the hash of the row's key.
    Ratio { seed: u64, ratios: Ratios, key: String },
    /// By what a column holds: the named values, others by the hash of the value, or as `unknown` says.
    Category(ByCategory),
    /// By the order of a column.
    Index { cuts: Cuts },
    /// Named values first; the rows that are left by their order within their category.
    Hybrid { category: ByCategory, cuts: Cuts },
}

/// Folds by the value of a column.
#[derive(Clone, Debug)]
pub(crate) struct ByCategory {
    /// The column.
    pub(crate) column: String,
    /// The folds of named values.
    pub(crate) folds: BTreeMap<String, Fold>,
    /// The ratios by which whole categories are drawn, and the seed.
    pub(crate) drawn: Option<(u64, Ratios)>,
    /// The fold of any other value; none leaves the row out.
    pub(crate) unknown: Option<Fold>,
}

impl ByCategory {
    fn fold(&self, value: Cell<'_>) -> Option<Fold> {
        let text = value.text().unwrap_or_default();
        let drawn = || self.drawn.map(|(seed, ratios)| ratios.fold(place(seed, "category", &text)));
        self.folds.get(text.as_ref()).copied().or_else(drawn).or(self.unknown)
    }
}

impl ByCategory {
    /// Which rows their category leaves to the order of another column.
    pub(crate) fn left(&self, batch: &Batch) -> Result<Vec<bool>> {
        let left = |value| matches!(self.fold(value), None | Some(Fold::Train));
        Ok(column(batch, &self.column)?.cells().map(left).collect())
    }
}

impl Splitter {
    /// The fold of each row of a batch; none leaves it out.
    pub(crate) fn folds(&self, batch: &Batch) -> Result<Vec<Option<Fold>>> {
        match self {
            Self::Ratio { seed, ratios, key } => {
                let key = column(batch, key)?;
                Ok(key.cells().map(|key| Some(ratios.fold(place(*seed, "fold", &key.text().unwrap_or_default())))).collect())
            }
            Self::Category(by) => Ok(column(batch, &by.column)?.cells().map(|value| by.fold(value)).collect()),
            Self::Index { cuts } => {
                let column = column(batch, cuts.column())?;
                column.cells().map(|value| cuts.fold(None, value).map(Some)).collect()
            }
            Self::Hybrid { category, cuts } => {
                let (values, index) = (column(batch, &category.column)?, column(batch, cuts.column())?);
                let each = values.cells().zip(index.cells()).map(|(value, index)| match category.fold(value) {
                    Some(fold @ (Fold::Eval | Fold::Test)) => Ok(Some(fold)),
                    None | Some(Fold::Train) => cuts.fold(value.text().as_deref(), index).map(Some),
                });
                each.collect()
            }
        }
    }
}

fn column<'a>(batch: &'a Batch, name: &str) -> Result<&'a Column> {
    batch.named(name).ok_or_else(|| Error::new("there is no such column").column(name))
}

/// A value as a number by which it is ordered: numbers as they are, moments in their order.
fn rank(value: Cell<'_>, column: &str) -> Result<u64> {
    let number = match value {
        Cell::Integer(_) | Cell::Float(_) | Cell::Boolean(_) => value.number(),
        #[expect(clippy::cast_precision_loss, reason = "microseconds of our time stay below 2⁵³")]
        Cell::String(_) => moment(value).map(|at| at as f64),
        Cell::Missing => None,
    };
    let shown = || value.text().map_or_else(|| "a missing value".into(), |text| format!("`{text}`"));
    number.map(ordered).ok_or_else(|| {
        Error::new(format!("{} is neither a number nor a moment: rows cannot be put in order by it", shown())).column(column)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::table::{Field, Kind};

    const RATIOS: Ratios = Ratios { train: 0.7, eval: 0.15, test: 0.15 };

    fn batch(keys: &[i64]) -> Batch {
        let fields: Arc<[Field]> = vec![Field::new("id", Kind::Integer), Field::new("at", Kind::Integer)].into();
        let column = Column::Integers(keys.iter().copied().map(Some).collect());
        Batch::new(fields, vec![column.clone(), column])
    }

    fn by_key(keys: &[i64]) -> Vec<Option<Fold>> {
        Splitter::Ratio { seed: 7, ratios: RATIOS, key: "id".into() }.folds(&batch(keys)).unwrap()
    }

    proptest! {
        #[test]
        fn rows_that_are_added_anywhere_move_no_row(keys in prop::collection::vec(any::<i64>(), 1..50), more in prop::collection::vec(any::<i64>(), 0..50)) {
            let before: BTreeMap<i64, _> = keys.iter().copied().zip(by_key(&keys)).collect();
            let mixed: Vec<i64> = more.iter().chain(&keys).chain(&more).copied().collect();
            let after: BTreeMap<i64, _> = mixed.iter().copied().zip(by_key(&mixed)).collect();
            prop_assert!(before.iter().all(|(key, fold)| after[key] == *fold));
        }
    }

    #[test]
    fn folds_have_the_shares_that_were_asked_for() {
        let keys: Vec<i64> = (0..20_000).collect();
        let folds = by_key(&keys);
        let share = |fold| real(folds.iter().filter(|it| **it == Some(fold)).count() as u64) / 20_000.0;
        assert!((share(Fold::Train) - 0.7).abs() < 0.01 && (share(Fold::Eval) - 0.15).abs() < 0.01, "{}", share(Fold::Train));
    }

    #[test]
    fn the_fold_of_a_key_never_changes_between_versions() {
        // Computed apart from this code, by Python's hashlib.
        let expected = ["train", "train", "train", "eval", "train", "train", "test", "train", "test"];
        assert_eq!(by_key(&[1, 2, 3, 4, 5, 6, 7, 8, 9]).iter().flatten().map(|fold| name(*fold)).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn named_categories_go_where_they_are_sent_and_others_are_left_out() {
        let folds = [("1".to_owned(), Fold::Train), ("2".to_owned(), Fold::Test)].into();
        let by = ByCategory { column: "id".into(), folds, drawn: None, unknown: None };
        let folds = Splitter::Category(by).folds(&batch(&[1, 2, 3])).unwrap();
        assert_eq!(folds, [Some(Fold::Train), Some(Fold::Test), None]);
    }

    #[test]
    fn an_index_is_cut_in_its_order_and_equal_values_stay_together() {
        let keys: Vec<i64> = (0..100).rev().map(|key| key / 2).collect();
        let mut by = CutsBy::new("at", RATIOS);
        by.see(None, &batch(&keys)).unwrap();
        let splitter = Splitter::Index { cuts: by.finish().unwrap() };
        let folds = splitter.folds(&batch(&keys)).unwrap();
        for (key, fold) in keys.iter().zip(folds) {
            let expected = if *key < 35 {
                Fold::Train
            } else if *key < 42 {
                Fold::Eval
            } else {
                Fold::Test
            };
            assert_eq!(fold, Some(expected), "{key}");
        }
    }
}
