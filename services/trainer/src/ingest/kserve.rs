//! What the logger of `KServe` sends: the bodies of requests and responses, protocol versions 1 and 2.

use super::{
    batch::{Batch, Field, Schema},
    json::{elements, members, scalars},
    rows,
    unreadable::Unreadable,
    value,
};

/// Reads the features out of a request: `instances` (version 1) or `inputs` (version 2).
pub(crate) fn request(schema: &Schema, data: &str) -> Result<Batch, Unreadable> {
    let mut batch = schema.batch();
    let mut found = false;
    members(data, |name, text| {
        match name {
            "instances" if !found => rows::rows(schema, &mut batch, text)?,
            "inputs" if !found => inputs(schema, &mut batch, text)?,
            _ => return Ok(()),
        }
        found = true;
        Ok(())
    })?;
    if found {
        Ok(batch)
    } else {
        Err(Unreadable::Shape("data: instances (protocol version 1) or inputs (version 2) is expected".into()))
    }
}

/// Reads the answers out of a response: `predictions` (version 1) or `outputs` (version 2). One for each row.
pub(crate) fn response(data: &str) -> Result<Vec<Option<String>>, Unreadable> {
    let mut answers = None;
    members(data, |name, text| {
        match name {
            "predictions" if answers.is_none() => answers = Some(predictions(text)?),
            "outputs" if answers.is_none() => answers = Some(outputs(text)?),
            _ => {}
        }
        Ok(())
    })?;
    answers.ok_or_else(|| Unreadable::Shape("data: predictions (protocol version 1) or outputs (version 2) is expected".into()))
}

/// One tensor.
#[derive(serde::Deserialize)]
struct Tensor<'a> {
    #[serde(borrow)]
    name: std::borrow::Cow<'a, str>,
    shape: Vec<usize>,
    #[serde(borrow)]
    data: Option<&'a serde_json::value::RawValue>,
}

impl<'a> Tensor<'a> {
    fn read(text: &'a str) -> Result<(Self, &'a str), Unreadable> {
        let tensor: Self = serde_json::from_str(text)?;
        let Some(data) = tensor.data else {
            let why = format!("tensor {:?} has no data; binary tensors are not read, log them as JSON", tensor.name);
            return Err(Unreadable::Shape(why));
        };
        let text = data.get();
        Ok((tensor, text))
    }
}

/// Tensors named as features, one column each; or one tensor of all features, row by row in their order.
fn inputs(schema: &Schema, batch: &mut Batch, text: &str) -> Result<(), Unreadable> {
    let (mut rows, mut known) = (None, false);
    elements(text, |text| {
        let (tensor, data) = Tensor::read(text)?;
        let length = tensor.shape.first().copied().unwrap_or(1);
        match schema.field(&tensor.name, usize::MAX) {
            Field::Column(column) => {
                let values = &mut batch.columns[column];
                scalars(data, &mut |text| value::push(schema, column, values, text))?;
                if values.len() != length {
                    return Err(Unreadable::Length { column: tensor.name.into(), found: values.len(), expected: length });
                }
            }
            _ if tensor.shape.get(1) == Some(&schema.positions().len()) => matrix(schema, batch, data, length)?,
            Field::Key | Field::EventTime | Field::Prediction | Field::Other => return Ok(()),
        }
        known = true;
        let expected = *rows.get_or_insert(length);
        if length == expected { Ok(()) } else { Err(Unreadable::Length { column: tensor.name.into(), found: length, expected }) }
    })?;
    if !known {
        return Err(Unreadable::NoFeature("inputs".into()));
    }
    batch.end(rows.unwrap_or_default());
    Ok(())
}

fn matrix(schema: &Schema, batch: &mut Batch, data: &str, rows: usize) -> Result<(), Unreadable> {
    let width = schema.positions().len();
    let mut at = 0;
    scalars(data, &mut |text| {
        let column = schema.positions()[at % width];
        at += 1;
        column.map_or(Ok(()), |column| value::push(schema, column, &mut batch.columns[column], text))
    })?;
    if at == rows * width {
        Ok(())
    } else {
        Err(Unreadable::Shape(format!("a tensor of shape [{rows}, {width}] has {at} values")))
    }
}

fn predictions(text: &str) -> Result<Vec<Option<String>>, Unreadable> {
    let mut answers = Vec::new();
    elements(text, |text| {
        answers.push(if text.starts_with('[') {
            let mut row = Vec::new();
            scalars(text, &mut |text| {
                row.push(value::text(text));
                Ok(())
            })?;
            answer(row)
        } else {
            value::text(text)
        });
        Ok(())
    })?;
    Ok(answers)
}

/// The first tensor of the answer.
fn outputs(text: &str) -> Result<Vec<Option<String>>, Unreadable> {
    let mut answers = None;
    elements(text, |text| {
        if answers.is_some() {
            return Ok(());
        }
        let (tensor, data) = Tensor::read(text)?;
        let rows = tensor.shape.first().copied().unwrap_or(1);
        let mut all = Vec::new();
        scalars(data, &mut |text| {
            all.push(value::text(text));
            Ok(())
        })?;
        if rows == 0 || !all.len().is_multiple_of(rows) {
            return Err(Unreadable::Length { column: tensor.name.into(), found: all.len(), expected: rows });
        }
        let width = all.len() / rows;
        answers = Some(all.chunks(width.max(1)).map(|row| answer(row.to_vec())).collect());
        Ok(())
    })?;
    answers.ok_or_else(|| Unreadable::Shape("outputs: a tensor is expected".into()))
}

/// What a row of scores says: the second of two (the chance of "yes"), the place of the greatest of more.
fn answer(row: Vec<Option<String>>) -> Option<String> {
    match row.len() {
        0 => None,
        1 | 2 => row.into_iter().next_back()?,
        _ => {
            let score = |text: &Option<String>| text.as_deref().and_then(|text| text.parse::<f64>().ok()).unwrap_or(f64::MIN);
            let greatest =
                row.iter().enumerate().max_by(|one, other| score(one.1).total_cmp(&score(other.1)).then(other.0.cmp(&one.0)))?;
            Some(greatest.0.to_string())
        }
    }
}
