//! Header values of the NATS binding (CloudEvents NATS binding 1.0.3-wip, section 3.2.3.1).

use std::borrow::Cow;

use crate::Violation;

/// Encodes what a header value must not hold: space, `"`, `%` and everything outside U+0021 to U+007E.
///
/// So no CR or LF is ever left.
pub(crate) fn encode<'a>(text: impl Into<Cow<'a, str>>) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let text = text.into();
    if text.bytes().all(is_plain) {
        return text.into_owned();
    }
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_plain(byte) {
            encoded.push(byte.into());
        } else {
            encoded.push('%');
            encoded.push(HEX[usize::from(byte >> 4)].into());
            encoded.push(HEX[usize::from(byte & 0xF)].into());
        }
    }
    encoded
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'%')
}

/// Undoes quotes (RFC 7230 `quoted-string`), then one round of percent-encoding.
///
/// Lower-case hex and needless encoding are read. A `%` without two hex digits stands for itself: sdk-go does not encode.
pub(crate) fn decode(value: &str) -> Result<Cow<'_, str>, &'static str> {
    match unquote(value) {
        Cow::Borrowed(text) => unescape(text),
        Cow::Owned(text) => unescape(&text).map(|text| Cow::Owned(text.into_owned())),
    }
}

fn unquote(value: &str) -> Cow<'_, str> {
    let Some(inner) = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else { return Cow::Borrowed(value) };
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut text = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        text.push(if c == '\\' { chars.next().unwrap_or(c) } else { c });
    }
    Cow::Owned(text)
}

fn unescape(text: &str) -> Result<Cow<'_, str>, &'static str> {
    if !text.contains('%') {
        return Ok(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        match (byte, after) {
            (b'%', [high, low, after @ ..]) if let (Some(high), Some(low)) = (hex(*high), hex(*low)) => {
                bytes.push(high << 4 | low);
                rest = after;
            }
            _ => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| "percent-encoding must give valid UTF-8")
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| value.try_into().ok())
}

/// Decodes the header of an attribute; the error names it.
pub(crate) fn attribute<'a>(name: &str, value: &'a str) -> Result<Cow<'a, str>, Violation> {
    decode(value).map_err(|rule| Violation::new(name, rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specifications_example_goes_both_ways() {
        let text = "Euro € 😀";
        let header = "Euro%20%E2%82%AC%20%F0%9F%98%80";
        assert_eq!(encode(text), header);
        assert_eq!(decode(header).unwrap(), text);
    }

    #[test]
    fn lower_case_and_needless_encoding_are_read() {
        assert_eq!(decode("%e2%82%ac%41").unwrap(), "€A");
        assert_eq!(decode("\"a \\\"b\\\" %20\"").unwrap(), "a \"b\"  ");
    }

    #[test]
    fn a_stray_percent_sign_stands_for_itself() {
        assert_eq!(decode("100%").unwrap(), "100%");
        assert_eq!(decode("5%zz%4").unwrap(), "5%zz%4");
    }

    #[test]
    fn invalid_utf8_is_refused() {
        assert!(decode("%C0%A0").is_err() && decode("%ff").is_err());
    }

    #[test]
    fn no_line_break_is_left_in_a_header() {
        assert_eq!(encode("a\r\nNats-Msg-Id: x\u{7f}\"%"), "a%0D%0ANats-Msg-Id:%20x%7F%22%25");
    }
}
