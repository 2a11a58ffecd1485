//! JSON read once: an object's members keep their text, and only what is asked for is looked at again.

pub(crate) mod scan;

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

/// The members of a JSON object in their order, each value as its own text.
#[derive(Debug, Default)]
pub(crate) struct Members<'a>(pub(crate) Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Members<'a> {
    /// The members of `raw`, if it is an object.
    pub(crate) fn of(raw: &'a RawValue) -> Option<Self> {
        raw.get().starts_with('{').then(|| serde_json::from_str(raw.get()).ok()).flatten()
    }

    /// The members of an object's text.
    pub(crate) fn parse(text: &'a [u8]) -> Result<Self, serde_json::Error> {
        // Serde's own message would hold the whole text of a string.
        match text.trim_ascii_start().first() {
            // Checked for UTF-8 at once, instead of string by string.
            Some(b'{') => serde_json::from_str(std::str::from_utf8(text).map_err(serde_json::Error::custom)?),
            _ => Err(serde_json::Error::custom("expected a JSON object")),
        }
    }

    /// The last member of that name, as most readers take it; JSON's `null` counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| *value).filter(|value| value.get() != "null")
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::with_capacity(12);
        while let Some((Text(key), value)) = map.next_entry()? {
            members.push((key, value));
        }
        Ok(Members(members))
    }
}

/// A string that is borrowed wherever it holds no escapes.
#[derive(Deserialize)]
pub(crate) struct Text<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

/// What a JSON value is, for an attribute that can only be one of the first three.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Scalar<'a> {
    String(Cow<'a, str>),
    Boolean(bool),
    Integer(i64),
    Other,
}

impl Scalar<'_> {
    /// The same, borrowing nothing.
    pub(crate) fn into_owned(self) -> Scalar<'static> {
        match self {
            Self::String(text) => Scalar::String(Cow::Owned(text.into_owned())),
            Self::Boolean(value) => Scalar::Boolean(value),
            Self::Integer(value) => Scalar::Integer(value),
            Self::Other => Scalar::Other,
        }
    }
}

/// Reads one value; an integer beyond 64 bits, a fraction, an array, an object and `null` are `Other`.
pub(crate) fn scalar(raw: &RawValue) -> Scalar<'_> {
    let text = raw.get();
    match text.as_bytes().first() {
        Some(b'"') => string(raw).map_or(Scalar::Other, Scalar::String),
        Some(b't') => Scalar::Boolean(true),
        Some(b'f') => Scalar::Boolean(false),
        _ => text.parse().map_or(Scalar::Other, Scalar::Integer),
    }
}

/// The string, if it is one. A lone surrogate (`"\ud800"`) is no string.
pub(crate) fn string(raw: &RawValue) -> Option<Cow<'_, str>> {
    let text = raw.get();
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') { serde_json::from_str::<Text<'_>>(text).ok().map(|text| text.0) } else { Some(Cow::Borrowed(inner)) }
}

/// Any value that a reader of [`serde_json::Value`] takes; nothing is kept of it.
pub(crate) struct Readable;

impl<'de> Deserialize<'de> for Readable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Readable {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        while members.next_entry::<Self, Self>()?.is_some() {}
        Ok(self)
    }
}

/// How many bytes stand in a JSON string as they are, up to the first that does not: a quote, a backslash, a control character.
pub(crate) fn plain(text: &[u8]) -> usize {
    let (words, rest) = text.as_chunks::<8>();
    for (n, word) in words.iter().enumerate() {
        if let Some(found) = special_in(u64::from_le_bytes(*word)) {
            return 8 * n + found;
        }
    }
    let special = |byte: &u8| *byte < b' ' || matches!(byte, b'"' | b'\\');
    8 * words.len() + rest.iter().position(special).unwrap_or(rest.len())
}

/// The first of eight bytes that is special, all of them looked at at once: a byte's highest bit is set where subtracting from it borrows,
/// which is exact up to the first that is.
fn special_in(word: u64) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let below = |word: u64, least: u64| word.wrapping_sub(least * ONES) & !word;
    let is = |byte: u8| below(word ^ (u64::from(byte) * ONES), 1);
    let found = (below(word, 0x20) | is(b'"') | is(b'\\')) & (0x80 * ONES);
    (found != 0).then_some(found.trailing_zeros() as usize / 8)
}

/// The items of an array, if it is one.
pub(crate) fn items(raw: &RawValue) -> Option<Vec<&RawValue>> {
    raw.get().starts_with('[').then(|| serde_json::from_str(raw.get()).ok()).flatten()
}

/// A JSON object in the making, for members whose values are JSON text already.
#[derive(Debug)]
pub(crate) struct Object(Vec<u8>);

impl Object {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    /// Adds a member whose value is JSON text.
    pub(crate) fn raw(&mut self, name: &str, value: &str) {
        self.0.push(if self.0.is_empty() { b'{' } else { b',' });
        self.quote(name);
        self.0.push(b':');
        self.0.extend_from_slice(value.as_bytes());
    }

    /// Adds a member whose value is a string.
    pub(crate) fn text(&mut self, name: &str, value: &str) {
        self.raw(name, "");
        self.quote(value);
    }

    /// Adds a member whose value is an object.
    pub(crate) fn object(&mut self, name: &str, value: Self) {
        self.raw(name, "");
        self.0.append(&mut value.end());
    }

    fn quote(&mut self, text: &str) {
        // Neither a string nor memory can fail to be written.
        let _ = serde_json::to_writer(&mut self.0, text);
    }

    /// The object's text.
    pub(crate) fn end(mut self) -> Vec<u8> {
        if self.0.is_empty() {
            self.0.push(b'{');
        }
        self.0.push(b'}');
        self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn raw(text: &str) -> &RawValue {
        serde_json::from_str(text).unwrap()
    }

    proptest! {
        #[test]
        fn the_first_special_byte_is_found(text in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..40), "[ -~]{0,30}".prop_map(String::into_bytes), "[\x1e-\"\\\\\u{80}-\u{ff}]{0,20}".prop_map(String::into_bytes),
        ]) {
            let special = |byte: &u8| *byte < b' ' || *byte == b'"' || *byte == b'\\';
            prop_assert_eq!(plain(&text), text.iter().position(special).unwrap_or(text.len()));
        }
    }

    #[test]
    fn a_value_keeps_its_text() {
        let members = Members::of(raw(r#"{ "a" : 1.10 , "b":{"z":1,"y":2} }"#)).unwrap();
        assert_eq!(members.get("a").unwrap().get(), "1.10");
        assert_eq!(members.get("b").unwrap().get(), r#"{"z":1,"y":2}"#);
        assert!(members.get("c").is_none());
    }

    #[test]
    fn null_is_absent_and_the_last_of_two_wins() {
        let members = Members::of(raw(r#"{"a":1,"a":2,"b":null}"#)).unwrap();
        assert_eq!(members.get("a").unwrap().get(), "2");
        assert!(members.get("b").is_none());
    }

    #[test]
    fn scalars_are_told_apart() {
        assert_eq!(scalar(raw(r#""a\u00e9""#)), Scalar::String("aé".into()));
        assert_eq!(scalar(raw("true")), Scalar::Boolean(true));
        assert_eq!(scalar(raw("-7")), Scalar::Integer(-7));
        for other in ["1.5", "1e3", "null", "[]", "{}", "9223372036854775808", r#""\ud800""#] {
            assert_eq!(scalar(raw(other)), Scalar::Other, "{other}");
        }
    }
}
