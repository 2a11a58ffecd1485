//! Reads JSON text from left to right, for texts that come by the thousand.
//!
//! It knows how objects, arrays and plain strings look; every other value is serde's to read. It says nothing of errors: `None` is
//! that the text is wrong or unusual, and whoever gets that reads the text again in the ordinary way.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Deserializer;

use super::{Text, plain};

/// A text, and how far it is read.
pub(crate) struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    pub(crate) const fn of(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// An object: each member is read by `member`, which gets its name.
    pub(crate) fn members(&mut self, mut member: impl FnMut(&mut Self, Cow<'a, str>) -> Option<()>) -> Option<()> {
        self.list([b'{', b'}'], |scan| {
            let name = scan.text()?;
            scan.next().filter(|byte| *byte == b':')?;
            member(scan, name)
        })
    }

    /// An array: each item is read by `item`.
    pub(crate) fn items(&mut self, item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.list([b'[', b']'], item)
    }

    fn list(&mut self, [open, close]: [u8; 2], mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.next().filter(|byte| *byte == open)?;
        if self.peek()? == close {
            self.at += 1;
            return Some(());
        }
        loop {
            item(self)?;
            match self.next()? {
                b',' => {}
                other => return (other == close).then_some(()),
            }
        }
    }

    /// Whether a string comes next.
    pub(crate) fn is_text(&mut self) -> bool {
        self.peek() == Some(b'"')
    }

    /// A string.
    pub(crate) fn text(&mut self) -> Option<Cow<'a, str>> {
        if !self.is_text() {
            return None;
        }
        let inner = self.text.get(self.at + 1..)?;
        let length = plain(inner.as_bytes());
        let (text, rest) = inner.split_at_checked(length)?;
        if !rest.starts_with('"') {
            return self.value().map(|Text(text)| text);
        }
        self.at += length + 2;
        Some(Cow::Borrowed(text))
    }

    /// Any value, as serde reads it.
    pub(crate) fn value<T: Deserialize<'a>>(&mut self) -> Option<T> {
        let mut values = Deserializer::from_str(self.text.get(self.at..)?).into_iter();
        let value = values.next()?.ok()?;
        self.at += values.byte_offset();
        Some(value)
    }

    /// What `read` reads, and the text that it is read from.
    pub(crate) fn words<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<(T, &'a str)> {
        self.peek()?;
        let from = self.at;
        let value = read(self)?;
        Some((value, self.text.get(from..self.at)?))
    }

    /// Whether there is nothing more.
    pub(crate) fn end(&mut self) -> Option<()> {
        self.peek().is_none().then_some(())
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    /// What comes next that is not blank.
    fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.text.as_bytes().get(self.at)?;
            if !matches!(byte, b' ' | b'\n' | b'\t' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
    }
}

/// Takes a member; the same one twice is unusual.
pub(crate) fn once<T>(slot: &mut Option<T>, value: Option<T>) -> Option<()> {
    if slot.is_some() {
        return None;
    }
    *slot = value;
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// Any value, of which serde reads only what is neither object nor array nor string.
    fn read(scan: &mut Scan<'_>) -> Option<Value> {
        match scan.peek()? {
            b'{' => {
                let mut object = serde_json::Map::new();
                scan.members(|scan, name| {
                    object.insert(name.into_owned(), read(scan)?);
                    Some(())
                })?;
                Some(Value::Object(object))
            }
            b'[' => {
                let mut array = Vec::new();
                scan.items(|scan| {
                    array.push(read(scan)?);
                    Some(())
                })?;
                Some(Value::Array(array))
            }
            b'"' => scan.text().map(|text| Value::String(text.into_owned())),
            _ => scan.value(),
        }
    }

    fn whole(text: &str) -> Option<Value> {
        let mut scan = Scan::of(text);
        let value = read(&mut scan)?;
        scan.end().map(|()| value)
    }

    #[test]
    fn the_text_of_a_value_is_as_it_stands() {
        let mut scan = Scan::of(r#"[  {"a" : 1}  , 2]"#);
        scan.next();
        assert_eq!(scan.words(read).unwrap().1, r#"{"a" : 1}"#);
    }

    proptest! {
        #[test]
        fn it_reads_what_serde_reads_and_nothing_else(text in "[\\[\\]{}:,\" \\\\a1nul\\n\\x01é-]{0,12}") {
            prop_assert_eq!(whole(&text), serde_json::from_str(&text).ok());
        }

        #[test]
        fn it_reads_whatever_is_written(texts in proptest::collection::vec("[\\x00-\\x7f]{0,40}|.{0,20}", 0..4), pretty in any::<bool>()) {
            let value = serde_json::json!({"a": texts, "b": {"c": [], "d": {}, "e": null, "f": -1.5}});
            let text = if pretty { format!("{value:#}") } else { value.to_string() };
            prop_assert_eq!(whole(&text), Some(value));
        }
    }
}
