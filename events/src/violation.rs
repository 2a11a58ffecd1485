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
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.escape_debug(), self.rule)
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
