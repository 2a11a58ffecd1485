//! What a window has seen of all columns: counts alone, without the edges and names that they belong to. Those stand in the
//! profile, and a digest of them (the frame) says which profile it is.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    Beside, Edges, MergeError,
    fold::{MISSING, MISSING_NAME},
    histogram::extreme,
};

/// Counts of every column, and of every part of the rows that is watched by itself. Any order and grouping of rows and merges
/// gives the same bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WindowCounts {
    /// The digest of the edges and names between which was counted.
    pub(crate) frame: Arc<str>,
    /// How many rows were counted.
    pub(crate) rows: u64,
    /// How many messages were lost before they could be counted.
    pub(crate) gaps: u64,
    pub(crate) columns: Vec<ColumnCounts>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) segments: Vec<SegmentCounts>,
}

/// The parts of the rows by the name that one column holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct SegmentCounts {
    pub(crate) parts: Vec<WindowCounts>,
}

/// One column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ColumnCounts {
    Numbers(NumberCounts),
    Names(NameCounts),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct NumberCounts {
    pub(crate) slots: Vec<u64>,
    #[serde(flatten)]
    pub(crate) beside: Beside,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NameCounts {
    pub(crate) known: Vec<u64>,
    pub(crate) unseen: u64,
    pub(crate) missing: u64,
}

impl WindowCounts {
    /// How many rows were counted.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// How many messages were lost before they could be counted.
    #[must_use]
    pub fn gaps(&self) -> u64 {
        self.gaps
    }

    /// Notes messages that were lost before they could be counted.
    pub fn lose(&mut self, messages: u64) {
        self.gaps += messages;
    }

    /// The digest of the edges and names that these counts belong to: [`crate::Profile::frame`].
    #[must_use]
    pub fn frame(&self) -> &str {
        &self.frame
    }

    /// Adds what another has counted.
    ///
    /// # Errors
    /// The other was counted with another reference; nothing is added then.
    pub fn merge(&mut self, other: &Self) -> Result<(), MergeError> {
        if !self.same_shape(other) {
            return Err(MergeError);
        }
        self.add(other);
        Ok(())
    }

    fn same_shape(&self, other: &Self) -> bool {
        self.frame == other.frame
            && self.columns.len() == other.columns.len()
            && self.columns.iter().zip(&other.columns).all(|(own, more)| own.same_shape(more))
            && self.segments.len() == other.segments.len()
            && self.segments.iter().zip(&other.segments).all(|(own, more)| {
                own.parts.len() == more.parts.len() && own.parts.iter().zip(&more.parts).all(|(own, more)| own.same_shape(more))
            })
    }

    fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.gaps += other.gaps;
        for (own, more) in self.columns.iter_mut().zip(&other.columns) {
            own.add(more);
        }
        for (own, more) in self.segments.iter_mut().zip(&other.segments) {
            own.parts.iter_mut().zip(&more.parts).for_each(|(own, more)| own.add(more));
        }
    }
}

impl ColumnCounts {
    fn same_shape(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Numbers(own), Self::Numbers(more)) => own.slots.len() == more.slots.len(),
            (Self::Names(own), Self::Names(more)) => own.known.len() == more.known.len(),
            (Self::Numbers(_), Self::Names(_)) | (Self::Names(_), Self::Numbers(_)) => false,
        }
    }

    fn add(&mut self, other: &Self) {
        match (self, other) {
            (Self::Numbers(own), Self::Numbers(more)) => {
                own.slots.iter_mut().zip(&more.slots).for_each(|(own, more)| *own += more);
                own.beside.add(&more.beside);
            }
            (Self::Names(own), Self::Names(more)) => {
                own.known.iter_mut().zip(&more.known).for_each(|(own, more)| *own += more);
                own.unseen += more.unseen;
                own.missing += more.missing;
            }
            (Self::Numbers(_), Self::Names(_)) | (Self::Names(_), Self::Numbers(_)) => {}
        }
    }
}

impl NumberCounts {
    pub(crate) fn empty(slots: usize) -> Self {
        Self { slots: vec![0; slots], beside: Beside::default() }
    }

    /// Counts values. Its shape was checked before.
    pub(crate) fn fold(&mut self, edges: &Edges, values: &[f64]) {
        let (mut least, mut greatest) = (f64::INFINITY, f64::NEG_INFINITY);
        for &value in values {
            if value.is_finite() {
                self.slots[edges.slot(value)] += 1;
                least = least.min(value);
                greatest = greatest.max(value);
            } else {
                self.beside.count(value);
            }
        }
        if least <= greatest {
            self.beside.least = extreme(self.beside.least, Some(least), f64::min);
            self.beside.greatest = extreme(self.beside.greatest, Some(greatest), f64::max);
        }
    }
}

impl NameCounts {
    pub(crate) fn empty(known: usize) -> Self {
        Self { known: vec![0; known], unseen: 0, missing: 0 }
    }

    pub(crate) fn add(&mut self, code: u32) {
        match self.known.get_mut(code as usize) {
            Some(count) => *count += 1,
            None if code == MISSING_NAME => self.missing += 1,
            None => self.unseen += 1,
        }
    }
}

impl Beside {
    /// Counts a value that is no finite number.
    #[cold]
    fn count(&mut self, value: f64) {
        if value == f64::INFINITY {
            self.positive_infinity += 1;
        } else if value == f64::NEG_INFINITY {
            self.negative_infinity += 1;
        } else if value.to_bits() == MISSING.to_bits() {
            self.missing += 1;
        } else {
            self.nan += 1;
        }
    }
}
