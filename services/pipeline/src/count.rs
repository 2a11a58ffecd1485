//! Rows of a file, counted against a profile. Parquet is counted column by column, without looking at single rows.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Float64Array, cast::AsArray, types::Int32Type};
use arrow_schema::DataType;
use switchyard_drift::{Column as Counted, Fold, MISSING, MISSING_NAME, WindowCounts};

use crate::{
    error::{Error, Result},
    table::{Column, Field, Format, Input, Kind, column_of, open_coded, read},
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
    let kind = |at| if fold.is_numeric(at) { Kind::Float } else { Kind::String };
    let fields: Arc<[Field]> = fold.names().iter().enumerate().map(|(at, name)| Field::new(name, kind(at))).collect();
    for batch in read(input, &fields)? {
        let batch = batch?;
        let held: Vec<Held> = (0..fields.len()).map(|at| Held::of(fold, at, batch.column(at))).collect();
        add(fold, window, &held, batch.rows())?;
    }
    Ok(())
}

fn columnar(fold: &Fold, window: &mut WindowCounts, input: &Input) -> Result<()> {
    let (reader, order) = open_coded(input, fold.names(), ROWS)?;
    for batch in reader {
        let batch = batch?;
        let held = |(at, place): (usize, &usize)| {
            Held::of_array(fold, at, batch.column(*place)).map_err(|error| error.column(&fold.names()[at]))
        };
        let held = order.iter().enumerate().map(held).collect::<Result<Vec<_>>>()?;
        add(fold, window, &held, batch.num_rows())?;
    }
    Ok(())
}

fn add(fold: &Fold, window: &mut WindowCounts, held: &[Held], rows: usize) -> Result<()> {
    let columns: Vec<Counted<'_>> = held.iter().map(Held::counted).collect();
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
        }
    }
}
