//! The alerts: each is over metrics that running services really tell. What each does over time stands in
//! `deploy/alerts/tests.yaml`, for Prometheus' own `promtool`, which is not run here.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};
use switchyard_bus::Clocks as _;
use switchyard_dev::Services;
use switchyard_events::{BuildKey, Clock, ClockKind, derived_traceparent};

use crate::{
    training::School,
    yard::{publish, until},
};

const ALERTS: &str = include_str!("../../../../deploy/alerts/switchyard.yaml");

const TESTS: &str = include_str!("../../../../deploy/alerts/tests.yaml");

/// The expressions of the file, one per alert.
fn expressions() -> Vec<&'static str> {
    ALERTS.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).collect()
}

/// The metrics that an expression names, each with the labels that it selects or groups by.
fn named(expression: &'static str) -> (BTreeSet<&'static str>, BTreeSet<&'static str>) {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words: Vec<_> = expression.split(|c: char| !word(c)).collect();
    let metrics = words.iter().copied().filter(|word| word.starts_with("switchyard_")).collect();
    let list = |text: &'static str| text.split(',').filter_map(|one| one.split(['=', '!', '~']).next()).map(str::trim);
    let between = |open: &'static str, close: char| {
        expression.split(open).skip(1).filter_map(move |rest| rest.split_once(close)).flat_map(move |(inner, _)| list(inner))
    };
    (metrics, between("{", '}').chain(between("by (", ')')).collect())
}

#[test]
fn every_alert_says_what_to_do_in_the_words_of_its_metrics() {
    let alerts = ALERTS.lines().filter(|line| line.trim().starts_with("- alert: ")).count();
    assert!(alerts >= 6 && alerts == expressions().len());
    for key in ["severity:", "summary:", "look:"] {
        assert_eq!(ALERTS.matches(key).count(), alerts, "{key}");
    }
    for expression in expressions() {
        let balanced = |open: char, close: char| expression.matches(open).count() == expression.matches(close).count();
        assert!(balanced('(', ')') && balanced('{', '}') && balanced('[', ']') && expression.matches('"').count() % 2 == 0);
        assert!([" > ", " < ", " == "].iter().any(|compares| expression.contains(compares)), "{expression} compares nothing");
        assert!(!named(expression).0.is_empty(), "{expression}");
    }
}

#[test]
fn of_every_alert_it_is_written_down_when_it_comes_and_when_it_does_not() {
    let told: Value = serde_saphyr::from_str(TESTS).unwrap();
    let list = |of: &Value, key: &str| of[key].as_array().cloned().unwrap_or_default();
    let tried: Vec<_> = list(&told, "tests").iter().flat_map(|test| list(test, "alert_rule_test")).collect();
    for alert in ALERTS.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        let comes: BTreeSet<_> =
            tried.iter().filter(|one| one["alertname"] == alert).map(|one| !list(one, "exp_alerts").is_empty()).collect();
        assert_eq!(comes, BTreeSet::from([false, true]), "{alert}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn how_long_events_wait_is_told_also_while_nobody_is_there_to_handle_them() {
    let school = School::open().await;
    for (service, stream, consumer) in
        [("router-0", "CI", "router"), ("launcher-local-0", "YARD", "launcher-local"), ("reaper-local-0", "YARD", "reaper-local")]
    {
        let server = school.services.get(service).unwrap();
        server.kill().await;
        publish(&school.bus, service, json!({"image": "a", "ram": "256Mi", "steps": [{"name": "run", "run": "true"}]})).await;
        let series = format!("switchyard_consumer_oldest_seconds{{stream=\"{stream}\",consumer=\"{consumer}\"}} ");
        until(&format!("{series}is told"), Duration::from_mins(1), async || {
            let told = told(&school.services).await;
            told.lines().filter_map(|line| line.strip_prefix(&series)?.parse::<u64>().ok()).any(|age| age > 0).then_some(())
        })
        .await;
        server.restart().await.unwrap();
    }
    school.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_and_label_of_an_alert_is_told_by_a_running_service() {
    let school = School::open().await;
    let bus = &school.bus;
    // A model that is trained and watched, a build that ends, and a clock of none, which the sweep finds: what is counted is told
    // once there is something to count.
    school.apply("churn", "{mode: auto, triggers: [drift]}").await;
    publish(bus, "counted", json!({"image": "a", "ram": "256Mi", "steps": [{"name": "run", "run": "true"}]})).await;
    let nobody = BuildKey::of("/ci", "nobody", "knows");
    let clock = Clock { executor: "local".into(), kind: ClockKind::Queued, build: nobody.clone(), attempt: 1 };
    let later = jiff::Timestamp::now() + Duration::from_hours(1);
    bus.arm(&clock, later, &derived_traceparent(&nobody)).await.unwrap();
    for expression in expressions() {
        let (metrics, labels) = named(expression);
        for metric in metrics {
            until(&format!("{metric} with {labels:?} is told"), Duration::from_mins(1), async || {
                let told = told(&school.services).await;
                let has = |line: &str, label: &str| line.contains(&format!("{{{label}=")) || line.contains(&format!(",{label}="));
                let is = |line: &&str| line.strip_prefix(metric).is_some_and(|rest| rest.starts_with(['{', ' ']));
                told.lines().filter(is).any(|line| labels.iter().all(|label| has(line, label))).then_some(())
            })
            .await;
        }
    }
    school.close().await;
}

/// What all services tell at `/metrics`.
async fn told(services: &Services) -> String {
    let mut told = String::new();
    for (_, service) in services.iter() {
        let Some(ready) = service.address() else { continue };
        let Ok(answer) = reqwest::get(ready.replace("/readyz", "/metrics")).await else { continue };
        told.push_str(&answer.text().await.unwrap_or_default());
    }
    told
}
