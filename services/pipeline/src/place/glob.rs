//! Patterns of paths: `*` and `?` stay within one name, `**` crosses slashes.

/// Whether a path has the pattern.
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    fn on(pattern: &[u8], path: &[u8]) -> bool {
        match (pattern, path) {
            ([], []) => true,
            ([b'*', b'*', b'/', rest @ ..], _) if on(rest, path) => true,
            ([b'*', b'*', rest @ ..], _) => (0..=path.len()).any(|skip| on(rest, &path[skip..])),
            ([b'*', rest @ ..], _) => {
                let name = path.iter().position(|byte| *byte == b'/').unwrap_or(path.len());
                (0..=name).any(|skip| on(rest, &path[skip..]))
            }
            ([b'?', rest @ ..], [byte, path @ ..]) => *byte != b'/' && on(rest, path),
            ([literal, rest @ ..], [byte, path @ ..]) => literal == byte && on(rest, path),
            (_, []) | ([], _) => false,
        }
    }
    on(pattern.as_bytes(), path.as_bytes())
}

/// Whether a text is a pattern at all.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// The folder below which everything that a pattern matches lies.
pub(super) fn base(pattern: &str) -> &str {
    let literal = pattern.find(['*', '?']).map_or(pattern, |at| &pattern[..at]);
    literal.rfind('/').map_or("", |slash| &literal[..slash])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stay_within_a_name_and_two_cross_slashes() {
        assert!(matches("/a/*.csv", "/a/b.csv"));
        assert!(!matches("/a/*.csv", "/a/b/c.csv"));
        assert!(matches("/a/**/*.csv", "/a/b/c.csv") && matches("/a/**/*.csv", "/a/c.csv"));
        assert!(matches("a?c", "abc") && !matches("a?c", "a/c"));
        assert_eq!((base("/a/b/*.csv"), base("/a/b.csv"), base("*.csv")), ("/a/b", "/a", ""));
    }
}
