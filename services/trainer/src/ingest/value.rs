//! One JSON value, read as what its column holds. Numbers are read to the last bit: a value that stands at the edge of a bin of the
//! reference has to land where it landed there.

use std::borrow::Cow;

use switchyard_drift::{MISSING, MISSING_NAME};

use super::{
    batch::{Schema, Values},
    unreadable::Unreadable,
};

/// Appends a value to a column.
pub(crate) fn push(schema: &Schema, column: usize, values: &mut Values, text: &str) -> Result<(), Unreadable> {
    let row = values.len();
    let expected = |what| Unreadable::Value { column: schema.name(column).to_owned(), row, what };
    match values {
        Values::Numbers(numbers) => {
            numbers.push(number(text).ok_or_else(|| expected("a number, true, false or null is expected"))?);
        }
        Values::Codes(codes) => codes.push(match text.as_bytes().first() {
            Some(b'n') => MISSING_NAME,
            Some(b'"') => schema.fold().code(column, &string(text)),
            Some(b'[' | b'{') | None => return Err(expected("a text, a number, true, false or null is expected")),
            Some(_) => schema.fold().code(column, text),
        }),
    }
    Ok(())
}

/// A value of a column of numbers. JSON knows no `NaN` and no infinity; texts of that name stand for them.
pub(crate) fn number(text: &str) -> Option<f64> {
    match text.as_bytes().first()? {
        b'-' | b'0'..=b'9' => text.parse().ok(),
        b'n' => Some(MISSING),
        b't' => Some(1.0),
        b'f' => Some(0.0),
        b'"' => match &*string(text) {
            "NaN" | "nan" => Some(f64::NAN),
            "Infinity" | "inf" | "+Infinity" => Some(f64::INFINITY),
            "-Infinity" | "-inf" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
}

/// A string's content, or the text of any other value.
pub(crate) fn string(text: &str) -> Cow<'_, str> {
    match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(inner) if !inner.contains('\\') => Cow::Borrowed(inner),
        Some(_) => serde_json::from_str(text).map_or(Cow::Borrowed(text), Cow::Owned),
        None => Cow::Borrowed(text),
    }
}

/// The text of a value; `None` of null.
pub(crate) fn text(text: &str) -> Option<String> {
    (!text.starts_with('n')).then(|| string(text).into_owned())
}
