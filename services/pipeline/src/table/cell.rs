//! One value of a row.

use std::borrow::Cow;

/// One value of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cell<'a> {
    /// No value.
    Missing,
    /// True or false.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A number.
    Float(f64),
    /// A text.
    String(&'a str),
}

impl<'a> Cell<'a> {
    /// The value as a text, the same whatever format the row came from; nothing where it is missing.
    pub(crate) fn text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Missing => None,
            Self::Boolean(value) => Some(Cow::Borrowed(if value { "true" } else { "false" })),
            Self::Integer(value) => Some(Cow::Owned(value.to_string())),
            Self::Float(value) => Some(Cow::Owned(float_text(value))),
            Self::String(value) => Some(Cow::Borrowed(value)),
        }
    }

    /// The value as a number: true is 1, false is 0. Nothing where it is missing or a text.
    #[expect(clippy::cast_precision_loss, reason = "whole numbers beyond 2⁵³ are rounded, as everywhere in statistics")]
    pub(crate) fn number(self) -> Option<f64> {
        match self {
            Self::Missing | Self::String(_) => None,
            Self::Boolean(value) => Some(f64::from(u8::from(value))),
            Self::Integer(value) => Some(value as f64),
            Self::Float(value) => Some(value),
        }
    }
}

/// A number as the shortest text that reads back the same; whole ones as an integer would be written, so that a key is the same
/// key in a file that stores it as `7.0`.
pub(crate) fn float_text(value: f64) -> String {
    if value.is_finite() && value.fract() == 0.0 && value.abs() < 1e15 { format!("{value:.0}") } else { format!("{value:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_text_in_every_format() {
        let texts = [Cell::Integer(7), Cell::Float(7.0), Cell::String("7")].map(|cell| cell.text().unwrap().into_owned());
        assert_eq!(texts, ["7", "7", "7"]);
        assert_eq!(float_text(0.1 + 0.2), "0.30000000000000004");
        assert_eq!(Cell::Missing.text(), None);
    }
}
