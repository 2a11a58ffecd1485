//! Labels: what turned out to be true, some time after the model answered.
//!
//! `{"labels": [{"id": "4f1c", "label": 1}, …]}`; the id is that of the row: the key of a row of a batch, the id of a request with
//! one row, `<id>/<n>` for the n-th row (from 0) of a request with more.

use super::{
    json::{elements, members},
    unreadable::Unreadable,
    value,
};

/// What is true of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labelled {
    /// The row.
    pub id: String,
    /// What is true.
    pub label: String,
}

pub(crate) fn read(data: &str) -> Result<Vec<Labelled>, Unreadable> {
    let mut labels = None;
    members(data, |name, text| {
        if name == "labels" {
            labels = Some(list(text)?);
        }
        Ok(())
    })?;
    labels.ok_or_else(|| Unreadable::Shape("data: labels, an array of {id, label}, is expected".into()))
}

fn list(text: &str) -> Result<Vec<Labelled>, Unreadable> {
    let mut labels = Vec::new();
    elements(text, |text| {
        let (mut id, mut label) = (None, None);
        members(text, |name, text| {
            match name {
                "id" => id = value::text(text),
                "label" => label = value::text(text),
                _ => {}
            }
            Ok(())
        })?;
        let at = labels.len();
        let missing = |what| Unreadable::Shape(format!("label {at}: {what} is missing"));
        labels.push(Labelled { id: id.ok_or_else(|| missing("id"))?, label: label.ok_or_else(|| missing("label"))? });
        Ok(())
    })?;
    Ok(labels)
}
