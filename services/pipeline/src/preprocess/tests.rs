//! Properties of fitting and applying, on files as a run has them.

mod accepted;

use std::{path::Path, sync::Arc};

use proptest::prelude::*;
use switchyard_model::{Preprocess, Task};

use super::{Applier, Fit, Parts, Preprocessing, fit};
use crate::{
    error::Result,
    table::{Batch, Column, Field, Kind, Rows, parquet_writer},
};

fn fields() -> Arc<[Field]> {
    vec![
        Field::new("id", Kind::Integer),
        Field::new("amount", Kind::Float),
        Field::new("plan", Kind::String),
        Field::new("open", Kind::Boolean),
        Field::new("count", Kind::Integer),
        Field::new("label", Kind::Integer),
    ]
    .into()
}

type Drawn = (Option<f64>, Option<String>, Option<bool>, Option<i64>);

/// Rows of these values, with their keys and labels.
fn rows_of(drawn: &[Drawn]) -> Batch {
    let count = i64::try_from(drawn.len()).unwrap();
    let columns = vec![
        Column::Integers((0..count).map(Some).collect()),
        Column::Floats(drawn.iter().map(|row| row.0).collect()),
        Column::Strings(drawn.iter().map(|row| row.1.clone()).collect()),
        Column::Booleans(drawn.iter().map(|row| row.2).collect()),
        Column::Integers(drawn.iter().map(|row| row.3).collect()),
        Column::Integers((0..count).map(|id| Some(id % 2)).collect()),
    ];
    Batch::new(fields(), columns)
}

/// Rows, some of whose values are missing. Both labels are there, and each column has a value.
fn rows() -> impl Strategy<Value = Batch> {
    let amount = prop::option::weighted(0.7, -1e6..1e6_f64);
    let plan = prop::option::weighted(0.7, "[a-e]");
    let open = prop::option::weighted(0.7, any::<bool>());
    let count = prop::option::weighted(0.7, -9..9_i64);
    prop::collection::vec((amount, plan, open, count), 4..60).prop_map(|mut drawn| {
        drawn[0] = (Some(1.0), Some("a".into()), Some(true), Some(1));
        rows_of(&drawn)
    })
}

/// What a file with this `preprocess` says, if it passes the check.
fn plan(preprocess: &str) -> Result<Preprocess, switchyard_model::Invalid> {
    let yaml = format!(
        "version: 1\nmodel: m\nstore: {{url: 'file:///s'}}\ndata: {{source: {{url: 'file:///d.csv'}}, key: id, eventTime: id, label: \
         {{column: label, task: binary}}, features: [amount, plan, open, count]}}\npreprocess: {preprocess}\ntrain: {{image: \
         'i@sha256:0', command: [t]}}\npolicy: {{mode: suggest, triggers: [{{cron: '0 3 * * 0'}}]}}\n"
    );
    switchyard_model::read(&yaml).map(|(model, _)| model.preprocess)
}

fn stored(batch: &Batch, path: &Path) {
    let mut sink = parquet_writer(path, &fields()).unwrap();
    sink.write(batch).unwrap();
    sink.close().unwrap();
}

fn fitted_on(train: &Path, features: &[Field], plan: &Preprocess) -> Result<Preprocessing> {
    let fields = fields();
    fit(&Fit { train, key: &fields[0], label: &fields[5], task: Task::Binary, features, plan, told: &|_| {} })
}

fn fitted(batch: &Batch, preprocess: &str, folder: &Path) -> Result<Preprocessing> {
    let path = folder.join("train.parquet");
    stored(batch, &path);
    fitted_on(&path, &fields()[1..5], &plan(preprocess).unwrap())
}

/// The rows in pieces of these sizes, over and over.
fn pieces(batch: &Batch, sizes: &[usize]) -> Vec<Batch> {
    let (mut pieces, mut from) = (Vec::new(), 0);
    for size in sizes.iter().cycle() {
        if from >= batch.rows() {
            return pieces;
        }
        let keep: Vec<bool> = (0..batch.rows()).map(|row| row >= from && row < from + size).collect();
        pieces.push(batch.filter(&keep));
        from += size;
    }
    pieces
}

fn applied(preprocessing: &Preprocessing, batches: &[Batch]) -> Result<Vec<Vec<String>>> {
    let owned: Arc<[Batch]> = batches.into();
    let again = || -> Result<Rows> {
        let batches = Arc::clone(&owned);
        Ok(Box::new((0..batches.len()).map(move |at| Ok(batches[at].clone()))))
    };
    let mut applier = Applier::new(preprocessing, Parts::Labelled, again)?;
    let mut rows = Vec::new();
    for batch in batches {
        let done = applier.apply(batch)?;
        let cell = |row, at| done.column(at).cell(row).text().map_or("–".into(), std::borrow::Cow::into_owned);
        rows.extend((0..done.rows()).map(|row| (0..done.fields().len()).map(|at| cell(row, at)).collect::<Vec<String>>()));
    }
    Ok(rows)
}

const PLANS: [&str; 6] = [
    "{}",
    "{amount: [{fill: mean}, {scale: minmax}], plan: [{fill: mode}, {vocabulary: 2}], open: [{fill: mode}]}",
    "{amount: [{fill: forward}, {scale: max}], plan: [{fill: backward}, {hash: 3}, onehot], open: [{fill: backward}]}",
    "{amount: [{fill: backward}, {bucketize: 4}, onehot], plan: [{fill: forward}, {vocabulary: 9}, onehot], open: [{fill: forward}]}",
    "{amount: [{fill: max}, {bucketize: [-10, 0, 10]}], plan: [{fill: {value: none}}, {ngrams: {n: 2, size: 9}}], open: [{fill: {value: true}}]}",
    "{amount: [{fill: {value: 0.5}}], plan: [{fill: {value: some}}, {tfidf: 3}], open: [{fill: min}]}",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Batches are how rows travel, and nothing else: where they are cut changes nothing.
    #[test]
    fn where_batches_are_cut_changes_no_value(batch in rows(), sizes in prop::collection::vec(1..20_usize, 1..4), plan in 0..PLANS.len()) {
        let folder = tempfile::tempdir().unwrap();
        let preprocessing = fitted(&batch, PLANS[plan], folder.path()).unwrap();
        let whole = applied(&preprocessing, std::slice::from_ref(&batch)).unwrap();
        prop_assert_eq!(&applied(&preprocessing, &pieces(&batch, &sizes)).unwrap(), &whole);
        prop_assert!(whole.iter().flatten().all(|cell| cell != "–"), "every value is filled");
    }

    /// The artifact reads back to the same bytes, and does the same.
    #[test]
    fn the_artifact_is_the_preprocessing(batch in rows(), plan in 0..PLANS.len()) {
        let folder = tempfile::tempdir().unwrap();
        let preprocessing = fitted(&batch, PLANS[plan], folder.path()).unwrap();
        let bytes = preprocessing.to_bytes().unwrap();
        let read = Preprocessing::read(&bytes).unwrap();
        prop_assert_eq!(&read, &preprocessing);
        prop_assert_eq!(read.to_bytes().unwrap(), bytes);
        let again = fitted(&batch, PLANS[plan], folder.path()).unwrap();
        prop_assert_eq!(again.to_bytes().unwrap(), preprocessing.to_bytes().unwrap());
    }

    /// What scaling promises of the rows that it was fitted on.
    #[test]
    fn minmax_stays_between_0_and_1_on_the_training_fold(batch in rows()) {
        let folder = tempfile::tempdir().unwrap();
        let preprocessing = fitted(&batch, PLANS[1], folder.path()).unwrap();
        for row in applied(&preprocessing, &[batch]).unwrap() {
            let scaled: f64 = row[1].parse().unwrap();
            prop_assert!((0.0..=1.0).contains(&scaled), "{scaled}");
        }
    }
}
