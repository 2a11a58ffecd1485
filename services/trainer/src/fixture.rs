//! A watched model for tests: `age` and `score` are numbers, `plan` has three names, and answers are watched too.

use std::{collections::BTreeMap, num::NonZeroUsize};

use cloudevents::{AttributesWriter as _, Event};
use switchyard_drift::{Column, Fold, Kind, Profile, Survey};

use crate::{Pinned, Watch};

pub(crate) const MODEL: &str = "
version: 1
model: churn
store: {url: 'file:///tmp/store'}
data: {source: {url: 'file:///tmp/rows.csv'}, key: id, eventTime: ts, label: {column: churned, task: binary}, features: [age, score, plan]}
split: {seed: 7, folds: {train: 0.7, eval: 0.15, test: 0.15}}
train: {image: 'r/churn', command: [python, train.py], cpu: 1, ram: 1Gi, timeout: 1h}
";

/// A model with this `monitor`.
pub(crate) fn watch(monitor: &str) -> Watch {
    let (model, _) = switchyard_model::read(&format!("{MODEL}monitor: {monitor}\n")).unwrap();
    Watch::new(&model, pinned("run"), 1).unwrap()
}

pub(crate) fn pinned(run: &str) -> Pinned {
    Pinned { run: run.into(), sha256: "0".into(), profile: profile(), metrics: BTreeMap::from([("auc".into(), 0.9)]) }
}

/// 4,000 rows: age and score even between 0 and 1, a third of each plan, answers even between 0 and 1.
pub(crate) fn profile() -> Profile {
    let rows = 4000u32;
    let numbers: Vec<f64> = (0..rows).map(|row| f64::from(row * 7 % rows) / f64::from(rows)).collect();
    let plans: Vec<Option<&str>> = (0..rows).map(|row| Some(["free", "pro", "team"][row as usize % 3])).collect();
    let columns = [Column::Numbers(&numbers), Column::Names(&plans), Column::Numbers(&numbers), Column::Numbers(&numbers)];
    let kinds = [("age", Kind::Numbers), ("plan", Kind::Names), ("prediction", Kind::Numbers), ("score", Kind::Numbers)];
    let kinds = kinds.into_iter().map(|(name, kind)| (name.to_owned(), kind)).collect();
    let mut survey = Survey::new(&kinds, &["plan"], NonZeroUsize::new(64).unwrap()).unwrap();
    survey.see(&columns, rows as usize).unwrap();
    let frame = survey.frame().unwrap();
    let fold = Fold::new(&frame);
    let mut counts = fold.window();
    fold.count(&mut counts, &columns, rows as usize).unwrap();
    frame.filled(&counts).unwrap()
}

/// An event as it is read from the stream.
pub(crate) fn event(id: &str, ty: &str, data: &str) -> Event {
    let mut event = Event::default();
    event.set_id(id);
    event.set_source("/models/churn");
    event.set_type(ty);
    event.set_data_unchecked(data.as_bytes().to_vec());
    event
}
