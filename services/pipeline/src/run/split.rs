//! The step that deals rows out to folds.

use std::path::Path;

use switchyard_model::{By, Category, Fold, Rows, Unknown};

use super::{
    Job,
    fetch::{FETCHED, Said},
    files::{noted, raw},
};
use crate::{
    cache::Made,
    error::{Error, Result},
    split::{ByCategory, Cuts, CutsBy, Ratios, Splitter, name},
    table::{parquet_writer, read_stored},
};

/// The fewest rows of a fold from which anything can be learned or said.
const FEWEST: u64 = 2;

impl<'a> Job<'a> {
    pub(super) fn split(&self, fetched: &Made<'a>) -> Result<Made<'a>> {
        let split = noted(&self.model.split)?.to_string();
        let made = self.cache.step("split", &[&fetched.kept(FETCHED)?.sha256, &split, &self.model.data.key], |folder| {
            let rows = fetched.file(FETCHED)?;
            let said: Said = fetched.note()?;
            let splitter = self.splitter(&rows)?;
            let mut sinks = Vec::new();
            for fold in self.model.split.names() {
                sinks.push((fold, parquet_writer(&folder.join(raw(fold)), &said.fields)?, 0_u64));
            }
            for batch in read_stored(&rows, None)? {
                let batch = batch?;
                let folds = splitter.folds(&batch)?;
                for (fold, sink, count) in &mut sinks {
                    let part = batch.filter(&folds.iter().map(|it| *it == Some(*fold)).collect::<Vec<_>>());
                    *count += part.rows() as u64;
                    sink.write(&part)?;
                }
            }
            let mut counts = Rows::default();
            for (fold, sink, count) in sinks {
                sink.close()?;
                *of(&mut counts, fold) = count;
                if count < FEWEST {
                    let what = format!(
                        "the fold has {count} of the rows, and {FEWEST} are the least; give it a larger share, or more data"
                    );
                    return Err(Error::new(what).file(name(fold)));
                }
            }
            noted(&counts)
        })?;
        let Rows { train, eval, test } = made.note()?;
        self.tell("split", &format!("train {train}, eval {eval}, test {test} rows"), &made);
        Ok(made)
    }

    fn splitter(&self, rows: &Path) -> Result<Splitter> {
        let split = &self.model.split;
        let share = |fold| split.folds.0.get(&fold).copied().unwrap_or_default();
        let ratios = Ratios { train: share(Fold::Train), eval: share(Fold::Eval), test: share(Fold::Test) };
        Ok(match &split.by {
            By::Ratio => Splitter::Ratio { seed: split.seed, ratios, key: self.model.data.key.clone() },
            By::Category(category) => Splitter::Category(by_category(category, split.seed, ratios)),
            By::Index(index) => Splitter::Index { cuts: cuts(rows, &index.column, ratios, None)? },
            By::Hybrid { category, index } => {
                let category = by_category(category, split.seed, ratios);
                let cuts = cuts(rows, &index.column, ratios, Some(&category))?;
                Splitter::Hybrid { category, cuts }
            }
        })
    }
}

fn of(rows: &mut Rows, fold: Fold) -> &mut u64 {
    match fold {
        Fold::Train => &mut rows.train,
        Fold::Eval => &mut rows.eval,
        Fold::Test => &mut rows.test,
    }
}

fn by_category(category: &Category, seed: u64, ratios: Ratios) -> ByCategory {
    ByCategory {
        column: category.column.clone(),
        folds: category.folds.clone(),
        drawn: category.folds.is_empty().then_some((seed, ratios)),
        unknown: match category.unknown {
            Unknown::Skip => None,
            Unknown::Fold(fold) => Some(fold),
        },
    }
}

/// The cuts through the order of a column; within each category of the rows that categories have left.
fn cuts(rows: &Path, column: &str, ratios: Ratios, category: Option<&ByCategory>) -> Result<Cuts> {
    let mut by = CutsBy::new(column, ratios);
    for batch in read_stored(rows, None)? {
        let batch = batch?;
        match category {
            None => by.see(None, &batch)?,
            Some(category) => by.see(Some(&category.column), &batch.filter(&category.left(&batch)?))?,
        }
    }
    by.finish()
}
