//! JSON text that is written from left to right. What stands around the values is the caller's business.

use bytes::{BufMut as _, BytesMut};

use crate::{TimeLimit, json::plain};

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
        if plain(text.as_bytes()) < text.len() {
            // Neither a string nor memory can fail to be written.
            let _ = serde_json::to_writer((&mut *self.0).writer(), text);
        } else {
            self.0.reserve(text.len() + 2);
            self.0.put_u8(b'"');
            self.0.put_slice(text.as_bytes());
            self.0.put_u8(b'"');
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
