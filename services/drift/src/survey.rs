//! Takes a profile's edges and names from rows that come in batches, in memory that does not grow with the rows.
//!
//! Two passes: the survey looks at the rows and draws the frame; then the same rows are counted within it, exactly. The same
//! rows in the same order always give the same frame.

use std::{collections::BTreeMap, num::NonZeroUsize, sync::Arc};

use thiserror::Error;

use crate::{Categories, Edges, EdgesError, Histogram, Profile, evidence::Reference, fold::Column, number::real};

/// How many values of a column are kept to draw its edges from.
const KEPT: usize = 200_000;
/// The same for a part of the rows.
const KEPT_OF_PART: usize = 10_000;
/// Bins of a part's columns: parts are many, and hold fewer rows.
const BINS_OF_PART: usize = 128;
/// How many names a column is looked through for.
const LOOKED_AT: usize = 100_000;
/// How many names of a column are kept, the most frequent ones; rows with any other count as unseen.
const NAMES: usize = 1_000;
/// How many parts of the rows one column may make.
const PARTS: usize = 32;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Numbers.
    Numbers,
    /// Names.
    Names,
}

/// Why rows make no profile.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum SurveyError {
    /// A column of numbers holds none.
    #[error("column {column:?}: {error}")]
    Column {
        /// Its name.
        column: String,
        /// What is wrong with it.
        error: EdgesError,
    },
    /// Rows shall be parted by what is no column of names.
    #[error("rows cannot be parted by {0:?}: it is no column of names")]
    Segment(String),
    /// A batch does not have the columns that were named.
    #[error("a batch has other columns than the first; each must have {0}, all of one length")]
    Batch(usize),
}

/// The first pass.
#[derive(Clone, Debug)]
pub struct Survey {
    names: Vec<String>,
    bins: NonZeroUsize,
    whole: Vec<Seen>,
    parts: Vec<(usize, BTreeMap<String, Vec<Seen>>)>,
}

#[derive(Clone, Debug)]
enum Seen {
    Numbers(Numbers),
    Names(BTreeMap<String, u64>),
}

/// A sample of a column's finite values that is uniform however many there are (Vitter 1985, algorithm R), and their deviation.
#[derive(Clone, Debug)]
struct Numbers {
    sample: Vec<f64>,
    most: usize,
    seen: u64,
    mean: f64,
    squares: f64,
    draw: u64,
}

impl Survey {
    /// Of these columns, with at most `bins` bins each, and by themselves the rows of each name in the columns `segments`.
    ///
    /// # Errors
    /// A segment is no column of names.
    pub fn new<S: AsRef<str>>(columns: &BTreeMap<String, Kind>, segments: &[S], bins: NonZeroUsize) -> Result<Self, SurveyError> {
        let names: Vec<String> = columns.keys().cloned().collect();
        let at = |segment: &S| {
            let segment = segment.as_ref();
            let column = names.iter().position(|name| name == segment && columns[segment] == Kind::Names);
            column.map(|column| (column, BTreeMap::new())).ok_or_else(|| SurveyError::Segment(segment.into()))
        };
        let parts = segments.iter().map(at).collect::<Result<_, _>>()?;
        Ok(Self { whole: columns.values().map(|kind| Seen::new(*kind, KEPT)).collect(), names, bins, parts })
    }

    /// Looks at some rows: one slice a column, in the order of their names. Names must come as names.
    ///
    /// # Errors
    /// The slices are not those columns'.
    pub fn see(&mut self, columns: &[Column<'_>], rows: usize) -> Result<(), SurveyError> {
        if columns.len() != self.whole.len() || !self.whole.iter().zip(columns).all(|(seen, column)| seen.takes(column, rows)) {
            return Err(SurveyError::Batch(self.whole.len()));
        }
        for (seen, column) in self.whole.iter_mut().zip(columns) {
            (0..rows).for_each(|row| seen.see(column, row));
        }
        for (by, parts) in &mut self.parts {
            let Column::Names(names) = columns[*by] else { continue };
            for (row, name) in names.iter().enumerate() {
                let Some(name) = *name else { continue };
                if !parts.contains_key(name) && parts.len() < PARTS {
                    parts.insert(name.to_owned(), self.whole.iter().map(Seen::part).collect());
                }
                let Some(part) = parts.get_mut(name) else { continue };
                part.iter_mut().zip(columns).for_each(|(seen, column)| seen.see(column, row));
            }
        }
        Ok(())
    }

    /// Draws the frame: a profile whose counts are still zero ([`Profile::filled`]).
    ///
    /// # Errors
    /// A column of numbers holds none.
    pub fn frame(self) -> Result<Profile, SurveyError> {
        let columns = self.names.iter().zip(&self.whole).map(|(name, seen)| {
            let reference = seen.reference(self.bins).map_err(|error| SurveyError::Column { column: name.clone(), error })?;
            Ok((name.clone(), reference))
        });
        let columns: BTreeMap<String, Reference> = columns.collect::<Result<_, _>>()?;
        let known = |by: usize, name: &str| match columns.get(&self.names[by]) {
            Some(Reference::Categorical(categories)) => categories.names().any(|known| known == name),
            Some(Reference::Numeric { .. }) | None => false,
        };
        let segments = self.parts.iter().map(|(by, parts)| {
            let parts = parts.iter().filter(|(name, _)| known(*by, name));
            let part = parts.map(|(name, seen)| (name.clone(), part(&columns, seen, self.bins)));
            (self.names[*by].clone(), part.collect())
        });
        let segments = segments.collect();
        Ok(Profile { rows: 0, columns, segments })
    }
}

/// A part's frame: the names of the whole, its own edges where it holds numbers, and those of the whole where it holds none.
fn part(whole: &BTreeMap<String, Reference>, seen: &[Seen], bins: NonZeroUsize) -> Profile {
    let bins = bins.min(NonZeroUsize::new(BINS_OF_PART).unwrap_or(NonZeroUsize::MIN));
    let column = |((name, reference), seen): ((&String, &Reference), &Seen)| {
        let own = match reference {
            Reference::Numeric { .. } => seen.reference(bins).ok(),
            Reference::Categorical(_) => None,
        };
        (name.clone(), own.unwrap_or_else(|| reference.clone()))
    };
    Profile::new(0, whole.iter().zip(seen).map(column).collect())
}

impl Seen {
    fn new(kind: Kind, most: usize) -> Self {
        match kind {
            Kind::Numbers => Self::Numbers(Numbers { sample: Vec::new(), most, seen: 0, mean: 0.0, squares: 0.0, draw: 0 }),
            Kind::Names => Self::Names(BTreeMap::new()),
        }
    }

    fn part(&self) -> Self {
        Self::new(if matches!(self, Self::Numbers(_)) { Kind::Numbers } else { Kind::Names }, KEPT_OF_PART)
    }

    fn takes(&self, column: &Column<'_>, rows: usize) -> bool {
        match (self, column) {
            (Self::Numbers(_), Column::Numbers(values)) => values.len() == rows,
            (Self::Names(_), Column::Names(values)) => values.len() == rows,
            (Self::Numbers(_) | Self::Names(_), _) => false,
        }
    }

    fn see(&mut self, column: &Column<'_>, row: usize) {
        match (self, column) {
            (Self::Numbers(numbers), Column::Numbers(values)) => numbers.see(values[row]),
            (Self::Names(seen), Column::Names(values)) => {
                let Some(name) = values[row] else { return };
                if let Some(rows) = seen.get_mut(name) {
                    *rows += 1;
                } else if seen.len() < LOOKED_AT {
                    seen.insert(name.to_owned(), 1);
                }
            }
            (Self::Numbers(_) | Self::Names(_), _) => {}
        }
    }

    fn reference(&self, bins: NonZeroUsize) -> Result<Reference, EdgesError> {
        match self {
            Self::Numbers(numbers) => {
                let edges = Arc::new(Edges::of_reference(&numbers.sample, bins)?);
                Ok(Reference::Numeric { histogram: Histogram::new(edges), deviation: numbers.deviation() })
            }
            Self::Names(seen) => {
                let mut names: Vec<(&String, &u64)> = seen.iter().collect();
                names.sort_by(|one, other| other.1.cmp(one.1).then(one.0.cmp(other.0)));
                Ok(Reference::Categorical(Categories::new(names.into_iter().take(NAMES).map(|(name, _)| name.clone()))))
            }
        }
    }
}

impl Numbers {
    fn see(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        self.seen += 1;
        let apart = value - self.mean;
        self.mean += apart / real(self.seen);
        self.squares += apart * (value - self.mean);
        if self.sample.len() < self.most {
            self.sample.push(value);
        } else if let Some(kept) = usize::try_from(self.next() % self.seen).ok().and_then(|at| self.sample.get_mut(at)) {
            *kept = value;
        }
    }

    /// `SplitMix64` (Steele, Lea and Flood 2014), always from the same seed.
    fn next(&mut self) -> u64 {
        self.draw = self.draw.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.draw ^ (self.draw >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn deviation(&self) -> f64 {
        (self.squares / real(self.seen.max(1))).sqrt()
    }
}
