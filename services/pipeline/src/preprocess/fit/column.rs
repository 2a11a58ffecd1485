//! One step of one column, fitted on what the steps before it give.

use switchyard_model::{Buckets, Scale, Transform};

use super::{
    super::{
        Step,
        apply::Chain,
        seen::{Counts, Moments, Runs, Summary, quantiles, sort},
        step::Values,
    },
    Fit,
};
use crate::{
    error::{Error, Result},
    sort::Sorter,
    table::{Cell, Field, Kind, read_stored},
};

/// A column as far as it is fitted.
pub(super) struct Of<'a> {
    pub(super) fit: &'a Fit<'a>,
    pub(super) field: &'a Field,
    pub(super) kind: Kind,
    pub(super) before: &'a [Step],
    pub(super) first: bool,
    pub(super) next: Option<&'a Transform>,
}

impl Of<'_> {
    pub(super) fn step(&self, transform: &Transform) -> Result<Vec<Step>> {
        Ok(vec![match transform {
            Transform::None => Step::None,
            Transform::Fill(fill) => self.fill(fill)?,
            Transform::Scale(scale) => self.scale(*scale)?,
            Transform::Vocabulary(size) => Step::Vocabulary { terms: self.terms(size.get() as usize)? },
            Transform::Hash(size) => Step::Hash(size.get()),
            Transform::Bucketize(Buckets::Edges(edges)) => self.numeric().map(|()| Step::Bucketize { edges: edges.clone() })?,
            Transform::Bucketize(Buckets::Quantiles(count)) => self.buckets(count.get())?,
            Transform::OneHot { unknown } => return self.onehot(*unknown),
            Transform::Ngrams { n, size } => self.ngrams(n.get(), size.get())?,
            Transform::Tfidf(size) => self.tfidf(1, size.get())?,
        }])
    }

    /// Shows every value of the training fold, as the steps before give it.
    pub(super) fn each(&self, mut see: impl FnMut(Cell<'_>) -> Result<()>) -> Result<()> {
        let read = || read_stored(self.fit.train, Some(&[&self.field.name]));
        let mut chain = Chain::new(self.before);
        if chain.looks_ahead() {
            chain.look_ahead(read()?, &self.field.name)?;
        }
        for batch in read()? {
            match chain.apply(batch?.column(0).clone()).map_err(|(_, error)| error)? {
                Values::One(column) => column.cells().try_for_each(&mut see)?,
                Values::Many(_) => {}
            }
        }
        Ok(())
    }

    pub(super) fn numeric(&self) -> Result<()> {
        if self.kind.is_number() || self.kind == Kind::Boolean {
            return Ok(());
        }
        let what = "needs numbers, and the column holds text; preprocess it with vocabulary, onehot or hash, or mend its values";
        Err(Error::new(what))
    }

    pub(super) fn summary(&self) -> Result<Summary> {
        self.numeric()?;
        let mut moments = Moments::default();
        self.each(|cell| {
            cell.number().into_iter().for_each(|value| moments.see(value));
            Ok(())
        })?;
        moments.finish().ok_or_else(|| Error::new("no row of the training fold has a value"))
    }

    pub(super) fn sorted(&self) -> Result<Sorter> {
        self.numeric()?;
        let mut sorter = Sorter::new();
        self.each(|cell| cell.number().map_or(Ok(()), |value| sort(&mut sorter, value)))?;
        if sorter.count() == 0 {
            return Err(Error::new("no row of the training fold has a value"));
        }
        Ok(sorter)
    }

    pub(super) fn counts(&self) -> Result<Counts> {
        let mut counts = Counts::default();
        self.each(|cell| cell.text().map_or(Ok(()), |text| counts.see(&text)))?;
        Ok(counts)
    }

    fn scale(&self, scale: Scale) -> Result<Step> {
        let Summary { least, greatest, mean, deviation } = self.summary()?;
        let (subtract, divide) = match scale {
            Scale::MinMax => (least, greatest - least),
            Scale::Zscore => (mean, deviation),
            Scale::Max => (0.0, least.abs().max(greatest.abs())),
        };
        // A constant column becomes zeros, not nonsense.
        Ok(Step::Scale { subtract, divide: if divide > 0.0 && divide.is_finite() { divide } else { 1.0 } })
    }

    fn buckets(&self, count: u32) -> Result<Step> {
        let shares: Vec<f64> = (1..count).map(|cut| f64::from(cut) / f64::from(count)).collect();
        let mut edges = quantiles(self.sorted()?, &shares)?;
        edges.dedup();
        Ok(Step::Bucketize { edges })
    }

    pub(super) fn terms(&self, most: usize) -> Result<Vec<String>> {
        Ok(self.counts()?.most(most).into_iter().map(|(term, _)| term).collect())
    }

    fn runs(&self, longest: u32, most: u32) -> Result<(Vec<String>, Vec<f64>)> {
        let mut runs = Runs::default();
        self.each(|cell| runs.see(&cell.text().unwrap_or_default(), longest))?;
        let (terms, weights) = runs.most(most as usize);
        if terms.is_empty() { Err(Error::new("no row of the training fold has a word")) } else { Ok((terms, weights)) }
    }

    /// Runs of words: counted, or weighed where `tfidf` follows. What follows is done with it.
    fn ngrams(&self, longest: u32, most: u32) -> Result<Step> {
        match self.next {
            None => Ok(Step::Ngrams { longest, terms: self.runs(longest, most)?.0 }),
            Some(Transform::Vocabulary(size)) => Ok(Step::Ngrams { longest, terms: self.runs(longest, most.min(size.get()))?.0 }),
            Some(Transform::Tfidf(size)) => self.tfidf(longest, most.min(size.get())),
            Some(other) => Err(Error::new(format!("`{}` cannot follow: a row has many runs of words; use tfidf", other.name()))),
        }
    }

    fn tfidf(&self, longest: u32, most: u32) -> Result<Step> {
        let (terms, weights) = self.runs(longest, most)?;
        Ok(Step::Tfidf { longest, terms, weights })
    }
}
