//! Fits a preprocessing on the training fold: one step after the other, each on what those before it give. A step reads its own
//! column and no other.

use std::{collections::BTreeSet, path::Path};

use switchyard_model::{Buckets, Fill, Preprocess, Scale, Task, Transform, Unseen};

use super::{
    Fitted, Fixed, Preprocessing, Step, VERSION,
    apply::Chain,
    label::Labels,
    seen::{Counts, Moments, Runs, Summary, fixed, quantiles, sort},
    step::{Beyond, Values},
};
use crate::{
    error::{Error, Result},
    sort::Sorter,
    table::{Cell, Field, Kind, read_stored},
};

/// How many columns of 0 and 1 one column may become where nothing bounds them.
const WIDEST: usize = 1000;

/// What is fitted, and on what.
pub(crate) struct Fit<'a> {
    /// The training fold.
    pub(crate) train: &'a Path,
    /// The column by which rows are told apart.
    pub(crate) key: &'a Field,
    /// The label's column.
    pub(crate) label: &'a Field,
    /// What is predicted.
    pub(crate) task: Task,
    /// The features.
    pub(crate) features: &'a [Field],
    /// What happens to them.
    pub(crate) plan: &'a Preprocess,
    /// Called with the name of every column that is fitted.
    pub(crate) told: &'a dyn Fn(&str),
}

/// Fits a preprocessing.
///
/// # Errors
/// The label has no two values, or is a feature; a step does not fit its column.
pub(crate) fn fit(fit: &Fit<'_>) -> Result<Preprocessing> {
    let mut labels = Labels::new(fit.label, fit.task)?;
    for batch in read_stored(fit.train, Some(&[&fit.label.name]))? {
        labels.see(batch?.column(0))?;
    }
    let label = labels.finish()?;
    let column = |field: &Field| {
        (fit.told)(&field.name);
        leak(fit, field)?;
        let steps = chain(fit, field).map_err(|error| error.column(&field.name))?;
        Ok(Fitted { field: field.clone(), steps })
    };
    let columns = fit.features.iter().map(column).collect::<Result<_>>()?;
    let fitted = Preprocessing { version: VERSION, key: fit.key.clone(), label, columns };
    distinct(&fitted)?;
    Ok(fitted)
}

/// Refuses two columns of one name: `plan=gold` may be a feature's name, and what `onehot` makes of another.
fn distinct(fitted: &Preprocessing) -> Result<()> {
    let mut names = BTreeSet::from([&fitted.key.name, &fitted.label.column].map(String::clone));
    for column in &fitted.columns {
        if let Some(twice) = column.outputs().into_iter().find(|output| !names.insert(output.name.clone())) {
            let what = format!("it becomes a column `{}`, and there is one already; rename it in the source", twice.name);
            return Err(Error::new(what).column(&column.field.name));
        }
    }
    Ok(())
}

/// What happens to a column: what is said of it, or what happens to all of its type.
pub(crate) fn transforms<'a>(plan: &'a Preprocess, field: &Field) -> &'a [Transform] {
    let defaults = &plan.defaults;
    plan.columns.get(&field.name).unwrap_or(match field.kind {
        Kind::Boolean => &defaults.boolean,
        Kind::Integer => &defaults.integer,
        Kind::Float => &defaults.float,
        Kind::String => &defaults.string,
    })
}

/// Refuses a feature that says in every row what the label says.
fn leak(fit: &Fit<'_>, field: &Field) -> Result<()> {
    if field.name == fit.label.name {
        return Err(Error::new("the label is among the features: a model would only copy it").column(&field.name));
    }
    for batch in read_stored(fit.train, Some(&[&field.name, &fit.label.name]))? {
        let batch = batch?;
        let (Some(feature), Some(label)) = (batch.named(&field.name), batch.named(&fit.label.name)) else { return Ok(()) };
        let same = |(feature, label): (Cell<'_>, Cell<'_>)| match (feature.number(), label.number()) {
            #[expect(clippy::float_cmp, reason = "the same value, not a near one")]
            (Some(feature), Some(label)) => feature == label,
            _ => feature.text() == label.text(),
        };
        if !feature.cells().zip(label.cells()).all(same) {
            return Ok(());
        }
    }
    let what =
        format!("the feature is the same as the label `{}` in every row: it leaks what is to be predicted", fit.label.name);
    Err(Error::new(what).column(&field.name))
}

fn chain(fit: &Fit<'_>, field: &Field) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    let mut kind = field.kind;
    let transforms = transforms(fit.plan, field);
    for (at, transform) in transforms.iter().enumerate() {
        if at > 0 && matches!(transforms[at - 1], Transform::Ngrams { .. }) {
            continue;
        }
        if let Some(last) = steps.last().filter(|step: &&Step| step.columns().is_some()) {
            let after = if matches!(last, Step::OneHot { .. }) { "onehot" } else { "a step that makes many columns" };
            return Err(Error::new(format!("`{}` cannot follow {after}: there is no longer one column", transform.name())));
        }
        let of = Of { fit, field, kind, before: &steps, first: at == 0, next: transforms.get(at + 1) };
        let more = of.step(transform).map_err(|error| named(error, transform))?;
        kind = more.iter().fold(kind, |kind, step| step.gives(kind));
        steps.extend(more);
    }
    Ok(steps)
}

fn named(error: Error, transform: &Transform) -> Error {
    error.prefixed(&format!("{}: ", transform.name()))
}

/// A column as far as it is fitted.
struct Of<'a> {
    fit: &'a Fit<'a>,
    field: &'a Field,
    kind: Kind,
    before: &'a [Step],
    first: bool,
    next: Option<&'a Transform>,
}

impl Of<'_> {
    fn step(&self, transform: &Transform) -> Result<Vec<Step>> {
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
    fn each(&self, mut see: impl FnMut(Cell<'_>) -> Result<()>) -> Result<()> {
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

    fn numeric(&self) -> Result<()> {
        if self.kind.is_number() || self.kind == Kind::Boolean {
            return Ok(());
        }
        let what = "needs numbers, and the column holds text; preprocess it with vocabulary, onehot or hash, or mend its values";
        Err(Error::new(what))
    }

    fn summary(&self) -> Result<Summary> {
        self.numeric()?;
        let mut moments = Moments::default();
        self.each(|cell| {
            cell.number().into_iter().for_each(|value| moments.see(value));
            Ok(())
        })?;
        moments.finish().ok_or_else(|| Error::new("no row of the training fold has a value"))
    }

    fn fill(&self, fill: &Fill) -> Result<Step> {
        let like = |value: f64| {
            if self.kind == Kind::Integer { fixed(&Cell::Float(value).text().unwrap_or_default(), self.kind) } else { None }
        };
        let number = |value: f64| Step::Fill(like(value).unwrap_or(Fixed::Float(value)));
        Ok(match fill {
            Fill::Min => self.extreme(|summary| summary.least, number)?,
            Fill::Max => self.extreme(|summary| summary.greatest, number)?,
            Fill::Mean => Step::Fill(Fixed::Float(self.measured()?.summary()?.mean)),
            Fill::Median => Step::Fill(Fixed::Float(self.median()?)),
            Fill::Mode => Step::Fill(self.mode()?),
            Fill::Forward => Step::Forward(self.edge(true)?),
            Fill::Backward => Step::Backward(self.edge(false)?),
            Fill::Value(value) => Step::Fill(self.constant(value)?),
        })
    }

    /// The least or the greatest value: a truth value of truth values.
    fn extreme(&self, of: impl Fn(&Summary) -> f64, number: impl Fn(f64) -> Step) -> Result<Step> {
        let value = of(&self.summary()?);
        Ok(if self.kind == Kind::Boolean { Step::Fill(Fixed::Boolean(value > 0.5)) } else { number(value) })
    }

    fn sorted(&self) -> Result<Sorter> {
        self.numeric()?;
        let mut sorter = Sorter::new();
        self.each(|cell| cell.number().map_or(Ok(()), |value| sort(&mut sorter, value)))?;
        if sorter.count() == 0 {
            return Err(Error::new("no row of the training fold has a value"));
        }
        Ok(sorter)
    }

    fn median(&self) -> Result<f64> {
        Ok(quantiles(self.measured()?.sorted()?, &[0.5])?.first().copied().unwrap_or_default())
    }

    /// The column, where something may lie between its values.
    fn measured(&self) -> Result<&Self> {
        if self.kind == Kind::Boolean { Err(Error::new("has no meaning for true or false; use mode")) } else { Ok(self) }
    }

    fn counts(&self) -> Result<Counts> {
        let mut counts = Counts::default();
        self.each(|cell| cell.text().map_or(Ok(()), |text| counts.see(&text)))?;
        Ok(counts)
    }

    fn mode(&self) -> Result<Fixed> {
        self.counts()?.mode(self.kind).ok_or_else(|| Error::new("no row of the training fold has a value"))
    }

    /// The first or the last value of the training fold: what rows are filled with that have none before or after.
    fn edge(&self, first: bool) -> Result<Option<Fixed>> {
        if !self.first {
            return Err(Error::new("forward and backward look at other rows, and must come first"));
        }
        let mut edge = None;
        self.each(|cell| {
            if cell != Cell::Missing && !(first && edge.is_some()) {
                edge = Fixed::of(cell);
            }
            Ok(())
        })?;
        Ok(edge)
    }

    fn constant(&self, value: &serde_json::Value) -> Result<Fixed> {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let kind = if self.kind == Kind::Integer && text.parse::<i64>().is_err() { Kind::Float } else { self.kind };
        fixed(&text, kind).ok_or_else(|| Error::new(format!("`{text}` does not fit: the column holds {}", self.kind.words())))
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

    fn terms(&self, most: usize) -> Result<Vec<String>> {
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

    fn onehot(&self, unknown: Unseen) -> Result<Vec<Step>> {
        let unknown = match unknown {
            Unseen::Bucket => Beyond::Bucket,
            Unseen::Zero => Beyond::Zero,
            Unseen::Error => Beyond::Error,
        };
        let (mut names, vocabulary, open) = match self.before.last() {
            Some(Step::Vocabulary { terms }) => (terms.clone(), None, true),
            Some(Step::Hash(size)) => ((0..*size).map(|place| place.to_string()).collect(), None, false),
            Some(Step::Bucketize { edges }) => (ranges(edges), None, false),
            _ => {
                let terms = self.terms(WIDEST + 1)?;
                (terms.clone(), Some(Step::Vocabulary { terms }), true)
            }
        };
        if names.len() > WIDEST {
            return Err(Error::new(format!(
                "the column would become more than {WIDEST} columns; put `vocabulary: 100` or `hash: 100` before it"
            )));
        }
        if open && unknown == Beyond::Bucket {
            names.push(unlike(&names));
        }
        let unknown = if !open && unknown == Beyond::Bucket { Beyond::Zero } else { unknown };
        Ok(vocabulary.into_iter().chain([Step::OneHot { names, unknown }]).collect())
    }
}

/// What the column of unknown values is called: `?`, or more of them where that is a value.
fn unlike(names: &[String]) -> String {
    let mut name = "?".to_owned();
    while names.contains(&name) {
        name.push('?');
    }
    name
}

/// What ranges between edges are called.
fn ranges(edges: &[f64]) -> Vec<String> {
    let text = |edge: &f64| Cell::Float(*edge).text().unwrap_or_default().into_owned();
    let (Some(first), Some(last)) = (edges.first(), edges.last()) else { return vec!["any".to_owned()] };
    let between = edges.windows(2).map(|pair| format!("{}..{}", text(&pair[0]), text(&pair[1])));
    std::iter::once(format!("<{}", text(first))).chain(between).chain([format!(">={}", text(last))]).collect()
}
