//! Rows of a file, counted against a profile. Parquet is counted column by column, without looking at single rows.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Float64Array, cast::AsArray, types::Int32Type};
use arrow_schema::DataType;
use switchyard_drift::{Column as Counted, Fold, MISSING, MISSING_NAME, WindowCounts};
use switchyard_model::PREDICTION;

use crate::{
    error::{Error, Result},
    table::{Cell, Column, Field, Format, Input, Kind, column_of, names, open_coded, read},
};

/// How many rows are counted at once: few enough that a column of them stays close to the processor.
const ROWS: usize = 8192;

/// Counts a file's rows.
///
/// # Errors
/// A column of the profile is missing, or holds something else.
pub(crate) fn count(fold: &Fold, window: &mut WindowCounts, input: &Input) -> Result<()> {
    match input.format {
        Format::Parquet => columnar(fold, window, input),
        Format::Csv | Format::JsonLines => by_rows(fold, window, input),
    }
}

fn by_rows(fold: &Fold, window: &mut WindowCounts, input: &Input) -> Result<()> {
    // JSON lines do not say which columns they have: answers that none of some rows has are not there.
    let there = (input.format == Format::Csv).then(|| names(input)).transpose()?;
    let (places, wanted) = wanted(fold, there.as_deref());
    let kind = |at: &usize| if fold.is_numeric(*at) { Kind::Float } else { Kind::String };
    let fields: Arc<[Field]> = places.iter().zip(wanted).map(|(at, name)| Field::new(name, kind(at))).collect();
    for batch in read(input, &fields)? {
        let batch = batch?;
        let held = |(place, at): (usize, &usize)| {
            let column = batch.column(place);
            let answers = fold.names()[*at] == PREDICTION;
            let none = answers && column.cells().all(|cell| matches!(cell, Cell::Missing));
            (*at, if none { Held::Absent } else { Held::of(fold, *at, column) })
        };
        add(fold, window, places.iter().enumerate().map(held), batch.rows())?;
    }
    Ok(())
}

fn columnar(fold: &Fold, window: &mut WindowCounts, input: &Input) -> Result<()> {
    let (places, wanted) = wanted(fold, Some(&names(input)?));
    let (reader, order) = open_coded(input, &wanted, ROWS)?;
    for batch in reader {
        let batch = batch?;
        let held = |(at, place): (&usize, &usize)| {
            let held = Held::of_array(fold, *at, batch.column(*place)).map_err(|error| error.column(&fold.names()[*at]));
            held.map(|held| (*at, held))
        };
        let held = places.iter().zip(&order).map(held).collect::<Result<Vec<_>>>()?;
        add(fold, window, held.into_iter(), batch.num_rows())?;
    }
    Ok(())
}

/// The columns that are read, and where they are in the profile: all, but what the model answered only where a file says it.
fn wanted(fold: &Fold, there: Option<&[String]>) -> (Vec<usize>, Vec<String>) {
    let is_there = |name: &String| there.is_none_or(|there| there.contains(name));
    let all = fold.names().iter().enumerate();
    all.filter(|(_, name)| *name != PREDICTION || is_there(name)).map(|(at, name)| (at, name.clone())).unzip()
}

fn add(fold: &Fold, window: &mut WindowCounts, held: impl Iterator<Item = (usize, Held)>, rows: usize) -> Result<()> {
    let held: Vec<(usize, Held)> = held.collect();
    let mut columns = vec![Counted::Absent; fold.names().len()];
    for (at, held) in &held {
        columns[*at] = held.counted();
    }
    fold.count(window, &columns, rows).map_err(|error| Error::new(error.to_string()))
}

/// A column as it is counted.
enum Held {
    /// Numbers, in an array that has none missing.
    Array(Float64Array),
    /// Numbers.
    Numbers(Vec<f64>),
    /// Codes of names.
    Codes(Vec<u32>),
    /// Nothing is said of it.
    Absent,
}

impl Held {
    fn of(fold: &Fold, at: usize, column: &Column) -> Self {
        if fold.is_numeric(at) {
            return Self::Numbers(column.cells().map(|cell| cell.number().unwrap_or(MISSING)).collect());
        }
        let code = |text: std::borrow::Cow<'_, str>| fold.code(at, &text);
        Self::Codes(column.cells().map(|cell| cell.text().map_or(MISSING_NAME, code)).collect())
    }

    fn of_array(fold: &Fold, at: usize, array: &ArrayRef) -> Result<Self> {
        match (array.data_type(), fold.is_numeric(at)) {
            (DataType::Float64, true) => Ok(Self::of_floats(array.as_primitive())),
            (DataType::Dictionary(..), false) => Self::of_coded(fold, at, array),
            (of, numeric) => {
                let wrong = || {
                    let wanted = if numeric { "numbers" } else { "names" };
                    Error::new(format!("holds {of}, and the profile has {wanted} there"))
                };
                let column = column_of(array).ok_or_else(wrong)?;
                if numeric && column.kind() == Kind::String { Err(wrong()) } else { Ok(Self::of(fold, at, &column)) }
            }
        }
    }

    fn of_floats(array: &Float64Array) -> Self {
        if array.null_count() == 0 {
            return Self::Array(array.clone());
        }
        Self::Numbers(array.iter().map(|value| value.unwrap_or(MISSING)).collect())
    }

    /// Each different name is looked up once, and its code is taken for every row that has it.
    fn of_coded(fold: &Fold, at: usize, array: &ArrayRef) -> Result<Self> {
        let no_names = || Error::new(format!("holds {}, and the profile has names there", array.data_type()));
        let places = array.as_dictionary_opt::<Int32Type>().ok_or_else(no_names)?;
        let names = places.values().as_string_opt::<i32>().ok_or_else(no_names)?;
        let codes: Vec<u32> = names.iter().map(|name| name.map_or(MISSING_NAME, |name| fold.code(at, name))).collect();
        let code = |place: i32| usize::try_from(place).ok().and_then(|place| codes.get(place)).copied().unwrap_or(MISSING_NAME);
        if places.null_count() == 0 {
            return Ok(Self::Codes(places.keys().values().iter().map(|place| code(*place)).collect()));
        }
        Ok(Self::Codes(places.keys().iter().map(|place| place.map_or(MISSING_NAME, code)).collect()))
    }

    fn counted(&self) -> Counted<'_> {
        match self {
            Self::Array(array) => Counted::Numbers(array.values()),
            Self::Numbers(values) => Counted::Numbers(values),
            Self::Codes(codes) => Counted::Codes(codes),
            Self::Absent => Counted::Absent,
        }
    }
}
