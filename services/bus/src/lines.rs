//! Headers as the lines that go over the wire.
//!
//! The client library keeps headers in a table, in which every name and every value has memory of its own; the ten of an answer
//! take some 6 % of the router's time that way (loadtest/README.md). Here they are one text, which goes into the library's table
//! as the value of the first of them. The library looks for line breaks in a value that is made of a text, but not in one that is
//! deserialized, so no control character is let in here.

use async_nats::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::Injector;
use serde::{
    Deserialize as _,
    de::{IntoDeserializer as _, value::Error},
};

/// As many bytes as an answer's headers have, and some more.
const ROOM: usize = 512;

/// Some headers. The name of the first is kept apart.
pub(crate) struct Lines {
    first: HeaderName,
    rest: String,
}

/// A header that is no line.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("header {0} holds a control character")]
pub(crate) struct NoLine(String);

impl Lines {
    pub(crate) fn begin(name: &'static str, value: &str) -> Result<Self, NoLine> {
        check(name, value)?;
        let mut rest = String::with_capacity(ROOM);
        rest.push_str(value);
        Ok(Self { first: HeaderName::from_static(name), rest })
    }

    /// Adds a header, which must not be there yet.
    pub(crate) fn add(&mut self, name: &str, value: &str) -> Result<(), NoLine> {
        check(name, value)?;
        for part in ["\r\n", name, ": ", value] {
            self.rest.push_str(part);
        }
        Ok(())
    }

    /// The headers as the library wants them.
    pub(crate) fn headers(self) -> Result<HeaderMap, Error> {
        let mut headers = HeaderMap::new();
        headers.insert(self.first, HeaderValue::deserialize(self.rest.into_deserializer())?);
        Ok(headers)
    }
}

impl Injector for Lines {
    /// As into the library's table: what is empty or not allowed is left out.
    fn set(&mut self, key: &str, value: String) {
        if !value.is_empty() {
            let _ = self.add(key, &value);
        }
    }
}

/// A line holds no control character. All bytes are looked at, so that many are at once.
fn check(name: &str, value: &str) -> Result<(), NoLine> {
    let is_line = name.bytes().chain(value.bytes()).fold(true, |is_line, byte| is_line & !byte.is_ascii_control());
    if is_line { Ok(()) } else { Err(NoLine(name.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_in_that_would_be_another_header() {
        let mut lines = Lines::begin("ce-specversion", "1.0").unwrap();
        lines.add("ce-id", "7").unwrap();
        assert_eq!(lines.add("ce-subject", "a\r\nb: c"), Err(NoLine("ce-subject".to_owned())));
        lines.set("tracestate", "a=b\n".to_owned());
        lines.set("baggage", String::new());
        lines.set("traceparent", "00".to_owned());
        let headers = lines.headers().unwrap();
        assert_eq!(headers.get("ce-specversion").unwrap().as_str(), "1.0\r\nce-id: 7\r\ntraceparent: 00");
        assert!(Lines::begin("a", "b\r").is_err());
    }
}
