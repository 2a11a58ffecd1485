//! What was done is not done again, and comes out the same.

use std::{collections::BTreeSet, fs, path::PathBuf};

use serde_json::Value;

use crate::desk::Desk;

fn cached(desk: &Desk, result: &Value) -> BTreeSet<String> {
    let record = desk.record(result);
    let took = record["took"].as_object().unwrap().clone();
    took.into_iter().filter(|(_, took)| took["cached"] == true).map(|(step, _)| step).collect()
}

fn set(steps: &[&str]) -> BTreeSet<String> {
    steps.iter().map(|step| (*step).to_owned()).collect()
}

#[test]
fn a_changed_parameter_trains_again_and_reads_nothing_again() {
    let mut desk = Desk::new();
    desk.write("rows-1.csv", &Desk::rows(0, 600));
    let first = desk.run(&[]);
    assert_eq!(cached(&desk, &first), set(&[]));
    assert_eq!(cached(&desk, &desk.run(&[])), set(&["fetch", "split", "preprocess", "profile", "train", "predict", "evaluate"]));
    desk.params = "{depth: 7}".into();
    let second = desk.run(&[]);
    assert_ne!(first["run"], second["run"]);
    // The predictions come out the same, and what is measured is kept by them.
    assert_eq!(cached(&desk, &second), set(&["fetch", "split", "preprocess", "profile", "evaluate"]));
    desk.preprocess = "{score: [none], plan: [{vocabulary: 1}, onehot]}".into();
    assert_eq!(cached(&desk, &desk.run(&[])), set(&["fetch", "split", "profile", "evaluate"]));
}

#[test]
fn the_same_file_and_data_give_the_same_bytes_in_any_store() {
    let (one, other) = (Desk::new(), Desk::new());
    let results = [&one, &other].map(|desk| {
        desk.write("rows-1.csv", &Desk::rows(0, 1200));
        desk.run(&[])
    });
    // The addresses differ, as the folders do, and so do the keys; what was made from the same does not.
    let records = [(&one, &results[0]), (&other, &results[1])].map(|(desk, result)| desk.record(result));
    for what in ["artifacts", "metrics", "rows", "params"] {
        assert_eq!(records[0][what], records[1][what], "{what}");
    }
    for step in ["split", "preprocess", "profile", "train", "predict"] {
        assert_eq!(records[0]["steps"][step]["files"], records[1]["steps"][step]["files"], "{step}");
    }
    fs::remove_dir_all(one.path("store")).unwrap();
    let again = one.run(&[]);
    assert_eq!(again["run"], results[0]["run"]);
    let again = one.record(&again);
    assert_eq!(again["digest"], records[0]["digest"]);
    assert_ne!(again["took"], records[0]["took"]);
}

#[test]
fn rows_that_are_added_move_no_row() {
    let desk = Desk::new();
    desk.write("rows-2.csv", &Desk::rows(500, 1000));
    desk.run(&[]);
    let before = folds(&desk);
    desk.write("rows-1.csv", &Desk::rows(0, 500));
    desk.write("rows-3.csv", &Desk::rows(1000, 1100));
    desk.run(&[]);
    let after = folds(&desk);
    assert_eq!(after.iter().map(|(_, keys)| keys.len()).sum::<usize>(), 1100, "a key in two folds counts twice");
    before.iter().zip(&after).for_each(|((fold, before), (_, after))| assert!(before.is_subset(after), "{fold}"));
}

/// The keys of each fold, over everything that was ever kept.
fn folds(desk: &Desk) -> Vec<(&'static str, BTreeSet<String>)> {
    let kept = desk.kept("cache");
    let keys = |bytes: &[u8]| -> Vec<String> {
        String::from_utf8_lossy(bytes).lines().skip(1).map(|line| line.split(',').next().unwrap().to_owned()).collect()
    };
    let of = |fold| kept.iter().filter(|(path, _)| path.ends_with(fold)).flat_map(|(_, bytes)| keys(bytes)).collect();
    ["train.csv", "eval.csv", "test.csv"].map(|fold| (fold, of(fold))).to_vec()
}

#[test]
fn what_is_damaged_in_the_cache_is_made_again() {
    let desk = Desk::new();
    desk.write("rows-1.csv", &Desk::rows(0, 600));
    let first = desk.run(&[]);
    let damaged = ["rows.parquet", "train.csv", "model"];
    let kept: Vec<PathBuf> = desk.kept("cache").into_iter().map(|(path, _)| path).collect();
    for path in kept.iter().filter(|path| damaged.iter().any(|name| path.ends_with(name))) {
        let path = desk.path(path.to_str().unwrap());
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    }
    let second = desk.run(&[]);
    assert_eq!(first["model"], second["model"]);
    assert_eq!(desk.record(&first)["digest"], desk.record(&second)["digest"]);
    assert!(!cached(&desk, &second).contains("train"));
}

#[test]
fn two_runs_at_once_come_to_one_result() {
    let desk = Desk::new();
    desk.write("rows-1.csv", &Desk::rows(0, 1500));
    let file = desk.file();
    let both = [0, 1].map(|_| {
        let mut command = desk.command(&["run", file.to_str().unwrap(), "--json"]);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap()
    });
    let results = both.map(|child| {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    });
    for what in ["run", "model", "preprocessing", "profile", "metrics"] {
        assert_eq!(results[0][what], results[1][what], "{what}");
    }
}
