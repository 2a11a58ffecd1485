//! Values between commas: a heading, quotes as RFC 4180 has them; an empty value is a missing one.

use std::{fs::File, sync::Arc};

use ::csv::{Reader, ReaderBuilder, StringRecord};

use super::{
    BATCH, Batch, Cell, Field,
    column::boolean,
    read::{Input, Rows, empty, no_column, wrong_kind},
};
use crate::error::{Error, Result, Tried};

/// Where wanted columns stand in a file.
struct Opened {
    input: Input,
    reader: Reader<File>,
    places: Vec<usize>,
    row: u64,
    record: StringRecord,
}

pub(super) fn read(input: &Input, fields: &Arc<[Field]>) -> Result<Rows> {
    let names: Vec<String> = fields.iter().map(|field| field.name.clone()).collect();
    let mut opened = open(input, &names)?;
    let fields = Arc::clone(fields);
    Ok(Box::new(std::iter::from_fn(move || opened.batch(&fields).transpose())))
}

/// Calls `see` with every value of the wanted columns, read as what it looks like.
pub(super) fn each(input: &Input, wanted: &[String], see: &mut dyn FnMut(u64, usize, Cell<'_>) -> Result<()>) -> Result<()> {
    let mut opened = open(input, wanted)?;
    while opened.advance()? {
        for (column, place) in opened.places.iter().enumerate() {
            see(opened.row, column, sniff(&opened.record[*place]))?;
        }
    }
    Ok(())
}

/// The names in the heading.
pub(super) fn names(input: &Input) -> Result<Vec<String>> {
    heading(input).map(|(_, names)| names)
}

fn heading(input: &Input) -> Result<(Reader<File>, Vec<String>)> {
    let file = File::open(&input.path).tried("open", &input.name)?;
    let mut reader = ReaderBuilder::new().buffer_capacity(1 << 16).from_reader(file);
    let heading = reader.headers().map_err(|error| unreadable(input, 0, &error))?;
    let names = heading.iter().map(|name| name.trim_start_matches('\u{feff}').to_owned()).collect();
    Ok((reader, names))
}

fn open(input: &Input, wanted: &[String]) -> Result<Opened> {
    let (reader, there) = heading(input)?;
    let place = |name: &String| there.iter().position(|it| it == name).ok_or_else(|| no_column(input, name, &there));
    let places = wanted.iter().map(place).collect::<Result<Vec<_>>>()?;
    Ok(Opened { input: input.clone(), reader, places, row: 0, record: StringRecord::new() })
}

impl Opened {
    fn advance(&mut self) -> Result<bool> {
        self.row += 1;
        self.reader.read_record(&mut self.record).map_err(|error| unreadable(&self.input, self.row, &error))
    }

    fn batch(&mut self, fields: &Arc<[Field]>) -> Result<Option<Batch>> {
        let mut columns = empty(fields);
        let mut rows = 0;
        while rows < BATCH && self.advance()? {
            for ((column, place), field) in columns.iter_mut().zip(&self.places).zip(fields.iter()) {
                let text = &self.record[*place];
                if !column.push_text(text) {
                    return Err(wrong_kind(&self.input, self.row, field, text));
                }
            }
            rows += 1;
        }
        Ok((rows > 0).then(|| Batch::new(Arc::clone(fields), columns)))
    }
}

fn unreadable(input: &Input, row: u64, error: &::csv::Error) -> Error {
    let error = Error::new(format!("not readable as CSV: {error}")).file(&input.name);
    if row > 0 { error.row(row) } else { error }
}

/// What a text looks like. Digits behind a leading zero are a code, not a number.
fn sniff(text: &str) -> Cell<'_> {
    if text.is_empty() {
        return Cell::Missing;
    }
    if let Some(value) = boolean(text) {
        return Cell::Boolean(value);
    }
    let digits = text.trim_start_matches(['-', '+']);
    if digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Cell::String(text);
    }
    text.parse().map(Cell::Integer).or_else(|_| text.parse().map(Cell::Float)).unwrap_or(Cell::String(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_what_it_looks_like_and_a_code_stays_a_code() {
        assert_eq!(sniff("12"), Cell::Integer(12));
        assert_eq!(sniff("-1.5e3"), Cell::Float(-1500.0));
        assert_eq!(sniff("007"), Cell::String("007"));
        assert_eq!(sniff("0"), Cell::Integer(0));
        assert_eq!(sniff("True"), Cell::Boolean(true));
        assert_eq!(sniff(""), Cell::Missing);
    }
}
