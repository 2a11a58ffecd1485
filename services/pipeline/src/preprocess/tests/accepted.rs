//! What `model check` lets pass can be fitted and applied: every pair of transforms, and longer chains by chance, as the
//! default of each type on a column of that type, and named for a column of any type that it fits.

use std::{path::PathBuf, sync::OnceLock};

use proptest::prelude::*;
use switchyard_model::{Preprocess, Transform};
use tempfile::TempDir;

use super::{Field, Kind, applied, fields, fitted_on, plan, rows_of, stored};

const FILLS: [&str; 14] = [
    "min",
    "max",
    "mean",
    "median",
    "mode",
    "forward",
    "backward",
    "{value: 3}",
    "{value: 0.5}",
    "{value: true}",
    "{value: ''}",
    "{value: abc}",
    "{value: NaN}",
    "{value: inf}",
];

const OTHERS: [&str; 22] = [
    "{scale: minmax}",
    "{scale: zscore}",
    "{scale: max}",
    "{vocabulary: 2}",
    "{vocabulary: 5000}",
    "{hash: 3}",
    "{hash: 5000}",
    "onehot",
    "{onehot: {unknown: zero}}",
    "{onehot: {unknown: error}}",
    "{bucketize: 1}",
    "{bucketize: 4}",
    "{bucketize: 2000}",
    "{bucketize: 4000000000}",
    "{bucketize: [-1, 0, 10.5]}",
    "{ngrams: {n: 2, size: 9}}",
    "{ngrams: {n: 4000000000, size: 9}}",
    "{ngrams: {n: 1, size: 5000}}",
    "{tfidf: 3}",
    "{tfidf: 5000}",
    "none",
    "{fill: mode}",
];

fn palette() -> Vec<String> {
    FILLS.iter().map(|fill| format!("{{fill: {fill}}}")).chain(OTHERS.map(str::to_owned)).collect()
}

const TYPES: [(&str, Kind); 4] =
    [("float", Kind::Float), ("integer", Kind::Integer), ("string", Kind::String), ("boolean", Kind::Boolean)];

fn table() -> &'static (TempDir, PathBuf) {
    static TABLE: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    TABLE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train.parquet");
        stored(&rows_of(&(0..40).map(drawn).collect::<Vec<_>>()), &path);
        (folder, path)
    })
}

/// A row by its number: every column has missing values, and some more than once.
fn drawn(n: u8) -> (Option<f64>, Option<String>, Option<bool>, Option<i64>) {
    let there = |of: u8| n % of != 1;
    (
        there(5).then(|| f64::from(n % 9) * 1.5 - 4.0),
        there(4).then(|| ["gold bar", "?", "free", "Gold", ""][usize::from(n % 5)].to_owned()),
        there(3).then_some(n.is_multiple_of(2)),
        there(7).then(|| i64::from(n % 6) * 10),
    )
}

/// Fits and applies it to a column of that kind.
fn done(plan: &Preprocess, kind: Kind) -> Result<(), String> {
    let fields = fields();
    let field = fields.iter().skip(1).find(|field| field.kind == kind).unwrap();
    let (_, path) = table();
    let fitted = fitted_on(path, std::slice::from_ref(field), plan).map_err(|error| error.to_string())?;
    let rows = rows_of(&(0..40).map(drawn).collect::<Vec<_>>());
    match applied(&fitted, &[rows]) {
        // What is not kept is an error because the file says so.
        Err(error) if error.to_string().contains("`onehot` says unknown: error") => Ok(()),
        rows => rows.map(drop).map_err(|error| error.to_string()),
    }
}

/// The column of `kind` with a name that is another kind's, as a run reads it.
fn named(chain: &str) -> Result<(), String> {
    let Ok(plan) = plan(&format!("{{amount: [{chain}], plan: [{chain}], open: [{chain}], count: [{chain}]}}")) else {
        return Ok(());
    };
    let text = Transform::read_as_text(&plan.columns["amount"]);
    let kinds = TYPES.map(|(_, kind)| kind).into_iter().filter(|kind| !text || *kind == Kind::String);
    let errors: Vec<String> = kinds.map(|kind| done(&plan, kind)).map_while(Result::err).collect();
    let all = if text { 1 } else { TYPES.len() };
    if errors.len() == all { Err(format!("[{chain}] runs on no column: {errors:?}")) } else { Ok(()) }
}

fn runs(chain: &str) -> Result<usize, String> {
    let mut accepted = 0;
    for (name, kind) in TYPES {
        if let Ok(plan) = plan(&format!("{{defaults: {{{name}: [{chain}]}}}}")) {
            done(&plan, kind).map_err(|error| format!("{name}: [{chain}]: {error}"))?;
            accepted += 1;
        }
    }
    named(chain).map(|()| accepted)
}

#[test]
fn every_pair_of_transforms_that_passes_the_check_runs() {
    let (mut accepted, mut wrong) = (0, Vec::new());
    let palette = palette();
    let single = palette.iter().cloned();
    let pairs = palette.iter().flat_map(|one| palette.iter().map(move |other| format!("{one}, {other}")));
    for chain in single.chain(pairs) {
        match runs(&chain) {
            Ok(more) => accepted += more,
            Err(error) => wrong.push(error),
        }
    }
    assert_eq!(wrong, [""; 0]);
    assert!(accepted > 200, "{accepted} chains were accepted: too few to say anything");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn longer_chains_that_pass_the_check_run(chain in prop::collection::vec(prop::sample::select(palette()), 3..5)) {
        if let Err(error) = runs(&chain.join(", ")) {
            prop_assert!(false, "{}", error);
        }
    }
}

#[test]
fn no_column_is_made_twice() {
    let field = Field::new("plan", Kind::String);
    let plan = plan("{plan: [{vocabulary: 9}, onehot]}").unwrap();
    let (_, path) = table();
    let error = fitted_on(path, &[field.clone(), field.clone()], &plan).unwrap_err().to_string();
    assert!(error.contains("column `plan`: it becomes a column `plan=") && error.contains("rename it in the source"), "{error}");
    let fitted = fitted_on(path, std::slice::from_ref(&field), &plan).unwrap();
    let names: Vec<String> = fitted.features().into_iter().map(|field| field.name).collect();
    assert!(names.contains(&"plan=?".to_owned()) && names.contains(&"plan=??".to_owned()), "{names:?}");
}
