//! The page of the fleet file, held to what the code does: its examples load, and its tables name every key there is.

#![allow(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

use std::collections::BTreeSet;

use serde_json::Value;
use switchyard_fleet::Fleet;

const PAGE: &str = include_str!("../../../docs/configuration.md");

/// A row of the table of Screwdriver's options.
struct Row<'a> {
    option: &'a str,
    example: &'a str,
    standing: &'a str,
}

fn options() -> Vec<Row<'static>> {
    let section = PAGE.split("### Every option of Screwdriver").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let row = |line: &'static str| {
        let mut cells = line.trim_matches('|').split(" | ").map(str::trim);
        let mut word = || cells.next().unwrap().trim_matches('`');
        Row { option: word(), example: word(), standing: word() }
    };
    rows.map(row).collect()
}

/// A fleet whose only executor has this one option.
fn with(option: &str, example: &str) -> String {
    let nested = option.rsplit('.').fold(example.to_owned(), |inner, key| format!("{{{key}: {inner}}}"));
    format!("version: 1\nexecutor: {{plugin: k8s, k8s: {{options: {nested}}}}}\n")
}

/// The keys of a schema below this one, joined by dots; where a key has keys of its own, those only.
fn paths(schema: &Value, at: &str, found: &mut BTreeSet<String>) {
    for (key, value) in schema["properties"].as_object().into_iter().flatten() {
        let path = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
        found.insert(path.clone());
        paths(value, &path, found);
    }
}

#[test]
fn every_example_of_the_page_loads() {
    let examples: Vec<_> = PAGE.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(examples.len() >= 2);
    for example in examples {
        Fleet::parse(example).unwrap_or_else(|error| panic!("{error}\n{example}"));
    }
}

#[test]
fn every_option_stands_as_the_table_says() {
    for Row { option, example, standing } in options() {
        let fleet = Fleet::parse(&with(option, example));
        let path = format!("executor.k8s.options.{option}");
        match standing {
            "honoured" => assert_eq!(fleet.unwrap().warnings(), [], "{option}"),
            "inert" => assert_eq!(fleet.unwrap().warnings()[0].path, path),
            "refused" => assert_eq!(fleet.unwrap_err().problems[0].path, path),
            other => panic!("{option} is {other}"),
        }
    }
}

#[test]
fn the_table_names_every_option_and_no_other() {
    let schema = Fleet::schema();
    let mut known = BTreeSet::new();
    paths(&schema["properties"]["executor"]["additionalProperties"]["properties"]["options"], "", &mut known);
    let rows = options();
    for Row { option, standing, .. } in &rows {
        assert!(*standing == "refused" || known.contains(*option), "{option} is in the table and not in the schema");
    }
    let covered = |path: &str| {
        let told =
            |option: &str| option == path || path.starts_with(&format!("{option}.")) || option.starts_with(&format!("{path}."));
        path.ends_with("buildSecretFile") || rows.iter().any(|row| told(row.option))
    };
    let missing: Vec<_> = known.iter().filter(|path| !covered(path)).collect();
    assert!(missing.is_empty(), "not in the table: {missing:?}");
}

#[test]
fn every_key_of_ours_is_on_the_page() {
    let schema = Fleet::schema();
    let below = |path: &[&str]| {
        let node = path.iter().fold(&schema, |node, key| &node[*key]);
        node["properties"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    let each = ["properties", "executors", "additionalProperties"];
    for key in below(&[])
        .into_iter()
        .chain(below(&each))
        .chain(below(&["properties", "clusters", "additionalProperties"]))
        .chain(below(&["properties", "tenants", "additionalProperties"]))
        .chain(below(&["properties", "clocks"]))
    {
        assert!(
            [format!("`{key}`"), format!(".{key}`"), format!("`{key}.")].iter().any(|key| PAGE.contains(key)),
            "{key} is not on the page"
        );
    }
}
