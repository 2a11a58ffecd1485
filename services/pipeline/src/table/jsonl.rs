//! One JSON object a line. A key that is not there, or null, is a missing value.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    sync::Arc,
};

use serde_json::{Map, Value};

use super::{
    BATCH, Batch, Cell, Field,
    read::{Input, Rows, empty, wrong_kind},
};
use crate::error::{Error, Result, Tried};

struct Opened {
    input: Input,
    reader: BufReader<File>,
    line: String,
    row: u64,
}

pub(super) fn read(input: &Input, fields: &Arc<[Field]>) -> Result<Rows> {
    let mut opened = open(input)?;
    let fields = Arc::clone(fields);
    Ok(Box::new(std::iter::from_fn(move || opened.batch(&fields).transpose())))
}

/// Calls `see` with every value of the wanted columns.
pub(super) fn each(input: &Input, wanted: &[String], see: &mut dyn FnMut(u64, usize, Cell<'_>) -> Result<()>) -> Result<()> {
    let mut opened = open(input)?;
    while let Some(object) = opened.object()? {
        for (column, name) in wanted.iter().enumerate() {
            see(opened.row, column, opened.cell(&object, name)?)?;
        }
    }
    Ok(())
}

fn open(input: &Input) -> Result<Opened> {
    let reader = BufReader::with_capacity(1 << 16, File::open(&input.path).tried("open", &input.name)?);
    Ok(Opened { input: input.clone(), reader, line: String::new(), row: 0 })
}

impl Opened {
    fn object(&mut self) -> Result<Option<Map<String, Value>>> {
        loop {
            self.line.clear();
            if self.reader.read_line(&mut self.line).tried("read", &self.input.name)? == 0 {
                return Ok(None);
            }
            if self.line.trim().is_empty() {
                continue;
            }
            self.row += 1;
            let object = serde_json::from_str(&self.line).map_err(|error| {
                Error::new(format!("not a JSON object on one line: {error}")).row(self.row).file(&self.input.name)
            })?;
            return Ok(Some(object));
        }
    }

    fn cell<'a>(&self, object: &'a Map<String, Value>, name: &str) -> Result<Cell<'a>> {
        Ok(match object.get(name) {
            None | Some(Value::Null) => Cell::Missing,
            Some(Value::Bool(value)) => Cell::Boolean(*value),
            Some(Value::String(text)) => Cell::String(text),
            Some(Value::Number(number)) => number
                .as_i64()
                .map(Cell::Integer)
                .or_else(|| number.as_f64().map(Cell::Float))
                .ok_or_else(|| Error::new("a number that does not fit").row(self.row).column(name).file(&self.input.name))?,
            Some(Value::Array(_) | Value::Object(_)) => {
                let what = "a list or an object is no value of a column; flatten it before";
                return Err(Error::new(what).row(self.row).column(name).file(&self.input.name));
            }
        })
    }

    fn batch(&mut self, fields: &Arc<[Field]>) -> Result<Option<Batch>> {
        let mut columns = empty(fields);
        let mut rows = 0;
        while rows < BATCH {
            let Some(object) = self.object()? else { break };
            for (column, field) in columns.iter_mut().zip(fields.iter()) {
                let cell = self.cell(&object, &field.name)?;
                if !column.push(cell) {
                    return Err(wrong_kind(&self.input, self.row, field, &cell.text().unwrap_or_default()));
                }
            }
            rows += 1;
        }
        Ok((rows > 0).then(|| Batch::new(Arc::clone(fields), columns)))
    }
}
