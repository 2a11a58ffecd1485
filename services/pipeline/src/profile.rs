//! The profile of a fold, and of what the model answers: what windows of the model's life are weighed against.

use std::{collections::BTreeMap, num::NonZeroUsize, path::Path};

use switchyard_drift::{Column as Counted, Fold, Kind as Counts, MISSING, Profile, Survey};

use crate::{
    error::{Error, Result},
    table::{Batch, Column, Field, Input, Kind, Rows, read, read_stored},
};

/// Profiles the features of a file, in two passes.
///
/// # Errors
/// A column of numbers holds none, or rows shall be parted by numbers.
pub(crate) fn profile(path: &Path, features: &[Field], segments: &[String], bins: NonZeroUsize) -> Result<Profile> {
    let kinds: BTreeMap<String, Counts> = features.iter().map(|field| (field.name.clone(), counts(field.kind))).collect();
    let names: Vec<&str> = kinds.keys().map(String::as_str).collect();
    of_rows(&kinds, segments, bins, &|| read_stored(path, Some(&names)))
}

/// Profiles one column of a file that a command wrote.
///
/// # Errors
/// As [`profile`].
pub(crate) fn answers(input: &Input, field: &Field, bins: NonZeroUsize) -> Result<Profile> {
    let kinds = BTreeMap::from([(field.name.clone(), counts(field.kind))]);
    of_rows(&kinds, &[], bins, &|| read(input, &[field.clone()].into()))
}

fn of_rows(
    kinds: &BTreeMap<String, Counts>,
    segments: &[String],
    bins: NonZeroUsize,
    again: &dyn Fn() -> Result<Rows>,
) -> Result<Profile> {
    let mut survey = Survey::new(kinds, segments, bins).map_err(wrong)?;
    for batch in again()? {
        let columns = Columns::of(&batch?, kinds);
        columns.with(|counted| survey.see(counted, columns.rows))?;
    }
    let frame = survey.frame().map_err(wrong)?;
    let fold = Fold::new(&frame);
    let mut window = fold.window();
    for batch in again()? {
        let columns = Columns::of(&batch?, kinds);
        columns.with(|counted| fold.count(&mut window, counted, columns.rows))?;
    }
    frame.filled(&window).map_err(wrong)
}

fn wrong(error: impl std::fmt::Display) -> Error {
    Error::new(error.to_string())
}

/// How a column is counted: truth values as the names `true` and `false`.
fn counts(kind: Kind) -> Counts {
    match kind {
        Kind::Integer | Kind::Float => Counts::Numbers,
        Kind::Boolean | Kind::String => Counts::Names,
    }
}

/// A batch's columns in the order of their names, as they are counted.
struct Columns {
    rows: usize,
    columns: Vec<Held>,
}

enum Held {
    Numbers(Vec<f64>),
    Names(Vec<Option<String>>),
}

impl Columns {
    fn of(batch: &Batch, kinds: &BTreeMap<String, Counts>) -> Self {
        let none = Column::empty(Kind::String);
        let held = |(name, kind): (&String, &Counts)| {
            let column = batch.named(name).unwrap_or(&none);
            match kind {
                Counts::Numbers => Held::Numbers(column.cells().map(|cell| cell.number().unwrap_or(MISSING)).collect()),
                Counts::Names => Held::Names(column.cells().map(|cell| cell.text().map(std::borrow::Cow::into_owned)).collect()),
            }
        };
        Self { rows: batch.rows(), columns: kinds.iter().map(held).collect() }
    }

    /// Shows them to `see`.
    fn with<T, E: std::fmt::Display>(&self, see: impl FnOnce(&[Counted<'_>]) -> std::result::Result<T, E>) -> Result<T> {
        let names = self.columns.iter().map(|held| match held {
            Held::Names(names) => names.iter().map(Option::as_deref).collect(),
            Held::Numbers(_) => Vec::new(),
        });
        let names: Vec<Vec<Option<&str>>> = names.collect();
        let counted = self.columns.iter().zip(&names).map(|(held, names)| match held {
            Held::Numbers(values) => Counted::Numbers(values),
            Held::Names(_) => Counted::Names(names),
        });
        see(&counted.collect::<Vec<_>>()).map_err(wrong)
    }
}
