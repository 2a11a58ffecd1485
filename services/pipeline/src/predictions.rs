//! What a command has predicted, held against the rows that it was asked about: one line for each, in their order.

use std::{path::Path, sync::Arc};

use switchyard_model::{Metric, PREDICTION, Task};

use crate::{
    error::{Error, Result},
    metrics::{Measured, Meter, Outcome},
    preprocess::{Label, Truth},
    table::{Batch, Cell, Field, Format, Input, Kind, Rows, names, read, read_stored},
};

/// What begins the name of a class's probability.
const CLASS: &str = "p_";

/// Predictions, and what they are measured by.
pub(crate) struct Predicted<'a> {
    /// What the command wrote.
    pub(crate) predictions: &'a Path,
    /// How it wrote it.
    pub(crate) format: Format,
    /// The rows of the fold as they were fetched, with labels and slices.
    pub(crate) rows: &'a Path,
    /// The column by which rows are told apart.
    pub(crate) key: &'a str,
    /// What was to be predicted.
    pub(crate) label: &'a Label,
    /// What is measured.
    pub(crate) metrics: &'a [Metric],
    /// By which columns it is measured once more.
    pub(crate) slices: &'a [String],
}

/// Measures predictions.
///
/// # Errors
/// They are not one for each row in the rows' order, or not what the task wants.
pub(crate) fn measure(predicted: &Predicted<'_>) -> Result<Measured> {
    let mut wanted: Vec<&str> = vec![predicted.key, &predicted.label.column];
    wanted.extend(predicted.slices.iter().map(String::as_str));
    let mut rows = Cursor::new(read_stored(predicted.rows, Some(&wanted))?);
    let file = Written::open(predicted)?;
    let mut lines = Cursor::new(read(&file.input, &file.fields)?);
    let mut meter = Meter::new(predicted.label.task, predicted.metrics, predicted.slices);
    let mut number = 0;
    while rows.advance()? {
        number += 1;
        if !lines.advance()? {
            return Err(Error::new(format!(
                "there are {} predictions, and more rows were asked about; write one for each row",
                number - 1
            ))
            .file(&file.input.name));
        }
        let place = |error: Error| error.row(number).file(&file.input.name);
        let key = rows.cell(predicted.key).text().unwrap_or_default().into_owned();
        file.same_key(&lines, &key).map_err(place)?;
        let outcome = Written::outcome(predicted.label, &rows, &lines).map_err(place)?;
        let slices = predicted.slices.iter().map(|slice| rows.cell(slice).text().unwrap_or_default().into_owned());
        meter.see(&outcome, &slices.collect::<Vec<_>>())?;
    }
    if lines.advance()? {
        return Err(Error::new("there are more predictions than rows that were asked about")
            .row(number + 1)
            .file(&file.input.name));
    }
    meter.finish()
}

/// The file that a command wrote.
struct Written {
    input: Input,
    fields: Arc<[Field]>,
}

impl Written {
    fn open(predicted: &Predicted<'_>) -> Result<Self> {
        let input =
            Input { path: predicted.predictions.to_owned(), name: "SWITCHYARD_PREDICTIONS".into(), format: predicted.format };
        let there = names(&input).map_err(|error| error.prefixed("the predictions are not readable: "))?;
        let kind = if predicted.label.task == Task::Multiclass { Kind::String } else { Kind::Float };
        let mut fields = vec![Field::new(predicted.key, Kind::String), Field::new(PREDICTION, kind)];
        if predicted.label.task == Task::Multiclass {
            fields.extend(there.iter().filter(|name| name.starts_with(CLASS)).map(|name| Field::new(name, Kind::Float)));
        }
        if let Some(missing) = fields.iter().find(|field| !there.contains(&field.name)) {
            let what = format!(
                "the predictions have no such column; write `{}` and `{PREDICTION}`, there are: {}",
                predicted.key,
                there.join(", ").chars().take(200).collect::<String>()
            );
            return Err(Error::new(what).column(&missing.name).file(&input.name));
        }
        Ok(Self { input, fields: fields.into() })
    }

    fn same_key(&self, lines: &Cursor, key: &str) -> Result<()> {
        let said = lines.cell(&self.fields[0].name).text().unwrap_or_default().into_owned();
        if said == key {
            return Ok(());
        }
        let what = format!(
            "the prediction is of key `{said}`, and the row of key `{key}`; write one line for each row of SWITCHYARD_TEST, in its order"
        );
        Err(Error::new(what).column(&self.fields[0].name))
    }

    fn outcome(label: &Label, rows: &Cursor, lines: &Cursor) -> Result<Outcome> {
        let said = lines.cell(PREDICTION);
        let missing = || Error::new("there is no prediction").column(PREDICTION);
        let number = || {
            let number = said.number().ok_or_else(missing)?;
            if number.is_finite() { Ok(number) } else { Err(Error::new(format!("{number} is no prediction")).column(PREDICTION)) }
        };
        Ok(match label.truth(rows.cell(&label.column))? {
            Truth::Number(truth) => Outcome::Regression { truth, predicted: number()? },
            Truth::Binary(truth) => Outcome::Binary { truth, probability: probability(number()?, PREDICTION)? },
            Truth::Class(truth) => {
                let predicted = said.text().ok_or_else(missing)?.into_owned();
                let column = format!("{CLASS}{truth}");
                let of_truth = lines.find(&column).and_then(Cell::number);
                let probability = of_truth.map(|said| probability(said, &column)).transpose()?;
                Outcome::Multiclass { truth, predicted, probability }
            }
        })
    }
}

fn probability(number: f64, column: &str) -> Result<f64> {
    if (0.0..=1.0).contains(&number) {
        return Ok(number);
    }
    Err(Error::new(format!("{number} is no probability; write one between 0 and 1")).column(column))
}

/// Goes through batches row by row.
struct Cursor {
    rows: Rows,
    batch: Option<Batch>,
    row: usize,
}

impl Cursor {
    fn new(rows: Rows) -> Self {
        Self { rows, batch: None, row: 0 }
    }

    fn advance(&mut self) -> Result<bool> {
        self.row += 1;
        while self.batch.as_ref().is_none_or(|batch| self.row >= batch.rows()) {
            let Some(batch) = self.rows.next() else { return Ok(false) };
            (self.batch, self.row) = (Some(batch?), 0);
        }
        Ok(true)
    }

    fn find(&self, column: &str) -> Option<Cell<'_>> {
        Some(self.batch.as_ref()?.named(column)?.cell(self.row))
    }

    fn cell(&self, column: &str) -> Cell<'_> {
        self.find(column).unwrap_or(Cell::Missing)
    }
}
