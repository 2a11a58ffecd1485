//! Fitted steps, applied batch after batch in the order of the rows.

use std::{collections::VecDeque, sync::Arc};

use super::{
    Fixed, Preprocessing, Step,
    step::{Ready, Values, filled},
};
use crate::{
    error::{Error, Result},
    table::{Batch, Cell, Column, Field, Kind, Rows},
};

/// What of a row is handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parts {
    /// The key and the features.
    Features,
    /// The label too.
    Labelled,
}

/// Applies a preprocessing to the batches of one file.
pub(crate) struct Applier<'a> {
    preprocessing: &'a Preprocessing,
    parts: Parts,
    chains: Vec<Chain<'a>>,
    fields: Arc<[Field]>,
}

/// The steps of one column, and what they remember of other rows.
pub(super) struct Chain<'a> {
    steps: Vec<(&'a Step, Ready<'a>)>,
    before: Option<Fixed>,
    after: VecDeque<Option<Fixed>>,
}

impl<'a> Applier<'a> {
    /// Applies a preprocessing to a file. `again` reads the file from its beginning: some steps must know what comes later.
    pub(crate) fn new(preprocessing: &'a Preprocessing, parts: Parts, again: impl Fn() -> Result<Rows>) -> Result<Self> {
        let mut chains: Vec<Chain<'a>> = preprocessing.columns.iter().map(|column| Chain::new(&column.steps)).collect();
        for (chain, column) in chains.iter_mut().zip(&preprocessing.columns).filter(|(chain, _)| chain.looks_ahead()) {
            chain.look_ahead(again()?, &column.field.name)?;
        }
        let mut fields = vec![preprocessing.key.clone()];
        fields.extend(preprocessing.features());
        if parts == Parts::Labelled {
            fields.push(preprocessing.label.field());
        }
        Ok(Self { preprocessing, parts, chains, fields: fields.into() })
    }

    /// What the rows become.
    pub(crate) fn fields(&self) -> &Arc<[Field]> {
        &self.fields
    }

    /// Applies it to the next batch.
    ///
    /// # Errors
    /// A column is missing, or a value is not what its step takes; the error names the row by its key.
    pub(crate) fn apply(&mut self, batch: &Batch) -> Result<Batch> {
        let missing = |name: &str| Error::new("there is no such column, and the preprocessing takes it").column(name);
        let keys = batch.named(&self.preprocessing.key.name).ok_or_else(|| missing(&self.preprocessing.key.name))?;
        let named = |(row, error): (usize, Error), column: &str| {
            let key = keys.cell(row).text().unwrap_or_default().into_owned();
            error.column(column).file(format!("row of key `{key}`"))
        };
        let mut columns = vec![keys.clone()];
        for (chain, fitted) in self.chains.iter_mut().zip(&self.preprocessing.columns) {
            let name = &fitted.field.name;
            let column = batch.named(name).ok_or_else(|| missing(name))?;
            let column = as_fitted(column, fitted.field.kind).map_err(|error| named(error, name))?;
            match chain.apply(column).map_err(|error| named(error, name))? {
                Values::One(column) => columns.push(finished(column, &fitted.steps)),
                Values::Many(many) => columns.extend(many),
            }
        }
        if self.parts == Parts::Labelled {
            let label = &self.preprocessing.label;
            let column = batch.named(&label.column).ok_or_else(|| missing(&label.column))?;
            columns.push(label.encode(column).map_err(|error| named(error, &label.column))?);
        }
        Ok(Batch::new(Arc::clone(&self.fields), columns))
    }
}

/// The column as it was when it was fitted: what is a text now, because another preprocessing wants it so, is read again.
fn as_fitted(column: &Column, kind: Kind) -> Result<Column, (usize, Error)> {
    let Column::Strings(texts) = column else { return Ok(column.clone()) };
    if kind == Kind::String {
        return Ok(column.clone());
    }
    let mut read = Column::empty(kind);
    for (row, text) in texts.iter().enumerate() {
        if !read.push_text(text.as_deref().unwrap_or_default()) {
            let shown: String = text.iter().flat_map(|text| text.chars()).take(40).collect();
            return Err((row, Error::new(format!("`{shown}` does not fit: the column held {} in training", kind.words()))));
        }
    }
    Ok(read)
}

/// Truth values become 1 and 0, unless the column is to be left alone.
fn finished(column: Column, steps: &[Step]) -> Column {
    match column {
        Column::Booleans(values) if !steps.iter().any(|step| matches!(step, Step::None)) => {
            Column::Integers(values.into_iter().map(|value| value.map(i64::from)).collect())
        }
        other @ (Column::Booleans(_) | Column::Integers(_) | Column::Floats(_) | Column::Strings(_)) => other,
    }
}

impl<'a> Chain<'a> {
    pub(super) fn new(steps: &'a [Step]) -> Self {
        Self { steps: steps.iter().map(|step| (step, Ready::new(step))).collect(), before: None, after: VecDeque::new() }
    }

    pub(super) fn looks_ahead(&self) -> bool {
        self.steps.iter().any(|(step, _)| matches!(step, Step::Backward(_)))
    }

    /// Learns of each batch which value comes first after it.
    pub(super) fn look_ahead(&mut self, rows: Rows, column: &str) -> Result<()> {
        let first = |batch: Result<Batch>| {
            let batch = batch?;
            Ok(batch.named(column).and_then(|column| column.cells().find_map(Fixed::of)))
        };
        let mut firsts: Vec<Option<Fixed>> = rows.map(first).collect::<Result<_>>()?;
        for at in (1..firsts.len()).rev() {
            if firsts[at - 1].is_none() {
                let (before, after) = firsts.split_at_mut(at);
                before[at - 1].clone_from(&after[0]);
            }
        }
        self.after = firsts.into_iter().skip(1).chain([None]).collect();
        Ok(())
    }

    pub(super) fn apply(&mut self, column: Column) -> Result<Values, (usize, Error)> {
        let mut values = Values::One(column);
        for (step, ready) in &self.steps {
            let Values::One(column) = values else { return Ok(values) };
            values = match step {
                Step::Forward(first) => Values::One(forward(&column, &mut self.before, first.as_ref(), step)?),
                Step::Backward(last) => {
                    let after = self.after.pop_front().flatten();
                    Values::One(backward(&column, after.as_ref().or(last.as_ref()), step)?)
                }
                Step::Fill(_)
                | Step::Scale { .. }
                | Step::Vocabulary { .. }
                | Step::OneHot { .. }
                | Step::Bucketize { .. }
                | Step::Hash(_)
                | Step::Ngrams { .. }
                | Step::Tfidf { .. }
                | Step::None => ready.apply(column)?,
            };
        }
        Ok(values)
    }
}

fn forward(column: &Column, before: &mut Option<Fixed>, first: Option<&Fixed>, step: &Step) -> Result<Column, (usize, Error)> {
    let mut last: Vec<Option<usize>> = Vec::with_capacity(column.len());
    for (row, cell) in column.cells().enumerate() {
        last.push(if cell == Cell::Missing { last.last().copied().flatten() } else { Some(row) });
    }
    let start = before.clone();
    let value = |row: usize| match last[row] {
        Some(row) => Some(column.cell(row)),
        None => start.as_ref().or(first).map(Fixed::cell),
    };
    let filled = filled(column, value, step)?;
    *before = last.last().copied().flatten().and_then(|row| Fixed::of(column.cell(row))).or(start.clone());
    Ok(filled)
}

fn backward(column: &Column, after: Option<&Fixed>, step: &Step) -> Result<Column, (usize, Error)> {
    let mut next = vec![None; column.len()];
    for row in (0..column.len()).rev() {
        next[row] = if column.cell(row) == Cell::Missing { next.get(row + 1).copied().flatten() } else { Some(row) };
    }
    filled(column, |row| next[row].map_or_else(|| after.map(Fixed::cell), |row| Some(column.cell(row))), step)
}
