//! What the columns of a source hold. Parquet says it; of CSV and JSON lines every value is looked at once.

use std::collections::BTreeSet;

use super::{
    Cell, Field, Kind, csv, jsonl, parquet,
    read::{Format, Input, no_column},
};
use crate::error::{Error, Result};

/// Of a column in which at least this share of the values are numbers, a text is a mistake and not a category.
const MOSTLY: f64 = 0.9;

/// What was seen of one column.
#[derive(Clone, Debug, Default)]
struct Seen {
    booleans: u64,
    integers: u64,
    floats: u64,
    strings: u64,
    text: Option<Odd>,
}

/// The first text of a column.
#[derive(Clone, Debug)]
struct Odd {
    file: String,
    row: u64,
    value: String,
}

/// What the wanted columns hold over all files. Columns that are preprocessed as text (`texts`) may hold anything.
///
/// # Errors
/// A column is missing, empty in every file, of different kinds in different files, or holds a few texts among numbers.
pub(crate) fn survey(inputs: &[Input], wanted: &[String], texts: &BTreeSet<String>) -> Result<Vec<Field>> {
    let mut seen = vec![Seen::default(); wanted.len()];
    for input in inputs {
        let mut see = |row, column: usize, cell: Cell<'_>| {
            seen[column].see(input, row, cell);
            Ok(())
        };
        match input.format {
            Format::Csv => csv::each(input, wanted, &mut see)?,
            Format::JsonLines => jsonl::each(input, wanted, &mut see)?,
            Format::Parquet => declared(input, wanted, &mut seen)?,
        }
    }
    wanted.iter().zip(&seen).map(|(name, seen)| seen.field(name, texts.contains(name))).collect()
}

fn declared(input: &Input, wanted: &[String], seen: &mut [Seen]) -> Result<()> {
    let fields = parquet::fields(input)?;
    let names: Vec<String> = fields.iter().map(|field| field.name.clone()).collect();
    for (name, seen) in wanted.iter().zip(seen) {
        let field = fields.iter().find(|field| field.name == *name).ok_or_else(|| no_column(input, name, &names))?;
        match field.kind {
            Kind::Boolean => seen.booleans += 1,
            Kind::Integer => seen.integers += 1,
            Kind::Float => seen.floats += 1,
            Kind::String => seen.see(input, 1, Cell::String("")),
        }
    }
    Ok(())
}

impl Seen {
    fn see(&mut self, input: &Input, row: u64, cell: Cell<'_>) {
        match cell {
            Cell::Missing => {}
            Cell::Boolean(_) => self.booleans += 1,
            Cell::Integer(_) => self.integers += 1,
            Cell::Float(_) => self.floats += 1,
            Cell::String(value) => {
                self.strings += 1;
                self.text.get_or_insert_with(|| Odd { file: input.name.clone(), row, value: value.chars().take(40).collect() });
            }
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a share")]
    fn field(&self, name: &str, text: bool) -> Result<Field> {
        let numbers = self.integers + self.floats;
        let all = numbers + self.booleans + self.strings;
        if let (false, Some(odd)) = (text, &self.text)
            && numbers as f64 >= MOSTLY * all as f64
        {
            let what = format!(
                "`{}` is not a number, and {numbers} of the column's {all} values are; mend it, or preprocess the column as text \
                 (vocabulary, hash)",
                odd.value
            );
            return Err(Error::new(what).column(name).row(odd.row).file(&odd.file));
        }
        let kind = match (self.strings, self.booleans, self.floats, self.integers) {
            (0, 0, 0, 0) => return Err(Error::new("no row has a value in this column; take it out of the features").column(name)),
            (0, _, 0, 0) => Kind::Boolean,
            (0, 0, 0, _) => Kind::Integer,
            (0, 0, _, _) => Kind::Float,
            _ => Kind::String,
        };
        Ok(Field::new(name, if text { Kind::String } else { kind }))
    }
}
