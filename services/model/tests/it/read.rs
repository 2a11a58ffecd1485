//! What is written reaches its place, and what is not written has a default.

use std::collections::BTreeSet;

use switchyard_events::TimeLimit;
use switchyard_model::{
    Concurrency, Correction, Fill, Fold, InputFormat, Metric, Mode, Part, Scale, Size, Statistic, TableFormat, Task, Transform,
    Trigger, Unseen, Watched, read,
};

use crate::{LEAST, WHOLE};

#[test]
fn everything_that_is_written_reaches_its_place() {
    let (model, warnings) = read(WHOLE).unwrap();
    assert_eq!(warnings, []);
    assert_eq!((model.name.as_str(), model.store.secret.as_deref()), ("churn", Some("ml-rw")));
    let data = &model.data;
    assert_eq!((data.filter.as_deref(), data.event_time.as_deref()), (Some("plan != 'test'"), Some("ts")));
    assert_eq!((data.select.part, data.label.task), (Part::Tail(TimeLimit::minutes(90 * 24 * 60)), Task::Binary));
    assert_eq!(model.split.folds.0, [(Fold::Train, 0.7), (Fold::Eval, 0.15), (Fold::Test, 0.15)].into());
    let onehot = Transform::OneHot { unknown: Unseen::Bucket };
    assert_eq!(model.preprocess.columns["age"], [Transform::Fill(Fill::Median), Transform::Scale(Scale::Zscore)]);
    assert_eq!(model.preprocess.columns["plan"], [Transform::Vocabulary(100.try_into().unwrap()), onehot]);
    assert_eq!((model.train.params.0["depth"].clone(), model.seed()), (6.into(), 7));
    assert_eq!((model.train.cpu.as_deref(), model.train.timeout), (Some("8"), Some(TimeLimit::minutes(360))));
    assert_eq!((model.evaluated(), model.metrics()), (Fold::Test, vec![Metric::Auc, Metric::Logloss]));
    let gate = model.gate();
    assert_eq!((gate.min, gate.gain, gate.max_slice_drop), (Some(0.8), Some(0.002), Some(0.01)));
    let monitor = model.monitor.as_ref().unwrap();
    assert_eq!((monitor.input.format, monitor.window.size), (InputFormat::KserveV2, Size::Every(TimeLimit::minutes(60))));
    assert_eq!((monitor.test.correction, monitor.raise.of.get()), (Correction::Bh, 3));
    assert_eq!(monitor.watched("age", true), Watched::Over { statistic: Statistic::Ks, threshold: 0.1 });
    let policy = &model.policy;
    assert_eq!((policy.mode, policy.concurrency, policy.warmup), (Mode::Auto, Concurrency::Skip, 10));
    assert!(
        matches!(&policy.triggers, Trigger::Any(any) if matches!(any[..], [Trigger::Drift, Trigger::NewRows(_), Trigger::Cron(_)]))
    );
    assert_eq!(policy.budget.unwrap().pod_hours, Some(40.0));
    assert_eq!(model.columns(), ["customer_id", "ts", "churned", "age", "plan"]);
}

#[test]
fn what_is_not_written_has_a_default() {
    let (model, _) = read(LEAST).unwrap();
    assert_eq!((model.data.select.part, model.train.format, model.seed()), (Part::All, TableFormat::Csv, 0));
    assert_eq!((model.gate().metric.as_str(), model.gate().gain), ("auc", Some(0.0)));
    assert_eq!((model.evaluated(), model.monitor.is_none()), (Fold::Test, true));
    assert_eq!((model.policy.mode, &model.policy.triggers), (Mode::Suggest, &Trigger::Any(Vec::new())));
    let folds: BTreeSet<_> = model.split.names();
    assert_eq!(folds, [Fold::Train, Fold::Eval, Fold::Test].into());
    let monitored = format!("{LEAST}monitor: {{}}\n");
    let monitor = read(&monitored).unwrap().0.monitor.unwrap();
    assert_eq!(monitor.watched("plan", false), Watched::Over { statistic: Statistic::Js, threshold: 0.1 });
    assert_eq!((monitor.min_samples.get(), monitor.raise.windows.get(), monitor.reference.bins.get()), (500, 2, 1024));
}

#[test]
fn a_tag_and_no_predict_command_are_worth_a_second_look() {
    let warnings: Vec<_> = read(LEAST).unwrap().1.into_iter().map(|warning| warning.path).collect();
    assert_eq!(warnings, ["train.image", "train"]);
}

#[test]
fn folds_come_by_category_by_index_and_by_both() {
    let by = |split: &str| read(&format!("{LEAST}split: {split}\n")).map(|(model, _)| model.split.names().len());
    assert_eq!(by("{by: {category: {column: plan, folds: {a: train, b: eval}, unknown: train}}}").unwrap(), 2);
    assert_eq!(by("{by: {category: {column: plan}}, folds: {train: 0.8, eval: 0.2}}").unwrap(), 2);
    assert_eq!(by("{by: {index: {column: age}}, folds: {train: 1}}").unwrap(), 1);
    let hybrid = "{by: {hybrid: {category: {column: plan, folds: {x: test}}, index: {column: age}}}}";
    assert_eq!(by(hybrid).unwrap(), 3);
}

#[test]
fn the_schema_holds_for_the_triggers_that_hold_triggers() {
    let schema = switchyard_model::schema();
    assert_eq!(schema["properties"]["policy"]["properties"]["triggers"]["$ref"], "#/$defs/trigger");
    assert_eq!(schema["required"], serde_json::json!(["version", "model", "store", "data", "train"]));
    assert_eq!(schema["$defs"]["trigger"]["anyOf"][2]["properties"]["all"]["items"]["$ref"], "#/$defs/trigger");
    assert!(schema["properties"]["train"]["properties"]["image"]["description"].as_str().unwrap().contains("digest"));
}
