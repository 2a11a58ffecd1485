//! What the columns of a source hold. Parquet says it; of CSV and JSON lines every value is looked at once.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Cell, Field, Kind, csv, jsonl, parquet,
    read::{Format, Input, names, no_column},
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

/// What columns hold.
pub(crate) struct Surveyed {
    /// The columns that can be read.
    pub(crate) fields: Vec<Field>,
    /// Of the spare ones, those that cannot, and why.
    pub(crate) lacking: BTreeMap<String, String>,
}

/// What the wanted columns, and the spare ones that are there, hold over all files. Columns that are preprocessed as text
/// (`texts`) may hold anything.
///
/// # Errors
/// A wanted column is missing, empty in every file, of different kinds in different files, or holds a few texts among numbers.
pub(crate) fn survey(inputs: &[Input], wanted: &[String], spare: &[String], texts: &BTreeSet<String>) -> Result<Surveyed> {
    let mut lacking = BTreeMap::new();
    let mut columns = wanted.to_vec();
    for name in spare {
        match missing(inputs, name)? {
            Some(why) => drop(lacking.insert(name.clone(), why.column(name).to_string())),
            None => columns.push(name.clone()),
        }
    }
    let mut fields = Vec::new();
    for (at, (name, seen)) in columns.iter().zip(&seen(inputs, &columns)?).enumerate() {
        match seen.field(name, texts.contains(name)) {
            Err(why) if at >= wanted.len() => drop(lacking.insert(name.clone(), why.to_string())),
            field => fields.push(field?),
        }
    }
    Ok(Surveyed { fields, lacking })
}

/// Why a column is not in all files. Files of JSON lines do not say what they have: there it may be in any row.
fn missing(inputs: &[Input], name: &String) -> Result<Option<Error>> {
    for input in inputs.iter().filter(|input| input.format != Format::JsonLines) {
        let there = names(input)?;
        if !there.contains(name) {
            return Ok(Some(no_column(input, name, &there)));
        }
    }
    Ok(None)
}

fn seen(inputs: &[Input], columns: &[String]) -> Result<Vec<Seen>> {
    let mut seen = vec![Seen::default(); columns.len()];
    for input in inputs {
        let mut see = |row, column: usize, cell: Cell<'_>| {
            seen[column].see(input, row, cell);
            Ok(())
        };
        match input.format {
            Format::Csv => csv::each(input, columns, &mut see)?,
            Format::JsonLines => jsonl::each(input, columns, &mut see)?,
            Format::Parquet => declared(input, columns, &mut seen)?,
        }
    }
    Ok(seen)
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
