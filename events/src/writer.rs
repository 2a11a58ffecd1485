//! JSON text that is written from left to right. What stands around the values is the caller's business.

use bytes::{BufMut as _, BytesMut};

use crate::TimeLimit;

/// JSON text in the making, behind what is there already.
pub(crate) struct Writer<'a>(&'a mut BytesMut);

impl<'a> Writer<'a> {
    /// Writes behind what is there, for which that much room is made first.
    pub(crate) fn new(text: &'a mut BytesMut, room: usize) -> Self {
        text.reserve(room);
        Self(text)
    }

    /// Text as it stands.
    pub(crate) fn plain(&mut self, text: &str) -> &mut Self {
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    /// A string.
    pub(crate) fn quoted(&mut self, text: &str) -> &mut Self {
        if needs_escapes(text.as_bytes()) {
            // Neither a string nor memory can fail to be written.
            let _ = serde_json::to_writer((&mut *self.0).writer(), text);
        } else {
            self.plain("\"").plain(text).plain("\"");
        }
        self
    }

    pub(crate) fn number(&mut self, mut number: u64) -> &mut Self {
        let mut digits = [0; 20];
        let mut from = digits.len();
        loop {
            from -= 1;
            digits[from] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.0.extend_from_slice(&digits[from..]);
        self
    }

    /// A time limit, as it writes itself.
    pub(crate) fn limit(&mut self, limit: TimeLimit) -> &mut Self {
        self.plain("\"");
        for (count, unit) in limit.parts() {
            self.number(count).plain(unit);
        }
        self.plain("\"")
    }
}

/// Whether a string holds what JSON does not let stand as it is. Without an early end, so that many bytes are looked at at once.
fn needs_escapes(text: &[u8]) -> bool {
    let escaped = |byte: u8| u8::from(byte < b' ') | u8::from(byte == b'"') | u8::from(byte == b'\\');
    text.iter().fold(0, |found, &byte| found | escaped(byte)) != 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn strings_and_numbers_are_written_as_serde_writes_them(text in "[\\x00-\\x7f]{0,20}|.{0,20}", number in any::<u64>()) {
            let mut written = BytesMut::from("before");
            Writer::new(&mut written, 10).quoted(&text).plain(",").number(number);
            let wanted = format!("before{},{}", serde_json::to_string(&text).unwrap(), serde_json::to_string(&number).unwrap());
            prop_assert_eq!(String::from_utf8_lossy(&written), wanted);
        }
    }
}
