//! What is wrong with an event, and where.

use std::{borrow::Cow, fmt};

/// One broken rule: the attribute or the path of the field, and the rule it breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The attribute's name (`ce-subject` is `subject`) or the field's path (`subject.content.outcome`).
    pub path: String,
    /// The rule, as a fragment that follows the path: `must not be empty`.
    pub rule: Cow<'static, str>,
}

impl Violation {
    pub(crate) fn new(path: impl Into<String>, rule: impl Into<Cow<'static, str>>) -> Self {
        Self { path: path.into(), rule: rule.into() }
    }

    /// A violation by an attribute whose name is foreign, and may be of any length.
    pub(crate) fn named(name: &str, rule: impl Into<Cow<'static, str>>) -> Self {
        Self::new(excerpt(name), rule)
    }
}

/// Foreign text as a message may quote it: on one line, and not longer than a line.
pub(crate) fn excerpt(text: &str) -> String {
    const LONGEST: usize = 80;
    let mut excerpt: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if text.chars().nth(LONGEST).is_some() {
        excerpt.push('…');
    }
    excerpt
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.rule)
    }
}

impl std::error::Error for Violation {}

/// The rules that more than one field shares, in one wording.
pub(crate) mod rule {
    pub(crate) const REQUIRED: &str = "required, but missing";
    pub(crate) const NOT_EMPTY: &str = "must not be empty";
    pub(crate) const STRING: &str = "must be a string";
    pub(crate) const OBJECT: &str = "must be an object";
    pub(crate) const TIMESTAMP: &str = "must be an RFC 3339 timestamp with seconds and offset";
    pub(crate) const URI: &str = "must be an absolute URI";
    pub(crate) const URI_REFERENCE: &str = "must be a URI-reference (no spaces, quotes or angle brackets)";
    pub(crate) const TWICE: &str = "given more than once";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_name_is_quoted_on_one_short_line() {
        assert_eq!(Violation::named("a\r\nb", "x").to_string(), "a\\r\\nb: x");
        assert_eq!(excerpt(&"é".repeat(81)), "é".repeat(80) + "…");
    }
}
