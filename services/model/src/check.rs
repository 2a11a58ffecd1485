//! What no key alone can say: columns with something behind them, shares that add up, limits that can be met.

mod address;
mod columns;
mod filter;
mod monitor;
mod transforms;

use std::collections::BTreeSet;

use switchyard_events::{BuildSpec, InvalidBuild, TimeLimit};
use switchyard_file::Desk;

use crate::{By, Fold, Model, Part, Train};

/// Tells everything in which the parts of a model contradict each other.
pub(crate) fn check(model: &Model, desk: &mut Desk<'_>) {
    check_name(&model.name, desk);
    address::check(model, desk);
    columns::check(model, desk);
    filter::check(model, desk);
    check_select(model, desk);
    check_split(model, desk);
    transforms::check(model, desk);
    check_train(model, desk);
    check_evaluate(model, desk);
    monitor::check(model, desk);
}

fn check_name(name: &str, desk: &mut Desk<'_>) {
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let token = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if name.len() > 40 || !token || !edge(name.bytes().next()) || !edge(name.bytes().last()) {
        desk.add(&["model"], "a name is 1 to 40 of a-z, 0-9 and -, and begins and ends with a letter or digit");
    }
}

fn check_select(model: &Model, desk: &mut Desk<'_>) {
    match model.data.select.part {
        Part::Mix { new, rest } => {
            if !(0.0..=1.0).contains(&new) || !(0.0..=1.0).contains(&rest) || (new + rest - 1.0).abs() > NEAR {
                desk.add(&["data", "select", "mix"], "the shares new and rest must be from 0 to 1 and add up to 1");
            }
        }
        Part::Tail(tail) if tail == TimeLimit::ZERO => desk.add(&["data", "select", "tail"], "must be more than 0"),
        Part::All | Part::New | Part::Tail(_) => {}
    }
    if model.data.select.part != Part::All && model.data.event_time.is_none() {
        desk.add(&["data", "select"], "rows have no time: name the column under data.eventTime, or select all");
    }
}

/// Shares are written with few digits; what adds up to 1 up to this is meant to.
const NEAR: f64 = 1e-9;

const FOLD_SETS: &str = "the folds must be train; train and eval; or train, eval and test";

fn check_split(model: &Model, desk: &mut Desk<'_>) {
    let split = &model.split;
    let mapped = matches!(&split.by, By::Category(category) if !category.folds.is_empty());
    if mapped {
        if desk.find(&["split", "folds"]).is_some_and(|_| split.folds != crate::Folds::default()) {
            desk.add(
                &["split", "folds"],
                "has no effect where split.by.category.folds gives each value its fold: keep one of them",
            );
        }
    } else {
        check_shares(model, desk);
    }
    if !is_fold_set(&split.names()) {
        desk.add(if mapped { &["split", "by", "category", "folds"] } else { &["split", "folds"] }, FOLD_SETS);
    }
    if let By::Hybrid { category, .. } = &split.by {
        for fold in category.names().difference(&split.names()) {
            let rule = format!("there is no fold {fold} in split.folds: the names must be the same everywhere");
            desk.add(&["split", "by", "hybrid", "category", "folds"], rule);
        }
    }
}

fn check_shares(model: &Model, desk: &mut Desk<'_>) {
    let shares = &model.split.folds.0;
    for (fold, share) in shares.iter().filter(|(_, share)| **share <= 0.0 || **share > 1.0) {
        desk.add(&["split", "folds", fold.word()], format!("the share {share} must be more than 0 and at most 1"));
    }
    let sum: f64 = shares.values().sum();
    if (sum - 1.0).abs() > NEAR {
        let shown = (sum * 1e9).round() / 1e9;
        desk.add(&["split", "folds"], format!("the shares add up to {shown}: they must add up to 1"));
    }
}

fn is_fold_set(names: &BTreeSet<Fold>) -> bool {
    [&[Fold::Train][..], &[Fold::Train, Fold::Eval], &[Fold::Train, Fold::Eval, Fold::Test]]
        .iter()
        .any(|set| names.iter().eq(set.iter()))
}

fn check_train(model: &Model, desk: &mut Desk<'_>) {
    let train = &model.train;
    let custom = model.evaluate.custom.as_ref().map(|custom| &custom.command);
    for (keys, command) in [
        (&["train", "command"][..], Some(&train.command)),
        (&["predict", "command"], model.predict.as_ref().map(|predict| &predict.command)),
        (&["evaluate", "custom", "command"], custom),
    ] {
        if command.is_some_and(|command| command.first().is_none_or(String::is_empty)) {
            desk.add(keys, "a program is expected, and its arguments: [python3, train.py]");
        }
    }
    check_build(train, desk);
    if !train.image.contains("@sha256:") {
        desk.warn(&["train", "image"], "a tag can be moved: name the image by its digest, and a run can be repeated");
    }
    if let Some(code) = &train.code
        && !(code.commit.len() >= 40 && code.commit.bytes().all(|byte| byte.is_ascii_hexdigit()))
    {
        desk.add(&["train", "code", "commit"], "must be a whole commit, 40 or 64 hexadecimal digits: branches move");
    }
    if train.timeout == Some(TimeLimit::ZERO) {
        desk.add(&["train", "timeout"], "must be more than 0");
    }
    for name in train.params.0.keys().filter(|name| is_secret(name)) {
        desk.warn(&["train", "params", name], "looks like a secret: what stands here is kept and shown; name a Secret instead");
    }
}

/// What a run asks its executor for, by the rules of builds.
fn check_build(train: &Train, desk: &mut Desk<'_>) {
    let asked = |image: &str, cpu: &Option<String>, ram: &Option<String>| BuildSpec {
        image: image.to_owned(),
        cpu: cpu.clone(),
        ram: ram.clone(),
        ..BuildSpec::default()
    };
    for build in [asked(&train.image, &None, &None), asked("i", &train.cpu, &None), asked("i", &None, &train.ram)] {
        if let Err(InvalidBuild { path, rule }) = build.checked() {
            desk.add(&["train", path.as_str()], rule);
        }
    }
}

fn is_secret(name: &str) -> bool {
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    ["password", "passwd", "secret", "apikey", "accesskey", "secretkey", "secretaccesskey", "token", "credentials"]
        .contains(&name.as_str())
}

fn check_evaluate(model: &Model, desk: &mut Desk<'_>) {
    let (evaluate, task) = (&model.evaluate, model.data.label.task);
    if !model.split.names().contains(&model.evaluated()) {
        let rule = format!("there is no fold {}: name one of split.folds", model.evaluated());
        desk.add(&["evaluate", "fold"], rule);
    } else if model.evaluated() == Fold::Train {
        desk.warn(&["evaluate"], "candidates are measured on what they are trained on: give split.folds an eval or a test");
    }
    for metric in evaluate.metrics.iter().filter(|metric| !metric.fits(task)) {
        let fitting = crate::Metric::of(task).iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        desk.add(&["evaluate", "metrics"], format!("{metric} says nothing about a {task} task: use {fitting}"));
    }
    let gate = model.gate();
    let known: Vec<String> = model.metrics().iter().map(ToString::to_string).collect();
    if evaluate.custom.is_none() && !known.contains(&gate.metric) {
        let rule = switchyard_file::no_such("metric", &gate.metric, &known, " in evaluate.metrics");
        desk.add(&["evaluate", "gate", "metric"], rule);
    }
    if gate.min.zip(gate.max).is_some_and(|(min, max)| min > max) {
        desk.add(&["evaluate", "gate", "min"], "nothing is at least min and at most max: min must not be greater");
    }
    if gate.max_slice_drop.is_some_and(|drop| drop < 0.0) {
        desk.add(&["evaluate", "gate", "maxSliceDrop"], "must be 0 or more");
    }
    if gate.max_slice_drop.is_some() && evaluate.slices.is_empty() {
        desk.add(&["evaluate", "gate", "maxSliceDrop"], "there are no slices: name features under evaluate.slices");
    }
    if model.predict.is_none() {
        let rule = "without a predict command a champion cannot be measured on a candidate's rows, and none can take its place";
        desk.warn(&["train"], rule);
    }
}
