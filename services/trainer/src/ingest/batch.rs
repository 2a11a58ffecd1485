//! Rows as they are counted: one column after the other. Values are read straight into place; nothing is kept per row.

use std::{collections::HashMap, ops::Range};

use switchyard_drift::{Column, Fold, MISSING, MISSING_NAME};
use switchyard_model::PREDICTION;

/// What is read out of rows: the columns of the reference, and what labels and windows go by.
#[derive(Clone, Debug)]
pub struct Schema {
    columns: Vec<Kept>,
    by_name: HashMap<String, usize>,
    fold: Fold,
    /// The columns of a row without names, in their order there.
    positions: Vec<Option<usize>>,
    key: Option<String>,
    event_time: Option<String>,
    prediction: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    Numbers,
    Names,
}

/// Some rows.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub(crate) columns: Vec<Values>,
    /// How many rows there are.
    pub rows: usize,
    /// What labels call the rows, where they say it themselves.
    pub(crate) ids: Vec<String>,
    /// When each row was made, where it says so: microseconds since 1970.
    pub(crate) times: Vec<Option<i64>>,
    /// What the model answered, where the rows hold it.
    pub(crate) predictions: Vec<Option<String>>,
}

/// One column.
#[derive(Clone, Debug)]
pub(crate) enum Values {
    Numbers(Vec<f64>),
    Codes(Vec<u32>),
}

/// Where a value of a row belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Column(usize),
    Key,
    EventTime,
    Prediction,
    Other,
}

impl Schema {
    /// The columns of a reference; `features` in the order in which rows without names hold them.
    #[must_use]
    pub fn new(fold: Fold, features: &[String], key: Option<&str>, event_time: Option<&str>) -> Self {
        let by_name: HashMap<String, usize> = fold.names().iter().cloned().zip(0..).collect();
        let kind = |column| if fold.is_numeric(column) { Kept::Numbers } else { Kept::Names };
        Self {
            columns: (0..by_name.len()).map(kind).collect(),
            positions: features.iter().map(|name| by_name.get(name).copied()).collect(),
            key: key.map(str::to_owned),
            event_time: event_time.map(str::to_owned),
            prediction: by_name.get(PREDICTION).copied(),
            by_name,
            fold,
        }
    }

    /// What rows are counted with.
    #[must_use]
    pub fn fold(&self) -> &Fold {
        &self.fold
    }

    /// The column of the model's answers.
    pub(crate) fn prediction(&self) -> Option<usize> {
        self.prediction
    }

    pub(crate) fn positions(&self) -> &[Option<usize>] {
        &self.positions
    }

    /// Where a value of that name belongs. Rows mostly have their columns in one order: `guess` is tried first.
    pub(crate) fn field(&self, name: &str, guess: usize) -> Field {
        let names = self.fold.names();
        let column = match names.get(guess) {
            Some(guessed) if guessed == name => Some(guess),
            Some(_) | None => self.by_name.get(name).copied(),
        };
        match column {
            Some(column) if Some(column) == self.prediction => Field::Prediction,
            Some(column) => Field::Column(column),
            None if name == PREDICTION => Field::Prediction,
            None if self.key.as_deref() == Some(name) => Field::Key,
            None if self.event_time.as_deref() == Some(name) => Field::EventTime,
            None => Field::Other,
        }
    }

    pub(crate) fn name(&self, column: usize) -> &str {
        self.fold.names().get(column).map_or("", String::as_str)
    }

    /// What the model answered, as the column that the reference has of it; what does not fit there is no number.
    pub(crate) fn answered(&self, answers: &[Option<String>]) -> Batch {
        let mut batch = self.batch();
        if let Some(column) = self.prediction {
            match &mut batch.columns[column] {
                Values::Numbers(numbers) => numbers.extend(answers.iter().map(|answer| match answer.as_deref() {
                    None => MISSING,
                    Some("true") => 1.0,
                    Some("false") => 0.0,
                    Some(text) => text.parse().unwrap_or(f64::NAN),
                })),
                Values::Codes(codes) => {
                    let code =
                        |answer: &Option<String>| answer.as_deref().map_or(MISSING_NAME, |text| self.fold.code(column, text));
                    codes.extend(answers.iter().map(code));
                }
            }
        }
        batch.rows = answers.len();
        batch
    }

    /// No rows yet.
    pub(crate) fn batch(&self) -> Batch {
        let values = |kept: &Kept| match kept {
            Kept::Numbers => Values::Numbers(Vec::new()),
            Kept::Names => Values::Codes(Vec::new()),
        };
        Batch { columns: self.columns.iter().map(values).collect(), ..Batch::default() }
    }
}

impl Batch {
    /// The columns of some of the rows, as they are counted. What the model answered is counted by itself.
    pub(crate) fn slices<'a>(&'a self, schema: &Schema, rows: Range<usize>) -> Vec<Column<'a>> {
        let slice = |(at, values): (usize, &'a Values)| {
            if schema.prediction() == Some(at) { Column::Absent } else { values.slice(rows.clone()) }
        };
        self.columns.iter().enumerate().map(slice).collect()
    }

    /// The same with nothing but what the model answered.
    pub(crate) fn answers<'a>(&'a self, schema: &Schema, rows: Range<usize>) -> Vec<Column<'a>> {
        let slice = |(at, values): (usize, &'a Values)| {
            if schema.prediction() == Some(at) { values.slice(rows.clone()) } else { Column::Absent }
        };
        self.columns.iter().enumerate().map(slice).collect()
    }

    /// Ends a row: what it did not hold is missing.
    pub(crate) fn end_row(&mut self) {
        self.rows += 1;
        let rows = self.rows;
        for values in &mut self.columns {
            match values {
                Values::Numbers(numbers) if numbers.len() < rows => numbers.push(MISSING),
                Values::Codes(codes) if codes.len() < rows => codes.push(MISSING_NAME),
                Values::Numbers(_) | Values::Codes(_) => {}
            }
        }
    }

    /// Sets how many rows there are, after columns were read one by one: what a column does not hold is missing.
    pub(crate) fn end(&mut self, rows: usize) {
        self.rows = rows;
        for values in &mut self.columns {
            match values {
                Values::Numbers(numbers) => numbers.resize(rows, MISSING),
                Values::Codes(codes) => codes.resize(rows, MISSING_NAME),
            }
        }
    }
}

impl Values {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Numbers(numbers) => numbers.len(),
            Self::Codes(codes) => codes.len(),
        }
    }

    fn slice(&self, rows: Range<usize>) -> Column<'_> {
        match self {
            Self::Numbers(numbers) => Column::Numbers(numbers.get(rows).unwrap_or_default()),
            Self::Codes(codes) => Column::Codes(codes.get(rows).unwrap_or_default()),
        }
    }
}
