//! Hand-written checks of the small grammars that events are made of.
//!
//! They run for every message, so none of them allocates. URIs are checked as leniently as real emitters need:
//! what would break a log line, a header or a shell word is refused, non-ASCII (an IRI) is not.

use jiff::Timestamp;

/// Reads an RFC 3339 `date-time`; stricter than jiff, which takes a missing second or a bare hour offset too.
///
/// A leap second is read as the second before it. `None` outside jiff's range (the last day of 9999).
pub(crate) fn timestamp(text: &str) -> Option<Timestamp> {
    is_date_time(text.as_bytes()).then(|| text.parse().ok()).flatten()
}

/// RFC 3339 section 5.6: digits and punctuation only; whether the day exists is for the parser to say.
fn is_date_time(text: &[u8]) -> bool {
    let Some((head, rest)) = text.split_at_checked(19) else { return false };
    let shape = head.iter().zip(b"0000-00-00T00:00:00").all(|(byte, want)| match want {
        b'0' => byte.is_ascii_digit(),
        b'T' => matches!(byte, b'T' | b't'),
        _ => byte == want,
    });
    shape && is_offset(without_fraction(rest))
}

fn without_fraction(rest: &[u8]) -> &[u8] {
    let Some(digits) = rest.strip_prefix(b".") else { return rest };
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    // RFC 3339 sets no limit, every parser in use takes nine digits.
    if (1..=9).contains(&count) { &digits[count..] } else { rest }
}

fn is_offset(text: &[u8]) -> bool {
    match text {
        b"Z" | b"z" => true,
        [b'+' | b'-', hour @ .., b':', a, b] => {
            let two = |digits: &[u8], limit: u8| match digits {
                [a @ b'0'..=b'9', b @ b'0'..=b'9'] => (a - b'0') * 10 + (b - b'0') < limit,
                _ => false,
            };
            two(hour, 24) && two(&[*a, *b], 60)
        }
        _ => false,
    }
}

/// RFC 3986 `URI-reference`, or an IRI reference; never empty here.
pub(crate) fn is_uri_reference(text: &str) -> bool {
    let holds = |c: char| !c.is_control() && !c.is_whitespace() && !matches!(c, '<' | '>' | '"');
    let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'<' | b'>' | b'"');
    !text.is_empty() && (all(text, plain) || text.chars().all(holds))
}

/// RFC 3986 `URI`: a scheme, a colon and something behind it.
pub(crate) fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
        && is_uri_reference(rest)
}

/// RFC 2046 media type: `type/subtype`; parameters behind it are not looked at.
pub(crate) fn is_media_type(text: &str) -> bool {
    let essence = text.split(';').next().unwrap_or_default().trim_end();
    essence.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
}

/// Whether data of this type is JSON text (CloudEvents JSON format, section 3.1); no type means JSON.
pub(crate) fn is_json(media_type: Option<&str>) -> bool {
    let Some(media_type) = media_type else { return true };
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    let Some((_, subtype)) = essence.split_once('/') else { return false };
    let suffix = subtype.rsplit('+').next().unwrap_or_default();
    suffix.eq_ignore_ascii_case("json")
}

/// RFC 9110 `token`.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| {
            byte.is_ascii_alphanumeric()
                || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
        })
}

/// Whether the text is ASCII that can be seen, and spaces.
pub(crate) fn is_printable(text: &str) -> bool {
    all(text, |byte| matches!(byte, b' '..=b'~'))
}

/// Whether that holds of every byte: without an early end, so that many are looked at at once.
pub(crate) fn all(text: &str, holds: impl Fn(u8) -> bool) -> bool {
    text.bytes().fold(true, |all, byte| all & holds(byte))
}

/// Whether CloudEvents forbids a character of the text in a string.
pub(crate) fn has_forbidden(text: &str) -> bool {
    !is_printable(text) && text.chars().any(is_forbidden)
}

/// Whether CloudEvents forbids the character in a string: controls and noncharacters (CloudEvents 1.0, type system).
pub(crate) fn is_forbidden(c: char) -> bool {
    c.is_control() || matches!(c, '\u{FDD0}'..='\u{FDEF}') || u32::from(c) & 0xFFFE == 0xFFFE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_needs_seconds_and_a_whole_offset() {
        for good in
            ["2018-04-05T17:31:00Z", "2018-04-05t17:31:00.123456789z", "2018-04-05T18:31:00+01:00", "2016-12-31T23:59:60Z"]
        {
            assert!(timestamp(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "lunchtime",
            "2018-04-05T18:31Z",
            "2018-04-05T18:31:00",
            "2018-04-05T18:31:00X",
            "2018-04-05T18:31:00+25:00",
            "2018-04-05T18:31:00+xx:00",
            "2018-04-05T18:31:00+05",
            "2018-04-05T18:31:00.Z",
            "2018-02-30T00:00:00Z",
            "2018-04-05T18:31:00Z[UTC]",
            "2018-04-05T18:31:00+-1:00",
            "9999-12-31T23:59:59Z",
        ] {
            assert_eq!(timestamp(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_uri_is_absolute_and_a_reference_need_not_be() {
        assert!(is_uri("https://example.org/a?b#c") && is_uri("pkg:oci/app@sha256%3Aab"));
        assert!(!is_uri("/relative") && !is_uri("https:") && !is_uri("1a:b") && !is_uri("a b:c"));
        assert!(is_uri_reference("#fragment") && is_uri_reference("job/Füße/7/"));
        assert!(!is_uri_reference("") && !is_uri_reference("a b") && !is_uri_reference("a\r\nb"));
    }

    #[test]
    fn a_media_type_has_a_subtype() {
        assert!(is_media_type("text/plain") && is_media_type("application/json; charset=utf-8"));
        assert!(!is_media_type("xyz") && !is_media_type("") && !is_media_type("a b/c") && !is_media_type("/b"));
    }

    #[test]
    fn json_is_told_from_the_subtype_or_its_suffix() {
        assert!(is_json(None) && is_json(Some("Application/JSON")) && is_json(Some("application/ld+json; a=b")));
        assert!(!is_json(Some("text/plain")) && !is_json(Some("application/json-seq")) && !is_json(Some("json")));
    }
}
