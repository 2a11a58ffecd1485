//! One form for whatever says the same, and it reads back.

use std::fmt::Write as _;

use proptest::prelude::*;
use switchyard_model::{Model, read, run_key};

use crate::{LEAST, WHOLE};

/// A value of a file, in several spellings.
#[derive(Clone)]
enum Said {
    Map(Vec<(&'static str, Said)>),
    List(Vec<Said>),
    /// Any of these says the same.
    One(&'static [&'static str]),
}

use Said::{List, Map, One};

/// Two spellings that say the same throughout, with every kind of value.
fn whole() -> Said {
    let fold = |train, eval| Map(vec![("train", One(train)), ("eval", One(eval))]);
    Map(vec![
        ("version", One(&["1", "'1'"])),
        ("model", One(&["churn", "'churn'", "\"churn\""])),
        ("store", Map(vec![("url", One(&["'s3://ml/churn'", "s3://ml/churn"])), ("secret", One(&["ml-rw"]))])),
        (
            "data",
            Map(vec![
                ("source", Map(vec![("url", One(&["'file:///lake/*.csv'"]))])),
                ("select", Map(vec![("tail", One(&["90d", "2160h", "'90d'", "129600m", "129600"])), ("limit", One(&["1000"]))])),
                ("key", One(&["id"])),
                ("eventTime", One(&["ts"])),
                ("label", Map(vec![("column", One(&["churned"])), ("task", One(&["binary"]))])),
                ("features", List(vec![One(&["age"]), One(&["plan", "'plan'"])])),
            ]),
        ),
        ("split", Map(vec![("seed", One(&["7", "'7'", "07"])), ("folds", fold(&["0.70", "0.7", "'.7'", "7e-1"], &["0.3"]))])),
        (
            "preprocess",
            Map(vec![
                (
                    "age",
                    List(vec![
                        Map(vec![("fill", Map(vec![("value", One(&["-1", "-01"]))]))]),
                        Map(vec![("bucketize", List(vec![One(&["1", "1.0"]), One(&["2.50", "2.5"])]))]),
                    ]),
                ),
                ("plan", List(vec![One(&["none", "{none: }"])])),
            ]),
        ),
        (
            "train",
            Map(vec![
                ("image", One(&["r/a@sha256:00"])),
                ("command", List(vec![One(&["python3"]), One(&["train.py"])])),
                (
                    "params",
                    Map(vec![("rate", One(&["0.10", "0.1", "1e-1"])), ("depth", One(&["6"])), ("name", One(&["'6'", "\"6\""]))]),
                ),
                ("timeout", One(&["90m", "1h30m", "90", "5400s"])),
                ("warmStart", One(&["true", "'true'", "True"])),
            ]),
        ),
        ("predict", Map(vec![("command", List(vec![One(&["python3"]), One(&["predict.py"])]))])),
        (
            "monitor",
            Map(vec![
                ("window", Map(vec![("rows", One(&["1000"]))])),
                ("columns", Map(vec![("age", Map(vec![("psi", One(&["0.20", "0.2"]))])), ("plan", One(&["none"]))])),
            ]),
        ),
        (
            "policy",
            Map(vec![
                ("mode", One(&["auto"])),
                (
                    "triggers",
                    List(vec![
                        One(&["drift"]),
                        Map(vec![
                            ("atLeast", One(&["1"])),
                            ("of", List(vec![Map(vec![("cron", One(&["'0  3 * * 0'", "'0 3 * * 0'"]))]), One(&["drift"])])),
                        ]),
                    ]),
                ),
                ("cooldown", One(&["24h", "1d", "1440"])),
            ]),
        ),
    ])
}

/// Choices from a seed.
struct Choices(u64);

impl Choices {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % n
    }

    fn shuffled<'a>(&mut self, entries: &'a [(&'static str, Said)]) -> Vec<&'a (&'static str, Said)> {
        let mut entries: Vec<_> = entries.iter().collect();
        for n in (1..entries.len()).rev() {
            entries.swap(n, self.below(n + 1));
        }
        entries
    }
}

/// Some text that says this: keys in some order, comments here and there, in lines or in one.
fn some_text(said: &Said, depth: usize, choices: &mut Choices, text: &mut String) {
    match said {
        One(spellings) => text.push_str(spellings[choices.below(spellings.len())]),
        List(items) => {
            text.push('[');
            for item in items {
                some_text(item, depth + 1, choices, text);
                text.push_str([", ", " , ", ",\n   # a comment\n   "][choices.below(3)]);
            }
            text.push(']');
        }
        Map(entries) if depth < 2 && choices.below(2) == 0 || depth == 0 => {
            for (key, value) in choices.shuffled(entries) {
                text.push_str(["", "\n# a comment: {\n", "\n\n"][choices.below(3)]);
                write!(text, "\n{:indent$}{key}: ", "", indent = depth * 2).unwrap();
                some_text(value, depth + 1, choices, text);
                text.push_str(["", " # another"][choices.below(2)]);
            }
            text.push('\n');
        }
        Map(entries) => {
            text.push('{');
            for (key, value) in choices.shuffled(entries) {
                write!(text, "{key}: ").unwrap();
                some_text(value, depth + 2, choices, text);
                text.push_str([", ", " ,   "][choices.below(2)]);
            }
            text.push('}');
        }
    }
}

fn text(seed: u64) -> String {
    let mut text = String::new();
    some_text(&whole(), 0, &mut Choices(seed), &mut text);
    text
}

fn model(yaml: &str) -> Model {
    read(yaml).unwrap_or_else(|invalid| panic!("{invalid}\n{yaml}")).0
}

/// Values of every kind in one part of the file.
const PARTS: &[(&str, &[&str])] = &[
    (
        "split",
        &[
            "{by: {category: {column: plan, folds: {a: train, b: eval, c: test}, unknown: eval}}}",
            "{seed: 18446744073709551615, by: {index: {column: age}}}",
            "{by: {hybrid: {category: {column: plan, folds: {x: test}}, index: {column: age}}}}",
            "{folds: {train: 1}}",
        ],
    ),
    (
        "preprocess",
        &[
            "{age: [{fill: {value: 0.1}}, {scale: minmax}, {bucketize: 5}, onehot]}",
            "{plan: [{fill: {value: ''}}, {ngrams: {n: 2, size: 50}}, {tfidf: 20}]}",
            "{defaults: {string: [{hash: 8}, {onehot: {unknown: zero}}], float: [none]}}",
            "{age: [{fill: {value: true}}, none]}",
        ],
    ),
    (
        "evaluate",
        &[
            "{metrics: [f1, brier], slices: [plan], gate: {metric: f1, max: 1, maxSliceDrop: 0.1}}",
            "{custom: {command: [m], better: less}, gate: {metric: cost, gain: -0.5}}",
            "{fold: eval}",
        ],
    ),
    ("serve", &["{event: model.promoted, artifact: true, service: {id: churn, environment: prod}}", "{}"]),
    (
        "monitor",
        &[
            "{input: {format: rows, partitions: 8}, window: {every: 1d, lateness: 1h}, columns: {age: {wasserstein: 2.5}}, segments: [plan], performance: {metric: auc, drop: 0.05}}",
            "{performance: {metric: logloss, max: 0.7}, test: {correction: holm}, columns: {age: none}}",
            "{performance: {metric: auc, min: 0.7}}",
        ],
    ),
    (
        "policy",
        &[
            "{mode: approve, triggers: {all: [{newRows: 5}, {any: [{cron: '*/5 1-3 * * 1,2'}]}]}, concurrency: cancel-previous}",
            "{triggers: {cron: '0 0 1 1 *'}, budget: {podHours: 0.5, per: 1d}}",
        ],
    ),
];

proptest! {
    #[test]
    fn order_comments_and_spelling_change_no_digest(one: u64, other: u64) {
        let (one, other) = (model(&text(one)), model(&text(other)));
        prop_assert_eq!(one.canonical(), other.canonical());
        prop_assert_eq!(one.digest(), other.digest());
        prop_assert_eq!(run_key(&one, "00", ""), run_key(&other, "00", ""));
    }

    #[test]
    fn the_canonical_form_reads_back_as_the_same_model(seed: u64) {
        let mut choices = Choices(seed);
        let mut yaml = LEAST.to_owned();
        for (part, values) in PARTS {
            if let Some(value) = values.get(choices.below(values.len() + 1)) {
                writeln!(yaml, "{part}: {value}").unwrap();
            }
        }
        if let Ok((model, _)) = read(&yaml) {
            let canonical = model.canonical();
            let again = Model::from_canonical(&canonical).map_err(|error| TestCaseError::fail(format!("{error}\n{canonical}")))?;
            prop_assert_eq!(again.canonical(), canonical);
            prop_assert_eq!(again, model);
        }
    }
}

#[test]
fn each_value_reads_back() {
    let with = |part: &str, value: &str| format!("{LEAST}monitor_: {{}}\n").replace("monitor_: {}", &format!("{part}: {value}"));
    for (part, values) in PARTS {
        for value in *values {
            if *part == "policy" && value.contains("newRows") {
                continue;
            }
            let model = model(&with(part, value));
            assert_eq!(Model::from_canonical(&model.canonical()).unwrap(), model, "{part}: {value}");
        }
    }
}

#[test]
fn what_holds_anyway_can_be_written_down_without_a_change() {
    let written = "
split: {seed: 0, folds: {train: 0.7, eval: 0.15, test: 0.15}, by: ratio}
preprocess: {defaults: {float: [{fill: median}, {scale: zscore}]}}
evaluate: {fold: test, metrics: [auc, logloss], gate: {metric: auc, gain: 0}}
policy: {mode: suggest, cooldown: 0s}
";
    assert_eq!(model(&format!("{LEAST}{written}")).digest(), model(LEAST).digest());
}

#[test]
fn a_run_is_named_by_what_it_is_made_from_and_not_by_who_watches_it() {
    let whole = model(WHOLE);
    let key = run_key(&whole, "00", "");
    assert!(key.len() == 26 && key.bytes().all(|byte| byte.is_ascii_lowercase() || (b'2'..=b'7').contains(&byte)), "{key}");
    let changed = |from: &str, to: &str| run_key(&model(&WHOLE.replacen(from, to, 1)), "00", "");
    assert_eq!(changed("cooldown: 24h", "cooldown: 2h"), key);
    assert_eq!(changed("alpha: 0.01", "alpha: 0.05"), key);
    assert_ne!(changed("depth: 6", "depth: 7"), key);
    assert_ne!(changed("seed: 7", "seed: 8"), key);
    assert_ne!(run_key(&whole, "01", ""), key);
    assert_ne!(run_key(&whole, "00", "a"), key);
}
