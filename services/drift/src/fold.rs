//! Counts rows, many at a time. Live streams and files are counted by the same code, so that both give the same bytes.

use std::{collections::HashMap, hash::BuildHasherDefault, sync::Arc};

use crate::{
    Edges, MergeError,
    evidence::Reference,
    hash::Words,
    profile::Profile,
    window_counts::{ColumnCounts, NameCounts, NumberCounts, SegmentCounts, WindowCounts},
};

/// A number that is not there. Other values that are no number were sent as such.
pub const MISSING: f64 = f64::from_bits(0x7ff8_0000_0000_07a2);

/// A name that is not there, in a column of codes.
pub const MISSING_NAME: u32 = u32::MAX;

/// A name that the reference does not know, in a column of codes.
pub const UNSEEN_NAME: u32 = u32::MAX - 1;

/// One column of some rows.
#[derive(Clone, Copy, Debug)]
pub enum Column<'a> {
    /// Numbers, [`MISSING`] where there is none.
    Numbers(&'a [f64]),
    /// Names.
    Names(&'a [Option<&'a str>]),
    /// Names as [`Fold::code`] codes them.
    Codes(&'a [u32]),
    /// Nothing is said of this column, not even that it is missing.
    Absent,
}

/// A profile made ready for counting: the columns in the order of their names.
#[derive(Clone, Debug)]
pub struct Fold {
    frame: Arc<str>,
    columns: Vec<Slots>,
    names: Vec<String>,
    segments: Vec<Segments>,
}

#[derive(Clone, Debug)]
enum Slots {
    Numbers(Arc<Edges>),
    Names(HashMap<Box<str>, u32, BuildHasherDefault<Words>>),
}

/// The parts of the rows by the name that one column holds.
#[derive(Clone, Debug)]
struct Segments {
    column: usize,
    /// By the code of the name; names without a part have none.
    parts: Vec<Option<usize>>,
    folds: Vec<Fold>,
}

impl Fold {
    /// Makes a profile ready.
    #[must_use]
    pub fn new(profile: &Profile) -> Self {
        let names: Vec<String> = profile.columns.keys().cloned().collect();
        let columns: Vec<Slots> = profile.columns.values().map(Slots::of).collect();
        let segments = profile.segments.iter().filter_map(|(column, parts)| {
            let column = names.iter().position(|name| name == column)?;
            let Slots::Names(codes) = &columns[column] else { return None };
            let mut by_code = vec![None; codes.len()];
            for (at, name) in parts.keys().enumerate() {
                *by_code.get_mut(*codes.get(name.as_str())? as usize)? = Some(at);
            }
            Some(Segments { column, parts: by_code, folds: parts.values().map(Self::new).collect() })
        });
        let segments = segments.collect();
        Self { frame: profile.frame().into(), columns, names, segments }
    }

    /// The columns' names, in the order in which [`Fold::count`] takes them.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether a column holds numbers; otherwise it holds names.
    #[must_use]
    pub fn is_numeric(&self, column: usize) -> bool {
        matches!(self.columns.get(column), Some(Slots::Numbers(_)))
    }

    /// Codes a name of a column.
    #[must_use]
    pub fn code(&self, column: usize, name: &str) -> u32 {
        match self.columns.get(column) {
            Some(Slots::Names(codes)) => codes.get(name).copied().unwrap_or(UNSEEN_NAME),
            Some(Slots::Numbers(_)) | None => UNSEEN_NAME,
        }
    }

    /// A window that has seen nothing.
    #[must_use]
    pub fn window(&self) -> WindowCounts {
        let columns = self.columns.iter().map(Slots::empty).collect();
        let segment = |segment: &Segments| SegmentCounts { parts: segment.folds.iter().map(Self::window).collect() };
        WindowCounts {
            frame: self.frame.clone(),
            rows: 0,
            gaps: 0,
            columns,
            segments: self.segments.iter().map(segment).collect(),
        }
    }

    /// Counts `rows` rows: one slice a column, in the order of [`Fold::names`], all of this length.
    ///
    /// # Errors
    /// The window was counted with another reference, or the slices are not those of this one's columns. Nothing is counted
    /// then.
    pub fn count(&self, window: &mut WindowCounts, columns: &[Column<'_>], rows: usize) -> Result<(), MergeError> {
        if !self.fits(window) || !self.takes(columns, rows) {
            return Err(MergeError);
        }
        window.rows += rows as u64;
        self.add(window, columns);
        self.segments
            .iter()
            .zip(&mut window.segments)
            .try_for_each(|(segments, counts)| segments.count(counts, columns, &self.columns[segments.column]))
    }

    /// Counts values that belong to rows which are counted by themselves, as a model's answers do.
    ///
    /// # Errors
    /// As [`Fold::count`].
    pub fn count_beside(&self, window: &mut WindowCounts, columns: &[Column<'_>], rows: usize) -> Result<(), MergeError> {
        if !self.fits(window) || !self.takes(columns, rows) {
            return Err(MergeError);
        }
        self.add(window, columns);
        Ok(())
    }

    /// Whether a window, as it was stored, was counted with this.
    #[must_use]
    pub fn fits(&self, window: &WindowCounts) -> bool {
        window.frame == self.frame
            && window.columns.len() == self.columns.len()
            && self.columns.iter().zip(&window.columns).all(|(slots, counts)| slots.fits(counts))
            && window.segments.len() == self.segments.len()
            && self.segments.iter().zip(&window.segments).all(|(segments, counts)| {
                segments.folds.len() == counts.parts.len()
                    && segments.folds.iter().zip(&counts.parts).all(|(fold, part)| fold.fits(part))
            })
    }

    fn takes(&self, columns: &[Column<'_>], rows: usize) -> bool {
        columns.len() == self.columns.len()
            && self.columns.iter().zip(columns).all(|(slots, column)| match (slots, column) {
                (Slots::Numbers(_) | Slots::Names(_), Column::Absent) => true,
                (Slots::Numbers(_), Column::Numbers(values)) => values.len() == rows,
                (Slots::Names(_), Column::Names(values)) => values.len() == rows,
                (Slots::Names(_), Column::Codes(values)) => values.len() == rows,
                (Slots::Numbers(_), Column::Names(_) | Column::Codes(_)) | (Slots::Names(_), Column::Numbers(_)) => false,
            })
    }

    fn add(&self, window: &mut WindowCounts, columns: &[Column<'_>]) {
        for ((slots, counts), column) in self.columns.iter().zip(&mut window.columns).zip(columns) {
            match (slots, counts, column) {
                (Slots::Numbers(edges), ColumnCounts::Numbers(counts), Column::Numbers(values)) => counts.fold(edges, values),
                (Slots::Names(codes), ColumnCounts::Names(counts), Column::Names(values)) => {
                    values.iter().for_each(|name| counts.add(code_of(codes, *name)));
                }
                (Slots::Names(_), ColumnCounts::Names(counts), Column::Codes(values)) => {
                    values.iter().for_each(|code| counts.add(*code));
                }
                (Slots::Numbers(_) | Slots::Names(_), _, _) => {}
            }
        }
    }
}

impl Segments {
    /// Sorts the rows by the part that they belong to, and counts each part's.
    fn count(&self, counts: &mut SegmentCounts, columns: &[Column<'_>], slots: &Slots) -> Result<(), MergeError> {
        let mut rows = vec![Vec::new(); self.folds.len()];
        let mut put = |row: usize, code: u32| {
            if let Some(part) = self.parts.get(code as usize).copied().flatten() {
                rows[part].push(row);
            }
        };
        match (columns[self.column], slots) {
            (Column::Codes(codes), _) => codes.iter().enumerate().for_each(|(row, code)| put(row, *code)),
            (Column::Names(names), Slots::Names(codes)) => {
                names.iter().enumerate().for_each(|(row, name)| put(row, code_of(codes, *name)));
            }
            (Column::Absent, _) => {}
            (Column::Names(_) | Column::Numbers(_), _) => return Err(MergeError),
        }
        for ((fold, counts), rows) in self.folds.iter().zip(&mut counts.parts).zip(&rows) {
            fold.count_some(counts, columns, rows)?;
        }
        Ok(())
    }
}

impl Fold {
    /// Counts the rows at these places. A part has the names of the whole, so codes are the same.
    fn count_some(&self, counts: &mut WindowCounts, columns: &[Column<'_>], rows: &[usize]) -> Result<(), MergeError> {
        counts.rows += rows.len() as u64;
        for ((slots, counts), column) in self.columns.iter().zip(&mut counts.columns).zip(columns) {
            match (slots, counts, column) {
                (Slots::Numbers(edges), ColumnCounts::Numbers(counts), Column::Numbers(values)) => {
                    let picked: Vec<f64> = rows.iter().map(|&row| values[row]).collect();
                    counts.fold(edges, &picked);
                }
                (Slots::Names(codes), ColumnCounts::Names(counts), Column::Names(values)) => {
                    for &row in rows {
                        counts.add(code_of(codes, values[row]));
                    }
                }
                (Slots::Names(_), ColumnCounts::Names(counts), Column::Codes(values)) => {
                    for &row in rows {
                        counts.add(values[row]);
                    }
                }
                (Slots::Numbers(_) | Slots::Names(_), _, Column::Absent) => {}
                (Slots::Numbers(_) | Slots::Names(_), _, _) => return Err(MergeError),
            }
        }
        Ok(())
    }
}

impl Slots {
    fn of(reference: &Reference) -> Self {
        match reference {
            Reference::Numeric { histogram, .. } => Self::Numbers(histogram.shared_edges()),
            Reference::Categorical(categories) => {
                Self::Names((0..).zip(categories.names()).map(|(code, name)| (name.into(), code)).collect())
            }
        }
    }

    fn empty(&self) -> ColumnCounts {
        match self {
            Self::Numbers(edges) => ColumnCounts::Numbers(NumberCounts::empty(edges.slots())),
            Self::Names(codes) => ColumnCounts::Names(NameCounts::empty(codes.len())),
        }
    }

    fn fits(&self, counts: &ColumnCounts) -> bool {
        match (self, counts) {
            (Self::Numbers(edges), ColumnCounts::Numbers(counts)) => counts.slots.len() == edges.slots(),
            (Self::Names(codes), ColumnCounts::Names(counts)) => counts.known.len() == codes.len(),
            (Self::Numbers(_), ColumnCounts::Names(_)) | (Self::Names(_), ColumnCounts::Numbers(_)) => false,
        }
    }
}

fn code_of(codes: &HashMap<Box<str>, u32, BuildHasherDefault<Words>>, name: Option<&str>) -> u32 {
    name.map_or(MISSING_NAME, |name| codes.get(name).copied().unwrap_or(UNSEEN_NAME))
}
