//! What a champion cannot be asked about: the run comes to a result, the gate says why the two cannot be compared, and the
//! champion's files stay as they are.

use std::{collections::BTreeMap, fmt::Write, fs};

use serde_json::Value;

use crate::desk::Desk;

/// Rows with one more column, `age`.
fn aged(from: u32, to: u32, age: impl Fn(u32) -> String) -> String {
    let rows = Desk::rows(from, to);
    rows.lines().zip(std::iter::once(None).chain((from..).map(Some))).fold(String::new(), |mut text, (line, id)| {
        let value = id.map_or_else(|| "age".to_owned(), &age);
        writeln!(text, "{line},{value}").unwrap();
        text
    })
}

/// A desk with a champion that looks at `age` too, and the champion's run.
fn desk() -> (Desk, String) {
    let mut desk = Desk::new();
    desk.write("rows-1.csv", &aged(0, 600, |id| (20 + id % 50).to_string()));
    desk.features = "[score, plan, age]".into();
    desk.preprocess =
        "{score: [{scale: minmax}], plan: [{vocabulary: 9}, {onehot: {unknown: error}}], age: [{fill: median}, {scale: zscore}]}"
            .into();
    let run = desk.run(&[])["run"].as_str().unwrap().to_owned();
    desk.features = "[score, plan]".into();
    desk.preprocess = "{score: [none], plan: [{vocabulary: 2}, onehot]}".into();
    (desk, run)
}

/// Every file of a run, by its name.
fn files(desk: &Desk, run: &str) -> BTreeMap<String, Vec<u8>> {
    let folder = fs::read_dir(desk.path(&format!("store/runs/{run}"))).unwrap();
    let named = |path: std::path::PathBuf| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap());
    folder.map(|entry| named(entry.unwrap().path())).collect()
}

/// Why the two were not compared.
fn incomparable(change: impl FnOnce(&mut Desk)) -> String {
    let (mut desk, champion) = desk();
    let before = files(&desk, &champion);
    change(&mut desk);
    let result = desk.run(&["--champion", &champion]);
    assert_eq!((&result["outcome"], &result["compared"]), (&Value::from("rejected"), &Value::Null), "{result}");
    assert!(result["metrics"]["auc"].is_number() && result.get("champion").is_none(), "{result}");
    assert_eq!(files(&desk, &champion), before, "the champion's files are what they were");
    result["gate"]["failed"][0].as_str().unwrap().to_owned()
}

#[test]
fn a_champion_whose_column_is_gone_cannot_be_compared() {
    let why = incomparable(|desk| desk.write("rows-1.csv", &Desk::rows(600, 1200)));
    assert!(
        why.starts_with("it cannot be compared with the champion: its preprocessing takes the column `age`: file://"),
        "{why}"
    );
    assert!(why.ends_with("rows-1.csv, column `age`: there is no such column; there are: id, at, score, plan, bought"), "{why}");
    // Of JSON lines, any may have it.
    let why = incomparable(|desk| {
        let line = |line: &str| {
            let cells: Vec<&str> = line.split(',').collect();
            let (id, at, score, plan, bought) = (cells[0], cells[1], cells[2], cells[3], cells[4]);
            format!("{{\"id\": {id}, \"at\": {at}, \"score\": {score}, \"plan\": \"{plan}\", \"bought\": {bought}}}\n")
        };
        desk.write("rows-1.jsonl", &Desk::rows(600, 1200).lines().skip(1).map(line).collect::<String>());
        desk.source = "rows-*.jsonl".into();
    });
    assert!(why.contains("column `age`: no row has a value in this column"), "{why}");
}

#[test]
fn a_champion_whose_column_holds_something_else_cannot_be_compared() {
    let with = |age: &'static str| {
        incomparable(move |desk| {
            desk.write("rows-1.csv", &aged(600, 1200, |id| if id == 700 { age.to_owned() } else { (id % 50).to_string() }));
        })
    };
    let why = with("lots");
    assert!(why.contains("rows-1.csv, row 101, column `age`: `lots` is not a number"), "{why}");
    let why = with("NaN");
    assert!(why.contains("rows-1.csv, row 101, column `age`: NaN is no number to learn from"), "{why}");
    let why = incomparable(|desk| desk.write("rows-1.csv", &aged(600, 1200, |id| (id % 2 == 0).to_string())));
    assert!(why.contains("column `age`: it held whole numbers, and holds true or false now"), "{why}");
}

#[test]
fn a_champion_that_does_not_know_a_category_cannot_be_compared() {
    let why = incomparable(|desk| {
        desk.write("rows-1.csv", &aged(600, 1200, |id| (id % 50).to_string()).replace(",gold,", ",platinum,"));
    });
    assert!(why.contains("row of key `") && why.contains("column `plan`") && why.contains("unknown: error"), "{why}");
}

#[test]
fn a_champion_of_another_label_cannot_be_compared() {
    let why = incomparable(|desk| {
        desk.write("rows-1.csv", &aged(600, 1200, |id| (id % 50).to_string()).replace("bought", "kept"));
        desk.label = "{column: kept, task: binary}".into();
    });
    assert_eq!(why, "it cannot be compared with the champion: it predicts `bought` (binary), and the candidate `kept` (binary)");
}

#[test]
fn a_champion_that_reads_numbers_is_asked_where_the_candidate_reads_them_as_text() {
    let (mut desk, champion) = desk();
    desk.write("rows-1.csv", &aged(600, 1200, |id| (id % 50).to_string()));
    desk.features = "[score, plan, age]".into();
    desk.preprocess = "{score: [none], plan: [{vocabulary: 2}, onehot], age: [{hash: 8}]}".into();
    let result = desk.run(&["--champion", &champion]);
    assert_eq!(result["compared"], champion.as_str());
    assert_eq!(result["champion"]["auc"], result["metrics"]["auc"], "both order rows by their score");
}
