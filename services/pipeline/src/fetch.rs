//! The rows of a source that are wanted, as one Parquet file: filtered, selected, and every value one that can be used.

mod select;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use serde::{Deserialize, Serialize};
use switchyard_model::Select;

use crate::{
    error::{Error, Result},
    filter::Filter,
    moment::moment,
    table::{Batch, Column, Field, Input, parquet_writer, read},
};

/// What is fetched.
pub(crate) struct Wanted<'a> {
    /// The files, in order.
    pub(crate) inputs: &'a [Input],
    /// The columns to read, with their kinds.
    pub(crate) fields: &'a Arc<[Field]>,
    /// Columns that must hold a value in every row: the key, the label, what is split or ordered by.
    pub(crate) required: &'a [String],
    /// Columns that are there for the champion alone: what is wrong with them is only noted.
    pub(crate) spare: &'a [String],
    /// The column by which rows are told apart.
    pub(crate) key: &'a str,
    /// The column that says when a row happened.
    pub(crate) event_time: Option<&'a str>,
    /// Which rows are wanted.
    pub(crate) filter: Option<&'a str>,
    /// Which of those are taken.
    pub(crate) select: Select,
    /// The newest row that the champion was trained on, in microseconds since 1970: what is later is new.
    pub(crate) newest: Option<i64>,
    /// Whether rows must come in the order of their moments.
    pub(crate) ordered: bool,
    /// What sampling is seeded with.
    pub(crate) seed: u64,
}

/// What was fetched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fetched {
    /// How many rows the source has.
    pub(crate) source_rows: u64,
    /// How many were taken.
    pub(crate) rows: u64,
    /// The moment of the newest row that was taken, in microseconds since 1970.
    pub(crate) newest: Option<i64>,
    /// Of the spare columns, those that cannot be used, and why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) lacking: BTreeMap<String, String>,
}

/// Writes the wanted rows into a file.
///
/// # Errors
/// A value is missing where there must be one, or is no number where one is expected; or no row is left.
pub(crate) fn fetch(wanted: &Wanted<'_>, to: &Path) -> Result<Fetched> {
    let chosen = select::Chosen::find(wanted)?;
    let mut sink = parquet_writer(to, wanted.fields)?;
    let mut last = i64::MIN;
    let mut fetched = Fetched { source_rows: 0, rows: 0, newest: None, lacking: BTreeMap::new() };
    each(
        wanted,
        &mut |input, numbers, batch| {
            check(wanted, input, numbers, batch, &mut fetched.lacking)?;
            if wanted.ordered {
                rises(wanted, input, numbers, batch, &mut last)?;
            }
            let batch = batch.filter(&chosen.keep(wanted, batch)?);
            fetched.rows += batch.rows() as u64;
            fetched.newest = fetched.newest.max(newest(wanted, &batch));
            sink.write(&batch)
        },
        &mut fetched.source_rows,
    )?;
    sink.close()?;
    if fetched.rows == 0 {
        let what = format!("no row is left of {} that the source has; look at `where` and `select`", fetched.source_rows);
        return Err(Error::new(what));
    }
    Ok(fetched)
}

type See<'a> = &'a mut dyn FnMut(&Input, &[u64], &Batch) -> Result<()>;

/// Shows every batch of rows that the filter keeps, with each row's number in its file.
fn each(wanted: &Wanted<'_>, see: See<'_>, all: &mut u64) -> Result<()> {
    let mut filter = wanted.filter.map(Filter::new).transpose()?;
    for input in wanted.inputs {
        let mut before = 0;
        for batch in read(input, wanted.fields)? {
            let batch = batch?;
            let keep = match &mut filter {
                None => vec![true; batch.rows()],
                Some(filter) => filter.keep(&batch, before).map_err(|error| error.file(&input.name))?,
            };
            let numbers: Vec<u64> = keep.iter().zip(before + 1..).filter(|(keep, _)| **keep).map(|(_, row)| row).collect();
            see(input, &numbers, &batch.filter(&keep))?;
            before += batch.rows() as u64;
        }
        *all += before;
    }
    Ok(())
}

/// Refuses rows without a value that they must have, and numbers that are none.
fn check(
    wanted: &Wanted<'_>,
    input: &Input,
    numbers: &[u64],
    batch: &Batch,
    lacking: &mut BTreeMap<String, String>,
) -> Result<()> {
    for (at, field) in wanted.fields.iter().enumerate() {
        let required = wanted.required.contains(&field.name);
        if let Column::Floats(values) = batch.column(at)
            && let Some(row) = values.iter().position(|value| value.is_some_and(|value| !value.is_finite()))
        {
            let what = format!(
                "{} is no number to learn from; leave it empty (it is then filled), or exclude the row with `where`",
                values[row].unwrap_or_default()
            );
            let error = Error::new(what).column(&field.name).row(numbers[row]).file(&input.name);
            if !wanted.spare.contains(&field.name) {
                return Err(error);
            }
            lacking.entry(field.name.clone()).or_insert_with(|| error.to_string());
        }
        if required && let Some(row) = (0..batch.rows()).find(|row| batch.column(at).cell(*row).text().is_none()) {
            let what = "there is no value, and every row must have one here; exclude the row with `where`";
            return Err(Error::new(what).column(&field.name).row(numbers[row]).file(&input.name));
        }
    }
    moments(wanted, batch).map(drop).map_err(|(row, error)| error.row(numbers[row]).file(&input.name))
}

/// Refuses a row that is older than the one before it.
fn rises(wanted: &Wanted<'_>, input: &Input, numbers: &[u64], batch: &Batch, last: &mut i64) -> Result<()> {
    for (at, number) in moments(wanted, batch).map_err(|(_, error)| error)?.into_iter().zip(numbers) {
        if at < *last {
            let what = "is older than the row before it, and forward or backward fill needs rows in the order of eventTime; sort the source";
            return Err(Error::new(what).column(wanted.event_time.unwrap_or_default()).row(*number).file(&input.name));
        }
        *last = at;
    }
    Ok(())
}

/// When each row happened; nothing where nobody asks.
fn moments(wanted: &Wanted<'_>, batch: &Batch) -> Result<Vec<i64>, (usize, Error)> {
    let Some((name, column)) = wanted.event_time.and_then(|name| Some((name, batch.named(name)?))) else { return Ok(Vec::new()) };
    let each = column.cells().enumerate().map(|(row, cell)| {
        let shown = cell.text().unwrap_or_default().into_owned();
        moment(cell).ok_or_else(|| {
            (row, Error::new(format!("`{shown}` is no moment; write RFC 3339 or seconds since 1970")).column(name))
        })
    });
    each.collect()
}

fn newest(wanted: &Wanted<'_>, batch: &Batch) -> Option<i64> {
    wanted.event_time.and_then(|name| batch.named(name)?.cells().filter_map(moment).max())
}
