//! What is wrong with a file, and where; and what in it has no effect.

use std::fmt;

/// A file that cannot be used: everything that is wrong with it, in the file's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// What is wrong; never empty.
    pub problems: Vec<Problem>,
}

/// One thing about one key of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which file it is, in words: `fleet file`.
    pub file: &'static str,
    /// Which key, for example `executor.k8s.weightage`; empty for the file as a whole.
    pub path: String,
    /// The line of it, where it is known.
    pub line: Option<usize>,
    /// What it breaks, and where possible the remedy.
    pub rule: String,
}

impl Problem {
    /// The first key of its path: the part of the file that it is about.
    #[must_use]
    pub fn part(&self) -> &str {
        self.path.split(['.', '[']).next().unwrap_or_default()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.file)?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        if !self.path.is_empty() {
            write!(f, ", {}", self.path)?;
        }
        write!(f, ": {}", self.rule)
    }
}

impl fmt::Display for Invalid {
    /// One line for each problem.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.problems.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Invalid {}

impl Invalid {
    /// A file in which nothing is written.
    #[must_use]
    pub fn nothing(file: &'static str) -> Self {
        Self { problems: vec![Problem { file, path: String::new(), line: None, rule: "says nothing".into() }] }
    }
}

/// Names the known key that is nearest to the unknown one, or all of them where none is near.
#[must_use]
pub fn unknown_key<'a>(key: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    match nearest(key, known.clone()) {
        Some(near) => format!("unknown key {key:?}: did you mean {near:?}?"),
        None => match known.collect::<Vec<_>>().join(", ") {
            none if none.is_empty() => format!("unknown key {key:?}"),
            known => format!("unknown key {key:?}: known are {known}"),
        },
    }
}

/// The known word that is nearest to this one, where one is near.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let nearest = known.map(|known| (distance(word, known), known)).min();
    nearest.filter(|(distance, _)| *distance <= 1 + word.len() / 3).map(|(_, near)| near)
}

/// Says that a name has nothing behind it, and which known name is the nearest; `place` follows the name.
#[must_use]
pub fn no_such(what: &str, name: &str, known: &[String], place: &str) -> String {
    match (nearest(name, known.iter().map(String::as_str)), known.is_empty()) {
        (Some(near), _) => format!("there is no {what} {name:?}{place}: did you mean {near:?}?"),
        (None, true) => format!("there is no {what} {name:?}{place}"),
        (None, false) => format!("there is no {what} {name:?}{place}; known are: {}", known.join(", ")),
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
        let unknown = |key: &str| unknown_key(key, known.into_iter());
        assert_eq!(unknown("weigthage"), "unknown key \"weigthage\": did you mean \"weightage\"?");
        assert_eq!(unknown("Exclusion"), "unknown key \"Exclusion\": did you mean \"exclusion\"?");
        assert_eq!(unknown("zzz"), "unknown key \"zzz\": known are weightage, exclusions, exclusion, options");
    }

    #[test]
    fn distances_are_symmetric() {
        for (a, b, d) in [("", "abc", 3), ("kitten", "sitting", 3), ("same", "same", 0), ("ß", "s", 1)] {
            assert_eq!((distance(a, b), distance(b, a)), (d, d), "{a} {b}");
        }
    }
}
