//! A whole run.

use std::fs;

use serde_json::{Value, json};

use crate::desk::{Desk, text};

#[test]
fn a_run_by_hand_ends_with_a_verdict_a_folder_and_a_result() {
    let desk = Desk::new();
    desk.write("rows-1.csv", &Desk::rows(0, 2000));
    let result = desk.run(&[]);
    assert_eq!(result["outcome"], "passed", "{result}");
    assert!(result["metrics"]["auc"].as_f64().unwrap() > 0.7);
    let rows = &result["rows"];
    assert_eq!(rows["train"].as_u64().unwrap() + rows["eval"].as_u64().unwrap() + rows["test"].as_u64().unwrap(), 2000);
    let left: Value = serde_json::from_slice(&fs::read(desk.path("result.json")).unwrap()).unwrap();
    assert_eq!(left, result);
    let record = desk.record(&result);
    assert_eq!(record["params"], json!({"depth": 6}));
    for name in ["model", "preprocessing.json", "profile.json", "predictions.csv", "report.json"] {
        assert!(record["artifacts"][name]["sha256"].is_string(), "{name}");
    }
    let report = fs::read(desk.path(&format!("store/runs/{}/report.json", result["run"].as_str().unwrap()))).unwrap();
    let report: Value = serde_json::from_slice(&report).unwrap();
    assert!(report["candidate"]["slices"]["plan"]["gold"]["metrics"]["auc"].is_number());
}

#[test]
fn a_build_runs_what_the_trainer_asks_for() {
    let desk = Desk::new();
    desk.write("rows-1.csv", &Desk::rows(0, 600));
    let file = desk.file();
    let resolved = desk.command(&["manifest", file.to_str().unwrap()]).output().unwrap();
    assert!(resolved.status.success(), "{}", text(&resolved.stderr));
    let resolved: Value = serde_json::from_slice(&resolved.stdout).unwrap();
    assert_eq!((resolved["files"].as_u64(), resolved["bytes"].as_u64()), (Some(1), Some(Desk::rows(0, 600).len() as u64)));
    let asked = json!({"run": "abc", "manifest": {"path": resolved["path"], "sha256": resolved["sha256"]}});
    let canonical = switchyard_model::read(&fs::read_to_string(&file).unwrap()).unwrap().0.canonical();
    let mut build = desk.command(&["run"]);
    let output = build.env("SWITCHYARD_MODEL", canonical).env("SWITCHYARD_RUN", asked.to_string()).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let result: Value = serde_json::from_slice(&fs::read(desk.path("result.json")).unwrap()).unwrap();
    assert_eq!(result["run"], "abc");
    assert!(desk.path("store/runs/abc/model").is_file());
}

#[test]
fn a_candidate_that_does_not_reach_the_gate_is_rejected_and_that_is_a_result() {
    let mut desk = Desk::new();
    desk.write("rows-1.csv", &Desk::rows(0, 600));
    desk.evaluate = "{metrics: [auc], gate: {metric: auc, min: 0.999}}".into();
    let result = desk.run(&[]);
    assert_eq!(result["outcome"], "rejected");
    assert!(result["gate"]["failed"][0].as_str().unwrap().contains("less than 0.999"));
}

#[test]
fn the_champion_is_measured_on_the_candidates_rows_with_its_own_preprocessing() {
    let mut desk = Desk::new();
    desk.write("rows-1.csv", &Desk::rows(0, 900));
    let champion = desk.run(&[])["run"].as_str().unwrap().to_owned();
    desk.write("rows-2.csv", &Desk::rows(900, 1800));
    desk.params = "{depth: 7}".into();
    desk.preprocess = "{score: [{scale: minmax}], plan: [{hash: 3}, onehot]}".into();
    desk.evaluate = "{metrics: [auc], slices: [plan], gate: {metric: auc, gain: 0.1, maxSliceDrop: 0.2}}".into();
    let result = desk.run(&["--champion", &champion]);
    assert_eq!(result["compared"], champion.as_str());
    assert_eq!(result["champion"]["auc"], result["metrics"]["auc"], "both order rows by their score");
    assert_eq!(result["outcome"], "rejected");
    assert!(result["gate"]["failed"][0].as_str().unwrap().contains("better by 0"), "{result}");
}

#[test]
fn without_a_predict_command_training_predicts_and_no_champion_can_be_beaten() {
    let mut desk = Desk::new();
    desk.write("rows-1.csv", &Desk::rows(0, 600));
    let champion = desk.run(&[])["run"].as_str().unwrap().to_owned();
    desk.train = format!("{}; {}", desk.train, desk.predict.take().unwrap());
    assert_eq!(desk.run(&[])["outcome"], "passed");
    desk.evaluate = "{metrics: [auc], gate: {metric: auc, gain: 0}}".into();
    let result = desk.run(&["--champion", &champion]);
    assert!(result["gate"]["failed"][0].as_str().unwrap().contains("no `predict`"), "{result}");
}

#[test]
fn a_command_of_ones_own_measures_what_decides() {
    let mut desk = Desk::new();
    desk.write("rows-1.csv", &Desk::rows(0, 600));
    let script = r#"echo "{\"lines\": $(wc -l < "$SWITCHYARD_PREDICTIONS")}" > "$SWITCHYARD_METRICS""#;
    desk.evaluate =
        format!("{{metrics: [auc], custom: {{command: [/bin/sh, -ec, '{script}']}}, gate: {{metric: lines, min: 50}}}}");
    let result = desk.run(&[]);
    assert_eq!(result["metrics"]["lines"].to_string(), format!("{}.0", result["rows"]["test"].as_u64().unwrap() + 1));
}

#[test]
fn a_regression_and_several_classes_are_measured_too() {
    let mut desk = Desk::new();
    desk.write("rows-1.csv", &Desk::rows(0, 600));
    desk.label = "{column: score, task: regression}".into();
    desk.features = "[bought, plan]".into();
    desk.preprocess = "{bought: [none], plan: [{vocabulary: 2}, onehot]}".into();
    desk.evaluate = "{metrics: [rmse, mae, r2], gate: {metric: rmse, max: 1}}".into();
    assert_eq!(desk.run(&[])["outcome"], "passed");
    desk.label = "{column: plan, task: multiclass}".into();
    desk.features = "[score, bought]".into();
    desk.preprocess = "{score: [none], bought: [none]}".into();
    desk.predict = Some(r#"awk -F, 'NR == 1 { print "id,prediction,p_free,p_basic,p_gold" } NR > 1 { print $1 ",free,0.5,0.25,0.25" }' "$SWITCHYARD_TEST" > "$SWITCHYARD_PREDICTIONS""#.into());
    desk.evaluate = "{metrics: [accuracy, logloss, f1], gate: {metric: accuracy, min: 0.2}}".into();
    let result = desk.run(&[]);
    assert_eq!(result["outcome"], "passed", "{result}");
    assert!(result["metrics"]["logloss"].as_f64().unwrap() < 1.4);
}

#[test]
fn commands_are_given_parquet_where_they_want_it() {
    let mut desk = Desk::new();
    desk.write("rows-1.csv", &Desk::rows(0, 600));
    desk.format = ", format: parquet".into();
    desk.predict =
        Some("head -c 4 \"$SWITCHYARD_TEST\" | grep -q PAR1; cp \"$SWITCHYARD_MODEL_IN\" \"$SWITCHYARD_PREDICTIONS\"".into());
    let error = desk.fails();
    assert!(error.starts_with("evaluate: SWITCHYARD_PREDICTIONS: the predictions are not readable"), "{error}");
}

#[test]
fn the_code_at_a_commit_is_what_runs() {
    let mut desk = Desk::new();
    desk.write("rows-1.csv", &Desk::rows(0, 600));
    let repository = desk.path("code");
    fs::create_dir(&repository).unwrap();
    fs::write(
        repository.join("train.sh"),
        "cp \"$SWITCHYARD_PARAMS\" \"$SWITCHYARD_MODEL_OUT\"; pwd > where; test -f ./train.sh\n",
    )
    .unwrap();
    let git = |arguments: &[&str]| {
        let mut command = std::process::Command::new("git");
        let output = command
            .arg("-C")
            .arg(&repository)
            .args(["-c", "user.name=t", "-c", "user.email=t@t"])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).trim().to_owned()
    };
    git(&["init", "--quiet"]);
    git(&["add", "."]);
    git(&["commit", "--quiet", "-m", "c"]);
    let commit = git(&["rev-parse", "HEAD"]);
    desk.train = "sh train.sh".into();
    desk.format = format!(", code: {{repository: 'file://{}', commit: {commit}}}", repository.display());
    assert_eq!(desk.run(&[])["outcome"], "passed");
    desk.format = format!(", code: {{repository: 'file://{}', commit: {}}}", repository.display(), "1".repeat(40));
    let said = text(&desk.output(&[]).stderr);
    assert!(said.contains("code: ") && said.contains("cannot be fetched"), "{said}");
}
