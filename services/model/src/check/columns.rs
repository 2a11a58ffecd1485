//! Columns: each that is named exists, and none that is seen gives the answer away.

use switchyard_file::{Desk, no_such};

use crate::{Model, PREDICTION};

pub(super) fn check(model: &Model, desk: &mut Desk<'_>) {
    let (data, features) = (&model.data, &model.data.features);
    if features.is_empty() {
        desk.add(&["data", "features"], "name the columns that the model sees: [age, plan]");
    }
    for (n, feature) in features.iter().enumerate() {
        if features[..n].contains(feature) {
            desk.add(&["data", "features"], format!("{feature:?} is named twice"));
        }
    }
    if features.contains(&data.label.column) {
        let rule = format!("{:?} is the label: a model that sees it learns nothing else; take it out", data.label.column);
        desk.add(&["data", "features"], rule);
    }
    if features.contains(&data.key) {
        let rule = format!("{:?} identifies the row: a model that sees it learns rows by heart; take it out", data.key);
        desk.add(&["data", "features"], rule);
    }
    if features.iter().any(|feature| feature == PREDICTION) {
        desk.add(&["data", "features"], "\"prediction\" is what the model's answers are called: rename the column in the source");
    }
    if data.key == PREDICTION {
        desk.add(&["data", "key"], "is what commands write their predictions under: rename the column in the source");
    }
    if data.key == data.label.column {
        desk.add(&["data", "key"], "is the label: name the column that identifies a row");
    }
    if data.event_time.as_ref() == Some(&data.label.column) {
        desk.add(&["data", "eventTime"], "is the label: name the column that says when a row happened");
    }
    check_named(model, desk);
}

fn check_named(model: &Model, desk: &mut Desk<'_>) {
    let label = &model.data.label.column;
    let mut feature = |keys: &[&str], column: &str| {
        if column == label {
            desk.add(keys, format!("{column:?} is the label, which is handed on as it is: name a feature"));
        } else if !model.data.features.iter().any(|known| known == column) {
            desk.add(keys, no_such("feature", column, &model.data.features, " in data.features"));
        }
    };
    for column in model.preprocess.columns.keys() {
        feature(&["preprocess", column], column);
    }
    for column in &model.evaluate.slices {
        feature(&["evaluate", "slices"], column);
    }
    if let Some(monitor) = &model.monitor {
        for column in monitor.columns.keys().filter(|column| *column != PREDICTION) {
            feature(&["monitor", "columns", column], column);
        }
        for column in &monitor.segments {
            feature(&["monitor", "segments"], column);
        }
    }
    if model.split.columns().any(|column| column == label) {
        desk.add(&["split", "by"], format!("{label:?} is the label: a fold must not depend on the answer"));
    }
}
