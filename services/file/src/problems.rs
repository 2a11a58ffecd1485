//! What was found wrong with a file, and where: gathered, nothing stops at the first error.

use crate::{Invalid, Problem};

/// Where a value stands: `executor.k8s.exclusions[0]`.
#[derive(Clone, Debug, Default)]
pub struct Place(String);

/// What was found wrong, and what has no effect, in the order in which it was found.
#[derive(Debug)]
pub struct Problems {
    file: &'static str,
    wrong: Vec<Problem>,
    inert: Vec<Problem>,
}

impl Place {
    /// The file as a whole.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// The value of a key of what stands here.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        Self(if self.0.is_empty() { key.to_owned() } else { format!("{}.{key}", self.0) })
    }

    /// An item of the list that stands here, counted from 0.
    #[must_use]
    pub fn item(&self, n: usize) -> Self {
        Self(format!("{}[{n}]", self.0))
    }
}

impl Problems {
    /// None yet, of a file that is called so: `fleet file`.
    #[must_use]
    pub const fn of(file: &'static str) -> Self {
        Self { file, wrong: Vec::new(), inert: Vec::new() }
    }

    /// Something is wrong; line 0 is none.
    pub fn add(&mut self, at: &Place, line: usize, rule: impl Into<String>) {
        self.wrong.push(Problem { file: self.file, path: at.0.clone(), line: (line > 0).then_some(line), rule: rule.into() });
    }

    /// Something has no effect.
    pub fn warn(&mut self, at: &Place, line: usize, rule: impl Into<String>) {
        self.inert.push(Problem { file: self.file, path: at.0.clone(), line: (line > 0).then_some(line), rule: rule.into() });
    }

    /// The first key of each place where something is wrong.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.wrong.iter().map(Problem::part)
    }

    /// No problems, of the same file.
    #[must_use]
    pub const fn none_yet(&self) -> Self {
        Self::of(self.file)
    }

    /// Takes over what is wrong with the parts that are wanted.
    pub fn extend(&mut self, more: Self, wanted: impl Fn(&str) -> bool) {
        self.wrong.extend(more.wrong.into_iter().filter(|problem| wanted(problem.part())));
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.wrong.is_empty()
    }

    /// What is wrong, as one error.
    #[must_use]
    pub fn into_error(mut self) -> Option<Invalid> {
        self.wrong.sort_by_key(|problem| problem.line.unwrap_or(usize::MAX));
        (!self.wrong.is_empty()).then_some(Invalid { problems: self.wrong })
    }

    /// What has no effect, where nothing is wrong.
    ///
    /// # Errors
    /// When something is.
    pub fn into_warnings(mut self) -> Result<Vec<Problem>, Invalid> {
        let inert = std::mem::take(&mut self.inert);
        self.into_error().map_or(Ok(inert), Err)
    }
}
