//! Walks through JSON without building it: each element is handed over as the text that it is.

use std::fmt;

use serde::de::{Deserializer as _, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Deserializer, value::RawValue};

use super::unreadable::Unreadable;

/// Hands over each element of an array.
pub(crate) fn elements(text: &str, each: impl FnMut(&str) -> Result<(), Unreadable>) -> Result<(), Unreadable> {
    let mut from = Deserializer::from_str(text);
    from.deserialize_seq(Elements(each))?;
    Ok(from.end()?)
}

/// Hands over each member of an object.
pub(crate) fn members(text: &str, each: impl FnMut(&str, &str) -> Result<(), Unreadable>) -> Result<(), Unreadable> {
    let mut from = Deserializer::from_str(text);
    from.deserialize_map(Members(each))?;
    Ok(from.end()?)
}

/// Hands over each scalar of an array of any depth.
pub(crate) fn scalars(text: &str, each: &mut dyn FnMut(&str) -> Result<(), Unreadable>) -> Result<(), Unreadable> {
    elements(text, |element| if element.starts_with('[') { scalars(element, each) } else { each(element) })
}

struct Elements<F>(F);

impl<'de, F: FnMut(&str) -> Result<(), Unreadable>> Visitor<'de> for Elements<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<(), A::Error> {
        while let Some(element) = elements.next_element::<&RawValue>()? {
            (self.0)(element.get()).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

struct Members<F>(F);

impl<'de, F: FnMut(&str, &str) -> Result<(), Unreadable>> Visitor<'de> for Members<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key::<Name<'de>>()? {
            let value = members.next_value::<&RawValue>()?;
            (self.0)(&name.0, value.get()).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

/// A member's name; copied only where it is written with escapes.
#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] std::borrow::Cow<'a, str>);
