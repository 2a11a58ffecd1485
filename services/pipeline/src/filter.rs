//! Which rows are wanted: a CEL expression over a row's columns.

use std::{collections::BTreeSet, sync::Arc};

use cel::{Context, Env, Program, Value};

use crate::{
    error::{Error, Result},
    table::{Batch, Cell},
};

/// A `where` that was understood.
pub(crate) struct Filter {
    text: String,
    program: Program,
    context: Context<'static, 'static>,
    columns: Vec<String>,
}

impl Filter {
    /// Reads an expression.
    ///
    /// # Errors
    /// It is no CEL.
    pub(crate) fn new(text: &str) -> Result<Self> {
        let env = Arc::new(Env::stdlib());
        let program = env.compile(text).map_err(|error| Error::new(format!("where: `{text}` is no CEL expression: {error}")))?;
        let columns: BTreeSet<String> = program.references().variables().into_iter().map(str::to_owned).collect();
        Ok(Self { text: text.to_owned(), program, context: Context::with_env(env), columns: columns.into_iter().collect() })
    }

    /// The columns that it looks at.
    pub(crate) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Which rows of a batch are wanted. `before` rows of the file came before it.
    ///
    /// # Errors
    /// Of a row it cannot be said.
    pub(crate) fn keep(&mut self, batch: &Batch, before: u64) -> Result<Vec<bool>> {
        let places: Vec<Option<usize>> = self.columns.iter().map(|name| batch.position(name)).collect();
        (0..batch.rows()).map(|row| self.row(batch, &places, row).map_err(|error| error.row(before + row as u64 + 1))).collect()
    }

    fn row(&mut self, batch: &Batch, places: &[Option<usize>], row: usize) -> Result<bool> {
        for (name, place) in self.columns.iter().zip(places) {
            if let Some(place) = place {
                self.context.add_variable_from_value(name.as_str(), value(batch.column(*place).cell(row)));
            }
        }
        match self.program.execute(&self.context) {
            Ok(Value::Bool(keep)) => Ok(keep),
            Ok(_) => Err(Error::new(format!("where: `{}` is neither true nor false here; make it a comparison", self.text))),
            Err(error) => {
                let what = format!(
                    "where: `{}` has no answer here: {error}; a value that may be missing is asked for with `x != null && …`",
                    self.text
                );
                Err(Error::new(what))
            }
        }
    }
}

fn value(cell: Cell<'_>) -> Value {
    match cell {
        Cell::Missing => Value::Null,
        Cell::Boolean(value) => Value::Bool(value),
        Cell::Integer(value) => Value::Int(value),
        Cell::Float(value) => Value::Float(value),
        Cell::String(value) => Value::from(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Column, Field, Kind};

    fn rows() -> Batch {
        let fields = vec![Field::new("plan", Kind::String), Field::new("age", Kind::Float)];
        let plans = ["free", "test", "paid"].map(|plan| Some(plan.to_owned())).to_vec();
        Batch::new(fields.into(), vec![Column::Strings(plans), Column::Floats(vec![Some(3.0), Some(40.0), None])])
    }

    #[test]
    fn an_expression_chooses_rows_by_their_columns() {
        let mut filter = Filter::new("plan != 'test' && (age == null || age > 2.5)").unwrap();
        assert_eq!(filter.columns(), ["age", "plan"]);
        assert_eq!(filter.keep(&rows(), 0).unwrap(), [true, false, true]);
    }

    #[test]
    fn a_number_is_compared_with_a_whole_number() {
        assert_eq!(Filter::new("age != null && age < 10").unwrap().keep(&rows(), 0).unwrap(), [true, false, false]);
    }

    #[test]
    fn what_has_no_answer_names_the_row_and_what_is_no_expression_is_refused() {
        let error = Filter::new("age > 2.5").unwrap().keep(&rows(), 10).unwrap_err().to_string();
        assert!(error.starts_with("row 13: where: `age > 2.5`"), "{error}");
        assert!(Filter::new("plan ==").is_err());
    }
}
