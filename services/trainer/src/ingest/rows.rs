//! Batches of rows: `{"rows": [{"age": 41, "plan": "pro"}, …]}`, or column by column: `{"columns": {"age": [41, …], "plan": […]}}`.

use jiff::Timestamp;

use super::{
    batch::{Batch, Field, Schema},
    json::{elements, members},
    unreadable::Unreadable,
    value,
};

/// Reads a batch.
pub(crate) fn read(schema: &Schema, data: &str) -> Result<Batch, Unreadable> {
    let mut batch = schema.batch();
    let mut found = false;
    members(data, |name, text| {
        match name {
            "rows" if !found => rows(schema, &mut batch, text)?,
            "columns" if !found => columns(schema, &mut batch, text)?,
            "rows" | "columns" => return Err(Unreadable::Shape("data: one of rows and columns is expected, once".into())),
            _ => return Ok(()),
        }
        found = true;
        Ok(())
    })?;
    if found {
        Ok(batch)
    } else {
        Err(Unreadable::Shape("data: rows (an array of objects) or columns (arrays by name) is expected".into()))
    }
}

/// Rows, one after the other: objects by name, or arrays in the order of the model's features.
pub(crate) fn rows(schema: &Schema, batch: &mut Batch, text: &str) -> Result<(), Unreadable> {
    elements(text, |row| {
        match row.as_bytes().first() {
            Some(b'{') => named(schema, batch, row)?,
            Some(b'[') => positional(schema, batch, row)?,
            _ => one(schema, batch, row)?,
        }
        batch.end_row();
        Ok(())
    })
}

fn named(schema: &Schema, batch: &mut Batch, row: &str) -> Result<(), Unreadable> {
    let (mut guess, mut known) = (0, false);
    members(row, |name, text| {
        match schema.field(name, guess) {
            Field::Column(column) => {
                put(schema, batch, column, text)?;
                (guess, known) = (column + 1, true);
            }
            other @ (Field::Key | Field::EventTime | Field::Prediction | Field::Other) => beside(schema, batch, other, text)?,
        }
        Ok(())
    })?;
    if known { Ok(()) } else { Err(Unreadable::NoFeature(format!("row {}", batch.rows))) }
}

fn positional(schema: &Schema, batch: &mut Batch, row: &str) -> Result<(), Unreadable> {
    let mut at = 0;
    elements(row, |text| {
        let column = schema.positions().get(at);
        at += 1;
        match column {
            Some(Some(column)) => put(schema, batch, *column, text),
            Some(None) => Ok(()),
            None => Err(too_many(schema, at, batch.rows)),
        }
    })?;
    if at == schema.positions().len() { Ok(()) } else { Err(too_many(schema, at, batch.rows)) }
}

/// A row of one feature, without brackets.
fn one(schema: &Schema, batch: &mut Batch, text: &str) -> Result<(), Unreadable> {
    match schema.positions() {
        [Some(column)] => put(schema, batch, *column, text),
        _ => Err(too_many(schema, 1, batch.rows)),
    }
}

fn too_many(schema: &Schema, found: usize, row: usize) -> Unreadable {
    let expected = schema.positions().len();
    Unreadable::Shape(format!("row {row} has {found} values; the model's features are {expected}, in their order"))
}

/// Puts a value into the row that is being read.
fn put(schema: &Schema, batch: &mut Batch, column: usize, text: &str) -> Result<(), Unreadable> {
    let rows = batch.rows;
    let values = &mut batch.columns[column];
    if values.len() > rows {
        return Err(Unreadable::Shape(format!("row {rows} holds column {:?} twice", schema.name(column))));
    }
    value::push(schema, column, values, text)
}

/// What a row says beside its features.
fn beside(schema: &Schema, batch: &mut Batch, field: Field, text: &str) -> Result<(), Unreadable> {
    let rows = batch.rows;
    match field {
        Field::Key => {
            batch.ids.resize(rows, String::new());
            batch.ids.push(value::string(text).into_owned());
        }
        Field::EventTime => {
            batch.times.resize(rows, None);
            batch.times.push(Some(time(text, rows)?));
        }
        Field::Prediction => {
            batch.predictions.resize(rows, None);
            batch.predictions.push(value::text(text));
            if let Some(column) = schema.prediction() {
                put(schema, batch, column, text)?;
            }
        }
        Field::Column(_) | Field::Other => {}
    }
    Ok(())
}

/// When a row was made: RFC 3339, or seconds since 1970.
fn time(text: &str, row: usize) -> Result<i64, Unreadable> {
    let text = value::string(text);
    let time = text.parse().ok().or_else(|| seconds(&text));
    let time =
        time.ok_or_else(|| Unreadable::Shape(format!("row {row}: {text:?} is no time; RFC 3339 or seconds since 1970 are")))?;
    Ok(time.as_microsecond())
}

fn seconds(text: &str) -> Option<Timestamp> {
    let seconds: f64 = text.parse().ok()?;
    Timestamp::from_duration(jiff::SignedDuration::try_from_secs_f64(seconds).ok()?).ok()
}

/// Columns, one after the other, all of one length.
fn columns(schema: &Schema, batch: &mut Batch, text: &str) -> Result<(), Unreadable> {
    let (mut length, mut known) = (None, false);
    members(text, |name, text| {
        let found = match schema.field(name, usize::MAX) {
            Field::Column(column) => {
                known = true;
                let values = &mut batch.columns[column];
                elements(text, |text| value::push(schema, column, values, text))?;
                values.len()
            }
            field @ (Field::Key | Field::EventTime | Field::Prediction | Field::Other) => {
                let mut row = 0;
                let rows = batch.rows;
                elements(text, |text| {
                    batch.rows = row;
                    row += 1;
                    beside(schema, batch, field, text)
                })?;
                batch.rows = rows;
                row
            }
        };
        let expected = *length.get_or_insert(found);
        if found == expected { Ok(()) } else { Err(Unreadable::Length { column: name.into(), found, expected }) }
    })?;
    if !known {
        return Err(Unreadable::NoFeature("columns".into()));
    }
    batch.end(length.unwrap_or_default());
    Ok(())
}
