//! `compare`, `transform`, `count` and `get`.

use std::{fmt::Write, fs};

use serde_json::Value;

use crate::desk::{Desk, text};

fn good(desk: &Desk, arguments: &[&str]) -> String {
    let output = desk.command(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

fn bad(desk: &Desk, arguments: &[&str]) -> String {
    let output = desk.command(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", text(&output.stdout));
    text(&output.stderr)
}

/// A desk with a run, and the run's key.
fn ran() -> (Desk, String) {
    let mut desk = Desk::new();
    desk.preprocess = "{score: [{fill: median}, {scale: zscore}], plan: [{vocabulary: 2}, onehot]}".into();
    desk.write("rows-1.csv", &Desk::rows(0, 1000));
    let run = desk.run(&[])["run"].as_str().unwrap().to_owned();
    (desk, run)
}

#[test]
fn rows_are_transformed_at_serving_as_they_were_for_training() {
    let (desk, run) = ran();
    let preprocessing = format!("store/runs/{run}/preprocessing.json");
    let whole = good(&desk, &["transform", "--preprocessing", &preprocessing, "rows-1.csv"]);
    let kept = desk.kept("cache");
    let (_, unlabelled) = kept.iter().find(|(path, _)| path.ends_with("unlabelled.csv")).unwrap();
    let unlabelled = text(unlabelled);
    assert_eq!(whole.lines().next(), unlabelled.lines().next());
    assert_eq!(unlabelled.lines().next(), Some("id,score,plan=free,plan=gold,plan=?"));
    let lines: std::collections::BTreeSet<&str> = whole.lines().collect();
    assert_eq!(lines.len(), 1001);
    for line in unlabelled.lines() {
        assert!(lines.contains(line), "{line}");
    }
    // What serving has, it may have without a label, in another format and order, and with values that training never saw.
    desk.write("serve.jsonl", "{\"plan\":\"plutonium\",\"id\":7}\n{\"id\":8,\"score\":0.5,\"plan\":\"free\"}\n");
    let served = good(&desk, &["transform", "--preprocessing", &preprocessing, "serve.jsonl"]);
    assert!(served.lines().nth(1).unwrap().ends_with(",0,0,1"), "{served}");
    good(&desk, &["transform", "--preprocessing", &preprocessing, "rows-1.csv", "--labels", "-o", "out.parquet"]);
    assert!(fs::read(desk.path("out.parquet")).unwrap().starts_with(b"PAR1"));
    desk.write("less.csv", "id,score\n1,0.5\n");
    let said = bad(&desk, &["transform", "--preprocessing", &preprocessing, "less.csv"]);
    assert!(said.contains("less.csv, column `plan`"), "{said}");
}

#[test]
fn counts_of_files_add_up_and_are_the_same_in_every_format() {
    let (desk, run) = ran();
    let profile = format!("store/runs/{run}/profile.json");
    let count = |files: &[&str]| -> Value {
        let arguments: Vec<&str> = ["count", "--profile", &profile].iter().chain(files).copied().collect();
        serde_json::from_str(&good(&desk, &arguments)).unwrap()
    };
    desk.write("one.csv", &Desk::rows(0, 400));
    desk.write("two.csv", &Desk::rows(400, 1000));
    let whole = count(&["rows-1.csv"]);
    assert_eq!(whole["rows"], 1000);
    assert_eq!(count(&["two.csv", "one.csv"]), whole);
    let kept = desk.kept("cache");
    let (_, rows) = kept.iter().find(|(path, _)| path.ends_with("rows.parquet")).unwrap();
    fs::write(desk.path("rows.parquet"), rows).unwrap();
    assert_eq!(count(&["rows.parquet"]), whole);
    let lines = Desk::rows(0, 1000).lines().skip(1).fold(String::new(), |mut lines, line| {
        let cells: Vec<&str> = line.split(',').collect();
        writeln!(lines, "{{\"score\":{},\"plan\":\"{}\"}}", cells[2], cells[3]).unwrap();
        lines
    });
    desk.write("rows.jsonl", &lines);
    assert_eq!(count(&["rows.jsonl"]), whole);
    desk.write("odd.csv", "score,plan\n,\nNaN,plutonium\n");
    let odd = count(&["odd.csv"]);
    assert_eq!(odd["rows"], 2);
    desk.write("wrong.csv", "score,plan\nlots,free\n");
    let said = bad(&desk, &["count", "--profile", &profile, "wrong.csv"]);
    assert!(said.contains("count: ") && said.contains("wrong.csv, row 1, column `score`"), "{said}");
    desk.write("none.csv", "plan\nfree\n");
    let said = bad(&desk, &["count", "--profile", &profile, "none.csv"]);
    assert!(said.contains("none.csv, column `score`: there is no such column"), "{said}");
}

#[test]
fn a_profile_counts_its_own_training_fold_to_its_own_counts() {
    let (desk, run) = ran();
    let profile = format!("store/runs/{run}/profile.json");
    let kept = desk.kept("cache");
    let (_, train) = kept.iter().find(|(path, _)| path.ends_with("train.parquet")).unwrap();
    fs::write(desk.path("train.parquet"), train).unwrap();
    let counts: Value = serde_json::from_str(&good(&desk, &["count", "--profile", &profile, "train.parquet"])).unwrap();
    let profile: Value = serde_json::from_slice(&fs::read(desk.path(&profile)).unwrap()).unwrap();
    assert_eq!(counts["rows"], profile["rows"]);
    // The columns are in the order of their names: plan, prediction, score.
    let numbers = &counts["columns"][2]["numbers"]["slots"];
    assert_eq!(*numbers, profile["columns"]["score"]["numeric"]["histogram"]["counts"]);
}

/// The answers about the evaluated fold are the reference of what the model will answer; a file need not say any.
#[test]
fn answers_are_profiled_and_counted_where_a_file_has_them() {
    let (desk, run) = ran();
    let path = format!("store/runs/{run}/profile.json");
    let profile: Value = serde_json::from_slice(&fs::read(desk.path(&path)).unwrap()).unwrap();
    let of = |counts: &Value| counts.as_array().unwrap().iter().map(|count| count.as_u64().unwrap()).sum::<u64>();
    let kept = desk.kept(&format!("runs/{run}"));
    let (_, predictions) = kept.iter().find(|(path, _)| path.ends_with("predictions.csv")).unwrap();
    let answered = text(predictions).lines().count() as u64 - 1;
    assert_eq!(of(&profile["columns"]["prediction"]["numeric"]["histogram"]["counts"]), answered);
    assert!(answered > 0 && answered < profile["rows"].as_u64().unwrap());
    desk.write("with.csv", "score,plan,prediction\n0.5,free,0.25\n0.5,free,\n");
    desk.write("with.jsonl", "{\"score\":0.5,\"plan\":\"free\",\"prediction\":0.25}\n{\"score\":0.5,\"plan\":\"free\"}\n");
    desk.write("without.csv", "score,plan\n0.5,free\n0.5,free\n");
    desk.write("without.jsonl", "{\"score\":0.5,\"plan\":\"free\"}\n{\"score\":0.5,\"plan\":\"free\"}\n");
    for (file, wanted) in [("with.csv", (1, 1)), ("with.jsonl", (1, 1)), ("without.csv", (0, 0)), ("without.jsonl", (0, 0))] {
        let counts: Value = serde_json::from_str(&good(&desk, &["count", "--profile", &path, file])).unwrap();
        let prediction = &counts["columns"][1]["numbers"];
        let missing = prediction["missing"].as_u64().unwrap_or(0);
        assert_eq!(((of(&prediction["slots"]), missing), &counts["rows"]), (wanted, &2.into()), "{file}: {counts}");
    }
}

#[test]
fn a_file_of_the_store_is_given_out_only_as_it_was_kept() {
    let (desk, run) = ran();
    let path = format!("runs/{run}/model");
    let file = desk.file();
    let model = ["--model", file.to_str().unwrap()];
    assert!(good(&desk, &["get", &path, model[0], model[1]]).contains("depth"));
    assert!(good(&desk, &["get", &format!("runs/{run}/manifest.json"), model[0], model[1]]).contains("\"digest\""));
    fs::write(desk.path(&format!("store/{path}")), "something else").unwrap();
    assert!(bad(&desk, &["get", &path, model[0], model[1]]).contains("is damaged"));
    assert!(bad(&desk, &["get", "runs/none/model", model[0], model[1]]).contains("no such run"));
    assert!(bad(&desk, &["get", "cache/x", model[0], model[1]]).contains("--sha256"));
    assert!(bad(&desk, &["get", &path]).contains("SWITCHYARD_MODEL"));
}

#[test]
fn two_runs_stand_side_by_side_and_what_differs_is_marked() {
    let (mut desk, one) = ran();
    desk.params = "{depth: 7}".into();
    let other = desk.run(&[])["run"].as_str().unwrap().to_owned();
    let file = desk.file();
    let table = good(&desk, &["compare", &one, &other, "--model", file.to_str().unwrap()]);
    let marked =
        |name: &str| table.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("{table}")).starts_with('≠');
    assert!(marked("params.depth") && marked("step train"), "{table}");
    assert!(!marked("auc") && !marked("rows") && !marked("step fetch"), "{table}");
}
