//! All columns as they were when a model was trained: what windows are counted and weighed against.

use std::{collections::BTreeMap, sync::Arc};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    Categories, Evidence, Histogram, MergeError, Rule, Window,
    evidence::{Reference, weigh},
    fold::Fold,
    window_counts::{ColumnCounts, WindowCounts},
};

/// A reference of every column, and of parts of the rows that are watched by themselves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Profile {
    pub(crate) rows: u64,
    pub(crate) columns: BTreeMap<String, Reference>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) segments: BTreeMap<String, BTreeMap<String, Profile>>,
}

impl Profile {
    /// A profile of columns that were pinned one by one, without parts.
    #[must_use]
    pub fn new(rows: u64, columns: BTreeMap<String, Reference>) -> Self {
        Self { rows, columns, segments: BTreeMap::new() }
    }

    /// How many rows it was made of.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The columns by name.
    #[must_use]
    pub fn columns(&self) -> &BTreeMap<String, Reference> {
        &self.columns
    }

    /// The parts of the rows by column, then by the name that it holds.
    #[must_use]
    pub fn segments(&self) -> &BTreeMap<String, BTreeMap<String, Profile>> {
        &self.segments
    }

    /// A window that has seen nothing. Who counts more than one makes a [`Fold`] and asks that.
    #[must_use]
    pub fn window(&self) -> WindowCounts {
        Fold::new(self).window()
    }

    /// The SHA-256, in hexadecimal, of all edges and names: windows with the same one can be added.
    #[must_use]
    pub fn frame(&self) -> String {
        let mut digest = Sha256::new();
        self.digest(&mut digest);
        HEXLOWER.encode(&digest.finalize())
    }

    fn digest(&self, digest: &mut Sha256) {
        for (name, reference) in &self.columns {
            part_of(digest, name.as_bytes());
            match reference {
                Reference::Numeric { histogram, .. } => {
                    part_of(digest, b"numbers");
                    let edges: Vec<u8> =
                        histogram.edges().as_slice().iter().flat_map(|edge| edge.to_bits().to_le_bytes()).collect();
                    part_of(digest, &edges);
                }
                Reference::Categorical(categories) => {
                    part_of(digest, b"names");
                    categories.names().for_each(|name| part_of(digest, name.as_bytes()));
                    part_of(digest, b"");
                }
            }
        }
        for (column, parts) in &self.segments {
            part_of(digest, b"segments");
            part_of(digest, column.as_bytes());
            for (name, part) in parts {
                part_of(digest, name.as_bytes());
                part_of(digest, part.frame().as_bytes());
            }
        }
    }

    /// The same profile with the counts of its own rows.
    ///
    /// # Errors
    /// The counts are of another reference.
    pub fn filled(mut self, counts: &WindowCounts) -> Result<Self, MergeError> {
        if !Fold::new(&self).fits(counts) {
            return Err(MergeError);
        }
        self.fill(counts);
        Ok(self)
    }

    fn fill(&mut self, counts: &WindowCounts) {
        self.rows = counts.rows;
        for (reference, counts) in self.columns.values_mut().zip(&counts.columns) {
            let counted = window(reference, counts);
            match (reference, counted) {
                (Reference::Numeric { histogram, .. }, Some(Window::Numeric(counted))) => *histogram = counted,
                (Reference::Categorical(categories), Some(Window::Categorical(counted))) => *categories = counted,
                (Reference::Numeric { .. } | Reference::Categorical(_), _) => {}
            }
        }
        for (parts, counts) in self.segments.values_mut().zip(&counts.segments) {
            parts.values_mut().zip(&counts.parts).for_each(|(part, counts)| part.fill(counts));
        }
    }

    /// The same profile with the columns of another one, which are of other rows: a model's answers. Parts have none of those, and
    /// where both have a column, its own stays.
    #[must_use]
    pub fn beside(mut self, other: Self) -> Self {
        let names: Vec<String> = other.columns.keys().filter(|name| !self.columns.contains_key(*name)).cloned().collect();
        for part in self.segments.values_mut().flat_map(BTreeMap::values_mut) {
            let empty = |name: &String| Some((name.clone(), other.columns.get(name)?.emptied()));
            part.columns.extend(names.iter().filter_map(empty));
        }
        self.columns.extend(other.columns.into_iter().filter(|(name, _)| names.contains(name)));
        self
    }

    /// One column as a window has seen it; `None` where either does not have it.
    #[must_use]
    pub fn column(&self, counts: &WindowCounts, name: &str) -> Option<Window> {
        let at = self.columns.keys().position(|column| column == name)?;
        window(self.columns.get(name)?, counts.columns.get(at)?)
    }

    /// A part of a window: the rows whose `column` holds `name`.
    #[must_use]
    pub fn part<'a>(&'a self, counts: &'a WindowCounts, column: &str, name: &str) -> Option<(&'a Self, &'a WindowCounts)> {
        let at = self.segments.keys().position(|of| of == column)?;
        let part = self.segments[column].keys().position(|of| of == name)?;
        Some((self.segments[column].get(name)?, counts.segments.get(at)?.parts.get(part)?))
    }

    /// Weighs one column of a window.
    ///
    /// # Errors
    /// The window was counted with another reference, or there is no such column.
    pub fn weigh(&self, counts: &WindowCounts, name: &str, rule: &Rule) -> Result<Evidence, MergeError> {
        let reference = self.columns.get(name).ok_or(MergeError)?;
        weigh(reference, &self.column(counts, name).ok_or(MergeError)?, rule)
    }
}

/// Each with its length, so that no two lists of parts give the same bytes.
fn part_of(digest: &mut Sha256, bytes: &[u8]) {
    digest.update((bytes.len() as u64).to_le_bytes());
    digest.update(bytes);
}

/// Counts with the edges or names that they belong to.
fn window(reference: &Reference, counts: &ColumnCounts) -> Option<Window> {
    match (reference, counts) {
        (Reference::Numeric { histogram, .. }, ColumnCounts::Numbers(counts)) => {
            let edges = histogram.shared_edges();
            Histogram::of_counts(Arc::clone(&edges), counts.slots.clone(), counts.beside).map(Window::Numeric)
        }
        (Reference::Categorical(categories), ColumnCounts::Names(counts)) => {
            Categories::of_counts(categories.names(), &counts.known, counts.unseen, counts.missing).map(Window::Categorical)
        }
        (Reference::Numeric { .. }, ColumnCounts::Names(_)) | (Reference::Categorical(_), ColumnCounts::Numbers(_)) => None,
    }
}

/// A profile as it was stored, before anybody knows that its parts fit.
#[derive(Deserialize)]
struct Stored {
    rows: u64,
    columns: BTreeMap<String, Reference>,
    #[serde(default)]
    segments: BTreeMap<String, BTreeMap<String, Profile>>,
}

impl TryFrom<Stored> for Profile {
    type Error = String;

    fn try_from(stored: Stored) -> Result<Self, String> {
        let whole = Self { rows: stored.rows, columns: stored.columns, segments: stored.segments };
        for (column, parts) in &whole.segments {
            if !matches!(whole.columns.get(column), Some(Reference::Categorical(_))) {
                return Err(format!("segments: {column:?} is no column of names; rows can be parted by such a column only"));
            }
            if let Some((name, _)) = parts.iter().find(|(_, part)| !whole.has_part(part)) {
                return Err(format!(
                    "segments: part {column} = {name:?} has other columns or names than the whole; they must be the same"
                ));
            }
        }
        Ok(whole)
    }
}

impl Profile {
    fn has_part(&self, part: &Self) -> bool {
        part.segments.is_empty()
            && self.columns.len() == part.columns.len()
            && self.columns.iter().zip(&part.columns).all(|(own, other)| {
                own.0 == other.0
                    && match (own.1, other.1) {
                        (Reference::Numeric { .. }, Reference::Numeric { .. }) => true,
                        (Reference::Categorical(own), Reference::Categorical(other)) => own.fits(other),
                        (Reference::Numeric { .. }, Reference::Categorical(_))
                        | (Reference::Categorical(_), Reference::Numeric { .. }) => false,
                    }
            })
    }
}
