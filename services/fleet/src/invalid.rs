//! What is wrong with a fleet file, and where.

use std::fmt;

use serde_saphyr::Error as YamlError;

/// A fleet file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidFleet {
    /// Which key, for example `executor.k8s.weightage`; empty for the file as a whole.
    pub path: String,
    /// The line of it, where the parser knows one.
    pub line: Option<u64>,
    /// What it breaks, and where possible the remedy.
    pub rule: String,
}

impl fmt::Display for InvalidFleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("fleet file")?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        if !self.path.is_empty() {
            write!(f, ", {}", self.path)?;
        }
        write!(f, ": {}", self.rule)
    }
}

impl std::error::Error for InvalidFleet {}

impl InvalidFleet {
    pub(crate) fn new(path: impl Into<String>, rule: impl Into<String>) -> Self {
        Self { path: path.into(), line: None, rule: rule.into() }
    }

    /// What the parser says, in one line of ours.
    pub(crate) fn yaml(path: &str, error: &YamlError) -> Self {
        let error = error.without_snippet();
        let line = error.location().map(|location| location.line()).filter(|line| *line > 0);
        let path = if path == "." { String::new() } else { path.trim_end_matches(".?").to_owned() };
        Self { path, line, rule: rule(error) }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the parser's own words are right for every other of its many errors")]
fn rule(error: &YamlError) -> String {
    match error {
        YamlError::SerdeUnknownField { field, expected, .. } => unknown_key(field, expected),
        YamlError::SerdeMissingField { field, .. } => format!("the key {field:?} is missing"),
        YamlError::DuplicateMappingKey { key: Some(key), .. } => format!("the key {key:?} is given twice"),
        other => {
            let text = other.to_string();
            // Ours is the line; the parser would add the place a second time.
            text.split_once(" at line ").map_or(text.as_str(), |(words, _)| words).to_owned()
        }
    }
}

/// Names the known key that is nearest to the unknown one, or all of them where none is near.
fn unknown_key(key: &str, known: &[&str]) -> String {
    let near =
        known.iter().map(|known| (distance(key, known), known)).min().filter(|(distance, _)| *distance <= 1 + key.len() / 3);
    match near {
        Some((_, near)) => format!("unknown key {key:?}: did you mean {near:?}?"),
        None if known.is_empty() => format!("unknown key {key:?}"),
        None => format!("unknown key {key:?}: known are {}", known.join(", ")),
    }
}

/// Levenshtein's distance, in characters, without regard to case.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.to_lowercase().chars().enumerate() {
        let mut corner = i;
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let step = (row[j] + 1).min(row[j + 1] + 1).min(corner + usize::from(from != *to));
            corner = row[j + 1];
            row[j + 1] = step;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_key_is_named() {
        let known = ["weightage", "exclusions", "exclusion", "options"];
        assert_eq!(unknown_key("weigthage", &known), "unknown key \"weigthage\": did you mean \"weightage\"?");
        assert_eq!(unknown_key("Exclusion", &known), "unknown key \"Exclusion\": did you mean \"exclusion\"?");
        assert_eq!(unknown_key("zzz", &known), "unknown key \"zzz\": known are weightage, exclusions, exclusion, options");
    }

    #[test]
    fn distances_are_symmetric() {
        for (a, b, d) in [("", "abc", 3), ("kitten", "sitting", 3), ("same", "same", 0), ("ß", "s", 1)] {
            assert_eq!((distance(a, b), distance(b, a)), (d, d), "{a} {b}");
        }
    }
}
