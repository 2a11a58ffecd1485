//! Patterns in which `*` stands for any text, the empty one too.

use std::fmt;

use serde_json::{Value, json};

use switchyard_file::Word;

/// A text in which each `*` is any text. Everything else is itself, upper and lower case apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(String);

impl Glob {
    /// Whether the whole text fits.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let Some((first, rest)) = self.0.split_once('*') else { return self.0 == text };
        let Some(mut text) = text.strip_prefix(first) else { return false };
        let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
        for part in middle.split('*').filter(|part| !part.is_empty()) {
            let Some(found) = text.find(part) else { return false };
            text = &text[found + part.len()..];
        }
        text.ends_with(last)
    }

    /// The pattern, as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl Word for Glob {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("an empty pattern fits nothing".to_owned()) } else { Ok(Self(text.to_owned())) }
    }

    fn schema() -> Value {
        json!({"type": ["string", "number", "boolean"], "minLength": 1})
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_star_is_any_text() {
        for (pattern, fits, does_not) in [
            ("a", "a", "ab"),
            ("a*", "a", "ba"),
            ("*a", "ba", "ab"),
            ("a*b*c", "axbxc", "acb"),
            ("*", "", "\u{0}\u{0}never"),
            ("a*a", "aa", "a"),
            ("registry.acme/*", "registry.acme/x/y:1", "registry.acme.evil/x"),
        ] {
            let glob = Glob(pattern.to_owned());
            assert!(glob.matches(fits), "{pattern} {fits}");
            assert!(pattern == "*" || !glob.matches(does_not), "{pattern} {does_not}");
        }
    }

    proptest! {
        #[test]
        fn a_pattern_fits_what_its_stars_are_replaced_by(parts in prop::collection::vec("[ab]{0,3}", 1..5), fill in "[abc]{0,3}") {
            prop_assert!(Glob(parts.join("*")).matches(&parts.join(&fill)));
        }

        #[test]
        fn a_pattern_says_what_a_regular_expression_says(pattern in "[ab*]{1,6}", text in "[ab]{0,8}") {
            let regex = regex::Regex::new(&format!("^(?s:{})$", pattern.replace('*', ".*"))).unwrap();
            prop_assert_eq!(Glob(pattern).matches(&text), regex.is_match(&text));
        }
    }
}
