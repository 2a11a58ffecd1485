//! The page of the model file, held to what the code does: its examples load, and it names every key.

use std::collections::BTreeSet;

use serde_json::Value;
use switchyard_model::{Model, read, schema};

const PAGE: &str = include_str!("../../../../docs/model.md");

#[test]
fn every_example_of_the_page_loads_and_the_first_two_need_no_second_look_beyond_what_the_page_says() {
    let examples: Vec<_> = PAGE.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(examples.len() >= 3);
    for example in &examples {
        let (model, _) = read(example).unwrap_or_else(|error| panic!("{error}\n{example}"));
        assert_eq!(Model::from_canonical(&model.canonical()).unwrap(), model);
    }
    assert_eq!(read(examples[0]).unwrap().1, []);
}

#[test]
fn the_sample_loads() {
    let sample = include_str!("../../../../deploy/samples/model/churn.yaml");
    let (model, warnings) = read(sample).unwrap();
    assert_eq!(model.data.features, ["age", "visits", "price", "plan"]);
    let paths: Vec<_> = warnings.iter().map(|warning| warning.path.as_str()).collect();
    assert_eq!(paths, ["train.image"], "no digest: on one machine nothing is pulled");
}

#[test]
fn every_key_is_on_the_page() {
    let mut keys = BTreeSet::new();
    collect(&schema(), &mut keys);
    let missing: Vec<_> = keys.iter().filter(|key| !named(key)).collect();
    assert!(keys.len() > 80 && missing.is_empty(), "not on the page: {missing:?}");
}

fn collect(schema: &Value, keys: &mut BTreeSet<String>) {
    match schema {
        Value::Object(entries) => {
            keys.extend(entries.get("properties").and_then(Value::as_object).into_iter().flatten().map(|(key, _)| key.clone()));
            entries.values().for_each(|value| collect(value, keys));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, keys)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Whether the page says a key as a word of code.
fn named(key: &str) -> bool {
    let code = PAGE.split('`').skip(1).step_by(2);
    let word = |c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_';
    code.into_iter().any(|text| text.split(word).any(|found| found == key))
}
