//! Sorting more numbers than memory should hold: sorted runs in a scratch folder, merged while they are read.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fs::File,
    io::{BufReader, BufWriter, ErrorKind, Read, Write},
};

use tempfile::tempfile;

use crate::error::{Result, Tried};

/// What is sorted: by the first number, then the second, then the third.
pub(crate) type Record = [u64; 3];

/// How many records are held in memory: 24 MiB of them.
const RUN: usize = 1 << 20;

/// Takes records in any order and gives them back sorted.
pub(crate) struct Sorter {
    held: Vec<Record>,
    runs: Vec<File>,
    run: usize,
    count: u64,
}

/// Sorted records.
pub(crate) struct Sorted {
    sources: Vec<Box<dyn Iterator<Item = Result<Record>>>>,
    heads: BinaryHeap<Reverse<(Record, usize)>>,
    failed: Option<crate::Error>,
}

impl Sorter {
    /// Nothing to sort yet.
    pub(crate) fn new() -> Self {
        Self::with_run(RUN)
    }

    fn with_run(run: usize) -> Self {
        Self { held: Vec::new(), runs: Vec::new(), run, count: 0 }
    }

    /// Takes a record.
    pub(crate) fn add(&mut self, record: Record) -> Result<()> {
        self.held.push(record);
        self.count += 1;
        if self.held.len() < self.run {
            return Ok(());
        }
        self.held.sort_unstable();
        let mut file = BufWriter::with_capacity(1 << 16, tempfile().tried("create", "a scratch file")?);
        for record in self.held.drain(..) {
            for word in record {
                file.write_all(&word.to_le_bytes()).tried("write", "a scratch file")?;
            }
        }
        self.runs.push(file.into_inner().map_err(std::io::IntoInnerError::into_error).tried("write", "a scratch file")?);
        Ok(())
    }

    /// How many records were taken.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The records in order.
    pub(crate) fn sorted(mut self) -> Result<Sorted> {
        self.held.sort_unstable();
        let mut sources: Vec<Box<dyn Iterator<Item = Result<Record>>>> = vec![Box::new(self.held.into_iter().map(Ok))];
        for mut file in self.runs {
            std::io::Seek::rewind(&mut file).tried("read", "a scratch file")?;
            let mut reader = BufReader::with_capacity(1 << 16, file);
            sources.push(Box::new(std::iter::from_fn(move || next(&mut reader).transpose())));
        }
        let mut sorted = Sorted { heads: BinaryHeap::new(), sources, failed: None };
        (0..sorted.sources.len()).for_each(|source| sorted.refill(source));
        Ok(sorted)
    }
}

fn next(reader: &mut impl Read) -> Result<Option<Record>> {
    let mut bytes = [0; 24];
    match reader.read_exact(&mut bytes) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        result => result.tried("read", "a scratch file")?,
    }
    let mut words = bytes.chunks_exact(8).map(|word| word.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)));
    Ok(Some(std::array::from_fn(|_| words.next().unwrap_or_default())))
}

impl Sorted {
    fn refill(&mut self, source: usize) {
        match self.sources[source].next() {
            None => {}
            Some(Ok(record)) => self.heads.push(Reverse((record, source))),
            Some(Err(error)) => self.failed = Some(error),
        }
    }
}

impl Iterator for Sorted {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.failed.take() {
            self.heads.clear();
            return Some(Err(error));
        }
        let Reverse((record, source)) = self.heads.pop()?;
        self.refill(source);
        Some(Ok(record))
    }
}

/// A number as one whose order among unsigned numbers is that of the numbers. Zero has one form.
pub(crate) fn ordered(value: f64) -> u64 {
    let bits = (value + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

/// The number that [`ordered`] was given.
pub(crate) fn number(ordered: u64) -> f64 {
    f64::from_bits(if ordered >> 63 == 1 { ordered & !(1 << 63) } else { !ordered })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_does_not_fit_into_memory_is_sorted_like_what_does(records in prop::collection::vec(any::<[u64; 3]>(), 0..200)) {
            let mut sorter = Sorter::with_run(7);
            for record in &records {
                sorter.add(*record).unwrap();
            }
            let sorted: Vec<Record> = sorter.sorted().unwrap().map(Result::unwrap).collect();
            let mut expected = records;
            expected.sort_unstable();
            prop_assert_eq!(sorted, expected);
        }

        #[test]
        fn numbers_keep_their_order(one: f64, other: f64) {
            prop_assume!(!one.is_nan() && !other.is_nan());
            prop_assert_eq!(one.partial_cmp(&other).unwrap(), ordered(one).cmp(&ordered(other)));
            prop_assert_eq!(number(ordered(one)).to_string(), (one + 0.0).to_string());
        }
    }
}
