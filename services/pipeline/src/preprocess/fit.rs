//! Fits a preprocessing on the training fold: one step after the other, each on what those before it give. A step reads its own
//! column and no other.

mod column;
mod fill;
mod onehot;

use std::{collections::BTreeSet, path::Path};

use switchyard_model::{Preprocess, Task, Transform};

use self::column::Of;
use super::{Fitted, Preprocessing, Step, VERSION, label::Labels};
use crate::{
    error::{Error, Result},
    table::{Cell, Field, Kind, read_stored},
};

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
