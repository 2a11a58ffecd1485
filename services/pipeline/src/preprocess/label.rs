//! What is predicted.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use switchyard_model::Task;

use crate::{
    error::{Error, Result},
    table::{Cell, Column, Field, Kind},
};

/// How many classes a label may have.
const CLASSES: usize = 1000;

/// The label, and its classes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Label {
    /// Its column.
    pub(crate) column: String,
    /// What kind of answer it is.
    #[serde(deserialize_with = "task")]
    pub(crate) task: Task,
    /// The classes in their order. Of two, the second is the positive one: its probability is predicted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) classes: Vec<String>,
}

fn task<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Task, D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        "binary" => Ok(Task::Binary),
        "multiclass" => Ok(Task::Multiclass),
        "regression" => Ok(Task::Regression),
        other => Err(D::Error::custom(format!("`{other}` is no task"))),
    }
}

/// A row's label.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Truth {
    /// Whether it is of the positive class.
    Binary(bool),
    /// Its class.
    Class(String),
    /// Its value.
    Number(f64),
}

/// Looks at the labels of the training fold.
pub(super) struct Labels {
    field: Field,
    task: Task,
    seen: BTreeSet<String>,
}

impl Labels {
    pub(super) fn new(field: &Field, task: Task) -> Result<Self> {
        if task == Task::Regression && !field.kind.is_number() {
            let what = format!("the label of a regression must be a number, and the column holds {}", field.kind.words());
            return Err(Error::new(what).column(&field.name));
        }
        Ok(Self { field: field.clone(), task, seen: BTreeSet::new() })
    }

    pub(super) fn see(&mut self, column: &Column) -> Result<()> {
        let most = if self.task == Task::Binary { 2 } else { CLASSES };
        if self.task == Task::Regression && self.seen.len() > 1 {
            return Ok(());
        }
        for cell in column.cells() {
            let Some(text) = cell.text() else { continue };
            if !self.seen.contains(text.as_ref()) {
                self.seen.insert(text.into_owned());
            }
            if self.task != Task::Regression && self.seen.len() > most {
                let shown: Vec<&str> = self.seen.iter().take(3).map(String::as_str).collect();
                let what = format!("the label has more than {most} classes ({}, …); is `task` right?", shown.join(", "));
                return Err(Error::new(what).column(&self.field.name));
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Label> {
        if self.seen.len() < 2 {
            let what = "every row of the training fold has the same label: there is nothing to learn";
            return Err(Error::new(what).column(&self.field.name));
        }
        let plain = self.field.kind == Kind::Boolean || self.seen.iter().all(|class| class == "0" || class == "1");
        let classes = match self.task {
            Task::Regression => Vec::new(),
            Task::Binary if plain => Vec::new(),
            Task::Binary | Task::Multiclass => self.seen.into_iter().collect(),
        };
        Ok(Label { column: self.field.name, task: self.task, classes })
    }
}

impl Label {
    /// What the label's column holds where commands see it.
    pub(crate) fn field(&self) -> Field {
        let kind = match self.task {
            Task::Binary => Kind::Integer,
            Task::Multiclass => Kind::String,
            Task::Regression => Kind::Float,
        };
        Field::new(&self.column, kind)
    }

    /// What a row's label says.
    ///
    /// # Errors
    /// It is none of the classes.
    pub(crate) fn truth(&self, cell: Cell<'_>) -> Result<Truth> {
        let text = cell.text().unwrap_or_default();
        let place = self.classes.iter().position(|class| *class == text);
        let truth = match self.task {
            Task::Regression => cell.number().map(Truth::Number),
            Task::Multiclass => place.map(|_| Truth::Class(text.clone().into_owned())),
            Task::Binary if self.classes.is_empty() => match text.as_ref() {
                "1" | "true" => Some(Truth::Binary(true)),
                "0" | "false" => Some(Truth::Binary(false)),
                _ => None,
            },
            Task::Binary => place.map(|place| Truth::Binary(place == 1)),
        };
        truth.ok_or_else(|| {
            let classes = if self.classes.is_empty() { "0 and 1".to_owned() } else { self.classes.join(", ") };
            Error::new(format!("the label `{text}` is none of those in the training fold ({classes})")).column(&self.column)
        })
    }

    /// The labels of a batch as commands see them: 0 and 1, a class, or a number.
    pub(super) fn encode(&self, column: &Column) -> Result<Column, (usize, Error)> {
        let mut encoded = Column::empty(self.field().kind);
        for (row, cell) in column.cells().enumerate() {
            let pushed = match self.truth(cell).map_err(|error| (row, error))? {
                Truth::Binary(positive) => encoded.push(Cell::Integer(i64::from(positive))),
                Truth::Class(class) => encoded.push(Cell::String(&class)),
                Truth::Number(number) => encoded.push(Cell::Float(number)),
            };
            debug_assert!(pushed, "a truth is of the label's kind");
        }
        Ok(encoded)
    }
}
