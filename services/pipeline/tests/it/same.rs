//! The same rows give the same bytes, however they are laid out in files, and wherever they are worked on.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    fs::{self, File},
    sync::Arc,
};

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use parquet::{arrow::ArrowWriter, file::properties::WriterProperties};
use serde_json::Value;

use crate::desk::{Desk, text};

/// More than two batches, and not a whole number of them.
const ROWS: u32 = 20_011;

/// What is made of rows, but not the files of rows themselves.
const MADE: [&str; 5] = ["train.csv", "eval.csv", "test.csv", "preprocessing.json", "profile.json"];

/// Lays the rows out in files of a desk.
type Lay<'a> = &'a dyn Fn(&Desk);

fn desk() -> Desk {
    let mut desk = Desk::new();
    desk.preprocess = "{score: [{fill: mean}, {scale: zscore}], plan: [{ngrams: {n: 2, size: 9}}, {tfidf: 9}]}".into();
    desk.evaluate = "{metrics: [auc], gate: {metric: auc, min: 0}}".into();
    desk
}

fn made(desk: &Desk) -> BTreeMap<&'static str, Vec<u8>> {
    let kept = desk.kept("cache");
    let of = |name| kept.iter().find(|(path, _)| path.ends_with(name)).unwrap().1.clone();
    MADE.map(|name| (name, of(name))).into()
}

/// The values of `rows`, column by column.
fn columns(rows: &str) -> Vec<Vec<&str>> {
    let lines: Vec<Vec<&str>> = rows.lines().skip(1).map(|line| line.split(',').collect()).collect();
    (0..5).map(|at| lines.iter().map(|line| line[at]).collect()).collect()
}

fn as_parquet(desk: &Desk, name: &str, rows: &str, group: usize) {
    let columns = columns(rows);
    let whole =
        |at: usize| -> ArrayRef { Arc::new(Int64Array::from_iter_values(columns[at].iter().map(|text| text.parse().unwrap()))) };
    let score: ArrayRef = Arc::new(Float64Array::from_iter_values(columns[2].iter().map(|text| text.parse().unwrap())));
    let plan: ArrayRef = Arc::new(StringArray::from_iter_values(&columns[3]));
    let all = [("id", whole(0)), ("at", whole(1)), ("score", score), ("plan", plan), ("bought", whole(4))];
    let batch = RecordBatch::try_from_iter(all).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(group)).build();
    let mut writer = ArrowWriter::try_new(File::create(desk.path(name)).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn as_lines(rows: &str) -> String {
    let columns = columns(rows);
    (0..columns[0].len()).fold(String::new(), |mut text, n| {
        let [id, at, score, plan, bought] = [0, 1, 2, 3, 4].map(|at| columns[at][n]);
        writeln!(text, r#"{{"plan":"{plan}","bought":{bought},"id":{id},"at":{at},"score":{score}}}"#).unwrap();
        text
    })
}

#[test]
fn how_rows_are_laid_out_in_files_changes_nothing_that_is_made_of_them() {
    let whole = Desk::rows(0, ROWS);
    let one = desk();
    one.write("rows-1.csv", &whole);
    one.run(&[]);
    let wanted = made(&one);
    let layouts: [(&str, Lay<'_>); 5] = [
        ("rows-*.csv", &|desk| {
            // The last file is written first: folders list in any order.
            for (name, from, to) in [("rows-3.csv", 8193, ROWS), ("rows-2.csv", 1, 8193), ("rows-1.csv", 0, 1)] {
                desk.write(name, &Desk::rows(from, to));
            }
        }),
        ("one.parquet", &|desk| as_parquet(desk, "one.parquet", &whole, 1 << 20)),
        ("small.parquet", &|desk| as_parquet(desk, "small.parquet", &whole, 777)),
        ("some-*.parquet", &|desk| {
            as_parquet(desk, "some-2.parquet", &Desk::rows(5000, ROWS), 10_000);
            as_parquet(desk, "some-1.parquet", &Desk::rows(0, 5000), 3);
        }),
        ("rows.jsonl", &|desk| desk.write("rows.jsonl", &as_lines(&whole))),
    ];
    for (source, lay) in layouts {
        let mut desk = desk();
        lay(&desk);
        desk.source = source.into();
        desk.run(&[]);
        for (name, bytes) in made(&desk) {
            assert!(bytes == wanted[name], "{name} of {source} is another");
        }
    }
}

#[test]
fn a_row_keeps_its_fold_in_any_order_of_rows() {
    let folds = |desk: &Desk| {
        let made = made(desk);
        ["train.csv", "eval.csv", "test.csv"].map(|fold| {
            text(&made[fold]).lines().skip(1).map(|line| line.split(',').next().unwrap().to_owned()).collect::<BTreeSet<_>>()
        })
    };
    let (one, other) = (desk(), desk());
    one.write("rows-1.csv", &Desk::rows(0, 900));
    one.run(&[]);
    other.write("rows-a.csv", &Desk::rows(600, 900));
    other.write("rows-b.csv", &Desk::rows(0, 600));
    other.run(&[]);
    assert_eq!(folds(&one), folds(&other));
}

#[test]
fn two_working_folders_and_scratch_folders_give_the_same_digests() {
    let desk = desk();
    desk.write("rows-1.csv", &Desk::rows(0, 900));
    let file = desk.file();
    let ran = |place: &str| {
        let (work, scratch) = (desk.path(&format!("{place}/work")), desk.path(&format!("{place}/scratch")));
        fs::create_dir_all(&work).unwrap();
        fs::create_dir_all(&scratch).unwrap();
        let mut command = desk.command(&["run", file.to_str().unwrap(), "--json"]);
        let output = command.current_dir(&work).env("TMPDIR", &scratch).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let record = desk.record(&serde_json::from_slice::<Value>(&output.stdout).unwrap());
        let made = made(&desk);
        fs::remove_dir_all(desk.path("store")).unwrap();
        (record["digest"].clone(), record["data"].clone(), record["steps"].clone(), made)
    };
    assert!(ran("here") == ran("there"));
}
