//! Data and commands that cannot be used: each with an error that names step, file, row or column, and without touching the champion.

use std::fmt::Write;

use crate::desk::{Desk, TRAIN};

/// The error of a run over these rows that would follow a champion.
fn error(rows: &str, change: impl FnOnce(&mut Desk)) -> String {
    let mut desk = Desk::new();
    desk.write("rows-1.csv", &Desk::rows(0, 200));
    desk.run(&[]);
    desk.write("rows-1.csv", rows);
    change(&mut desk);
    desk.fails()
}

fn rows_with(row: &str) -> String {
    format!("{}{row}\n{}", Desk::rows(0, 300), Desk::rows(301, 400).split_once('\n').unwrap().1)
}

fn has(error: &str, parts: &[&str]) {
    for part in parts {
        assert!(error.contains(part), "no {part:?} in: {error}");
    }
}

#[test]
fn a_value_of_another_kind_names_file_row_and_column() {
    let error = error(&rows_with("300,1767300000,lots,free,1"), |_| {});
    has(&error, &["fetch: ", "rows-1.csv, row 301, column `score`", "`lots` is not a number"]);
}

#[test]
fn keys_may_look_like_numbers_and_not_be() {
    let mut desk = Desk::new();
    desk.write("rows-1.csv", &rows_with("X300,1767300000,0.5,free,1"));
    desk.data = ", where: 'id != \"7\"'".into();
    assert_eq!(desk.run(&[])["outcome"], "passed");
}

#[test]
fn a_column_that_is_not_there_names_the_file_and_what_is_there() {
    let error = error(&Desk::rows(0, 300), |desk| desk.features = "[score, plan, age]".into());
    has(&error, &["fetch: ", "rows-1.csv, column `age`", "there are: id, at, score, plan, bought"]);
}

#[test]
fn numbers_that_are_none_are_refused_with_their_row() {
    for (text, shown) in [("NaN", "NaN"), ("inf", "inf"), ("-inf", "-inf")] {
        let error = error(&rows_with(&format!("300,1767300000,{text},free,1")), |_| {});
        has(&error, &["fetch: ", "row 301, column `score`", shown, "exclude the row with `where`"]);
    }
    let mut desk = Desk::new();
    desk.write("rows-1.csv", &rows_with("300,1767300000,NaN,free,1"));
    desk.data = ", where: 'score == score'".into();
    assert_eq!(desk.run(&[])["outcome"], "passed");
}

#[test]
fn a_row_without_key_label_or_time_is_refused() {
    has(&error(&rows_with(",1767300000,0.5,free,1"), |_| {}), &["row 301, column `id`", "no value"]);
    has(&error(&rows_with("300,1767300000,0.5,free,"), |_| {}), &["row 301, column `bought`", "no value"]);
    has(&error(&rows_with("300,,0.5,free,1"), |_| {}), &["row 301, column `at`", "no value"]);
}

#[test]
fn a_row_with_too_few_values_is_refused() {
    has(&error(&rows_with("300,1767300000"), |_| {}), &["fetch: ", "row 301", "not readable as CSV"]);
}

#[test]
fn ten_thousand_categories_are_too_many_columns_and_fit_into_a_vocabulary() {
    let mut rows = "id,at,score,plan,bought\n".to_owned();
    for id in 0..20_000 {
        writeln!(rows, "{id},{},0.{:03},plan {},{}", 1_767_225_600 + id, id % 1000, id % 10_000, u8::from(id % 1000 > 500))
            .unwrap();
    }
    let mut desk = Desk::new();
    desk.write("rows-1.csv", &rows);
    desk.evaluate = "{metrics: [auc]}".into();
    desk.preprocess = "{score: [none], plan: [{vocabulary: 5000}, onehot]}".into();
    has(&desk.fails(), &["model.yaml", "preprocess.plan: [1] onehot", "5000 columns, and 1000 are the most"]);
    desk.preprocess = "{score: [none], plan: [{vocabulary: 1000}, onehot]}".into();
    assert_eq!(desk.run(&[])["outcome"], "passed");
}

#[test]
fn slices_of_thousands_of_values_are_refused() {
    let mut rows = "id,at,score,plan,bought\n".to_owned();
    for id in 0..9000 {
        writeln!(rows, "{id},{},0.{:03},plan {id},{}", 1_767_225_600 + id, id % 1000, u8::from(id % 1000 > 500)).unwrap();
    }
    has(
        &error(&rows, |desk| desk.preprocess = "{score: [none], plan: [{hash: 10}]}".into()),
        &["evaluate: ", "column `plan`", "1000 values"],
    );
}

#[test]
fn no_rows_and_folds_of_one_row_are_refused() {
    has(&error("id,at,score,plan,bought\n", |_| {}), &["fetch: ", "no row has a value"]);
    has(&error(&Desk::rows(0, 300), |desk| desk.data = ", where: 'score > 5.0'".into()), &["fetch: ", "no row is left of 300"]);
    has(&error(&Desk::rows(0, 6), |_| {}), &["split: ", "the fold has ", "2 are the least"]);
    has(&error("", |_| {}), &["fetch: ", "rows-1.csv"]);
}

#[test]
fn a_source_without_files_is_refused() {
    let desk = Desk::new();
    has(&desk.fails(), &["manifest: ", "rows-*.csv", "no such file"]);
}

#[test]
fn a_feature_that_equals_the_label_leaks_it() {
    let rows = Desk::rows(0, 300).lines().enumerate().fold(String::new(), |mut text, (at, line)| {
        let copied = if at == 0 { "copy" } else { line.rsplit(',').next().unwrap() };
        writeln!(text, "{line},{copied}").unwrap();
        text
    });
    let error = error(&rows, |desk| {
        desk.features = "[score, plan, copy]".into();
        desk.preprocess = "{score: [none], plan: [{vocabulary: 2}, onehot], copy: [none]}".into();
    });
    has(&error, &["preprocess: ", "column `copy`", "same as the label `bought` in every row"]);
}

#[test]
fn a_label_of_one_class_or_of_many_is_refused() {
    let one = Desk::rows(0, 300).replace(",1\n", ",0\n");
    has(&error(&one, |_| {}), &["preprocess: ", "column `bought`", "same label"]);
    has(
        &error(&Desk::rows(0, 300), |desk| {
            desk.label = "{column: plan, task: binary}".into();
            desk.features = "[score]".into();
            desk.preprocess = "{score: [none]}".into();
            desk.evaluate = "{metrics: [auc]}".into();
        }),
        &["preprocess: ", "column `plan`", "more than 2 classes"],
    );
}

#[test]
fn a_step_that_does_not_fit_its_column_names_both() {
    has(
        &error(&Desk::rows(0, 300), |desk| desk.preprocess = "{plan: [{scale: zscore}]}".into()),
        &["preprocess: ", "column `plan`", "scale: needs numbers"],
    );
}

#[test]
fn an_unseen_category_is_an_error_where_that_is_asked_for() {
    let rows = format!("{}{}", Desk::rows(0, 300), "3,1767300000,0.5,plutonium,1\n");
    // Row 3 is evaluated: its fold depends on its key alone.
    let mut desk = Desk::new();
    desk.write("rows-1.csv", &rows.replacen("\n3,", "\n4,", 1));
    desk.preprocess = "{score: [none], plan: [{vocabulary: 3}, {onehot: {unknown: error}}]}".into();
    let rows: Vec<String> = (0..300).map(|key| format!("{key},1767300000,0.5,plutonium {key},1\n")).collect();
    desk.write("rows-2.csv", &format!("id,at,score,plan,bought\n{}", rows.concat()));
    has(&desk.fails(), &["preprocess: ", "row of key `", "column `plan`", "unknown: error"]);
}

#[test]
fn commands_that_fail_or_write_nothing_name_their_step() {
    has(&error(&Desk::rows(0, 300), |desk| desk.train = "echo no >&2; exit 3".into()), &["train: ", "exit code 3"]);
    has(&error(&Desk::rows(0, 300), |desk| desk.train = "true".into()), &["train: SWITCHYARD_MODEL_OUT", "wrote no model"]);
    has(&error(&Desk::rows(0, 300), |desk| desk.train = ": > \"$SWITCHYARD_MODEL_OUT\"".into()), &["train: ", "empty file"]);
    has(&error(&Desk::rows(0, 300), |desk| desk.train = "mkdir \"$SWITCHYARD_MODEL_OUT\"".into()), &["train: ", "is a folder"]);
    has(&error(&Desk::rows(0, 300), |desk| desk.train = "kill -9 $$".into()), &["train: ", "signal 9"]);
    has(&error(&Desk::rows(0, 300), |desk| desk.predict = Some("exit 4".into())), &["predict: ", "exit code 4"]);
}

#[test]
fn a_command_that_hangs_is_stopped_at_the_limit() {
    let error = error(&Desk::rows(0, 300), |desk| {
        desk.train = format!("{TRAIN}; sleep 600 & sleep 600");
        desk.timeout = "2s".into();
    });
    has(&error, &["train: ", "took longer than", "train.timeout"]);
}

#[test]
fn garbage_short_long_and_foreign_predictions_are_refused_with_their_row() {
    let predicted = |script: &str| {
        let script = script.to_owned();
        error(&Desk::rows(0, 300), move |desk| desk.predict = Some(script))
    };
    let awk = |program: &str| predicted(&format!("awk -F, '{program}' \"$SWITCHYARD_TEST\" > \"$SWITCHYARD_PREDICTIONS\""));
    let head = r#"NR == 1 { print "id,prediction" } "#;
    has(&predicted("head -c 3000 /dev/urandom > \"$SWITCHYARD_PREDICTIONS\""), &["evaluate: SWITCHYARD_PREDICTIONS"]);
    has(&predicted("echo hello > \"$SWITCHYARD_PREDICTIONS\""), &["evaluate: ", "column `id`", "no such column"]);
    has(&awk(&format!("{head} NR > 1 && NR < 20 {{ print $1 \",0.5\" }}")), &["evaluate: ", "there are 18 predictions"]);
    has(
        &awk(&format!("{head} NR > 1 {{ print $1 \",0.5\" }} END {{ print \"7,0.5\" }}")),
        &["evaluate: ", "more predictions than rows"],
    );
    has(&awk(&format!("{head} NR > 1 {{ print $1 + 1 \",0.5\" }}")), &["evaluate: ", "row 1, column `id`", "in its order"]);
    has(
        &awk(&format!("{head} NR > 1 {{ print $1 \",1.5\" }}")),
        &["evaluate: ", "row 1, column `prediction`", "between 0 and 1"],
    );
    has(&awk(&format!("{head} NR > 1 {{ print $1 \",nan\" }}")), &["evaluate: ", "row 1, column `prediction`", "NaN"]);
    has(&awk(&format!("{head} NR > 1 {{ print $1 \",\" }}")), &["evaluate: ", "row 1, column `prediction`", "no prediction"]);
    has(&awk(&format!("{head} NR > 1 {{ print $1 \",yes\" }}")), &["evaluate: ", "row 1, column `prediction`", "`yes`"]);
}

#[test]
fn a_failed_run_leaves_its_reason_where_the_build_is_read() {
    let mut desk = Desk::new();
    desk.write("rows-1.csv", &Desk::rows(0, 300));
    desk.train = "exit 3".into();
    desk.fails();
    let left = std::fs::read_to_string(desk.path("result.json")).unwrap();
    assert!(left.contains("\"error\":\"train: ") && left.len() <= 4096, "{left}");
}
