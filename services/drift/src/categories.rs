//! What a window has seen of a categorical column. Its size is bounded by the reference, whatever values arrive.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::histogram::MergeError;

/// Counts of the categories that the reference knows, and of what it does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Categories {
    known: BTreeMap<String, u64>,
    unseen: u64,
    missing: u64,
}

impl Categories {
    /// Nothing counted yet; the names are those of the reference.
    #[must_use]
    pub fn new<N: Into<String>>(known: impl IntoIterator<Item = N>) -> Self {
        Self { known: known.into_iter().map(|name| (name.into(), 0)).collect(), unseen: 0, missing: 0 }
    }

    /// With what was counted elsewhere, if the counts are as many as the names.
    pub(crate) fn of_counts<'a>(names: impl Iterator<Item = &'a str>, known: &[u64], unseen: u64, missing: u64) -> Option<Self> {
        let names: Vec<&str> = names.collect();
        let pairs = names.iter().zip(known).map(|(name, rows)| ((*name).to_owned(), *rows));
        (names.len() == known.len()).then(|| Self { known: pairs.collect(), unseen, missing })
    }

    /// The known names in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.known.keys().map(String::as_str)
    }

    /// Counts one row.
    pub fn add(&mut self, value: Option<&str>) {
        self.add_rows(value, 1);
    }

    /// Counts rows that all hold the same.
    pub fn add_rows(&mut self, value: Option<&str>, rows: u64) {
        let Some(value) = value else {
            self.missing += rows;
            return;
        };
        *self.known.get_mut(value).unwrap_or(&mut self.unseen) += rows;
    }

    /// Adds what another has counted.
    ///
    /// # Errors
    /// The other knows different categories; nothing is added then.
    pub fn merge(&mut self, other: &Self) -> Result<(), MergeError> {
        if !self.known.keys().eq(other.known.keys()) {
            return Err(MergeError);
        }
        for (own, more) in self.known.values_mut().zip(other.known.values()) {
            *own += more;
        }
        self.unseen += other.unseen;
        self.missing += other.missing;
        Ok(())
    }

    /// The rows of each known category in the order of their names, and at the end the rows of every other.
    #[must_use]
    pub fn counts(&self) -> Vec<u64> {
        self.known.values().copied().chain([self.unseen]).collect()
    }

    /// Whether both know the same categories.
    #[must_use]
    pub fn fits(&self, other: &Self) -> bool {
        self.known.keys().eq(other.known.keys())
    }

    /// Rows of categories that the reference does not know.
    #[must_use]
    pub fn unseen(&self) -> u64 {
        self.unseen
    }

    /// Rows without a value.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.missing
    }

    /// Rows with a value: the size of the sample.
    #[must_use]
    pub fn values(&self) -> u64 {
        self.known.values().sum::<u64>() + self.unseen
    }
}
