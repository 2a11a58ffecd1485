//! The page, made of invented data.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    page::page,
    view::{Candidate, Champion, Column, Page, Performance, Point, Run, Shape, Skipped, Window},
};

fn moment(n: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + n * 1800).unwrap()
}

/// A hill.
fn hill(middle: f64, width: f64) -> Vec<f64> {
    let bars: Vec<f64> = (0..36).map(|n| (-((f64::from(n) - middle) / width).powi(2) / 2.0).exp()).collect();
    let whole: f64 = bars.iter().sum();
    bars.iter().map(|bar| bar / whole).collect()
}

fn points(calm: f64, then: f64) -> Vec<Point> {
    let wave = |n: u64| calm * (1.0 + 0.5 * (n as f64 * 1.7).sin());
    let value = |n: u64| if (20..27).contains(&n) { then * (1.0 + 0.06 * (n as f64).cos()) } else { wave(n) };
    let point = |n: u64| Point { window: n + 1, value: value(n), drifted: (21..27).contains(&n) && then > 0.1, anew: n == 27 };
    (0..34).map(point).collect()
}

fn column(name: &str, measure: &str, shape: Shape, (calm, then): (f64, f64)) -> Column {
    Column {
        name: name.into(),
        shape: Some(shape),
        measure: measure.into(),
        threshold: 0.1,
        points: points(calm, then),
        p: Some(0.31),
        why: "less than 0.100".into(),
        drifted: false,
    }
}

fn whole() -> Page {
    let numbers = |low, high, one, other| Shape::Numbers { low, high, reference: one, current: other };
    let names = Shape::Names {
        names: ["free", "pro", "team", "a plan with quite a long name", "(unseen)"].map(str::to_owned).to_vec(),
        reference: vec![0.5, 0.3, 0.15, 0.05, 0.0],
        current: vec![0.25, 0.4, 0.3, 0.03, 0.02],
    };
    let mut visits = column("visits", "KS distance", numbers(0.0, 20.0, hill(12.0, 4.0), hill(8.0, 4.0)), (0.03, 0.41));
    visits.drifted = true;
    visits.why = "3 of the last windows differ, and it takes 2".into();
    visits.points.truncate(27);
    visits.p = Some(0.0);
    let mut plan = column("plan", "Jensen–Shannon distance", names, (0.02, 0.26));
    plan.points.truncate(27);
    plan.drifted = true;
    let age = column("age", "KS distance", numbers(18.0, 90.0, hill(14.0, 6.0), hill(14.3, 6.2)), (0.035, 0.05));
    let price = column("price <b>&", "PSI", numbers(0.0, 41_250.0, hill(6.0, 3.0), Vec::new()), (0.01, 0.02));
    let window = |n: u64| Window {
        number: n + 1,
        at: moment(i64::try_from(n).unwrap()),
        rows: 5000,
        gaps: if n == 30 { 17 } else { 0 },
        unreadable: 0,
        late: 12,
        drifted: if (21..27).contains(&n) { vec!["plan".into(), "visits".into()] } else { Vec::new() },
    };
    let mut auc = points(0.05, 0.25);
    for point in &mut auc {
        point.value = 0.86 - point.value;
    }
    let run = |number, outcome: &str, cause: &str, reason: &str| Run {
        number,
        key: format!("k{number}mfxjz3q7xw2ltf5bnhdiovue6"),
        at: moment(30 * i64::try_from(number).unwrap()),
        causes: vec![cause.into()],
        outcome: outcome.into(),
        reason: reason.into(),
        pod_seconds: (outcome != "running").then_some(1284 * number),
    };
    Page {
        model: "churn".into(),
        revision: "4c5f0d8e21ab9c37".into(),
        at: moment(99),
        state: "drifted".into(),
        champion: Some(Champion {
            run: "k2mfxjz3q7xw2ltf5bnhdiovue6".into(),
            since: moment(27),
            metrics: BTreeMap::from([("auc".into(), 0.8571), ("logloss".into(), 0.4123)]),
        }),
        fresh: false,
        windows: (0..34).map(window).collect(),
        columns: vec![age, plan, price, visits],
        performance: Some(Performance { metric: "auc".into(), limit: Some(0.75), points: auc, bad: false }),
        candidate: Some(Candidate {
            run: "k3mfxjz3q7xw2ltf5bnhdiovue6".into(),
            compared: Some("k2mfxjz3q7xw2ltf5bnhdiovue6".into()),
            metrics: vec![
                ("accuracy".into(), 0.7812, Some(0.7812), false),
                ("auc".into(), 0.8571, Some(0.6312), false),
                ("logloss".into(), 0.4123, Some(0.9718), true),
            ],
            outcome: "rejected".into(),
            reasons: vec!["auc on slice plan=team is 0.0213 worse than the champion's, and 0.0100 is allowed".into()],
        }),
        runs: vec![
            run(4, "running", "drift: visits (KS distance 0.41), plan", ""),
            run(3, "rejected", "newRows: 1,000,000 rows", "auc on slice plan=team is 0.0213 worse"),
            run(2, "promoted", "drift: visits", ""),
            run(1, "promoted", "first: the model has no champion", ""),
        ],
        skipped: vec![Skipped {
            at: moment(70),
            reason: "no_new_data".into(),
            message: "run k3mfxjz3q7xw2ltf5bnhdiovue6 has this key already, and its result stands".into(),
            until: Some(moment(90)),
            causes: vec!["drift: visits".into()],
        }],
    }
}

#[test]
fn a_page_needs_no_network_and_no_script_and_takes_no_foreign_text_for_its_own() {
    let text = page(&whole());
    if let Some(file) = std::env::var_os("SWITCHYARD_REPORT") {
        std::fs::write(file, &text).unwrap();
    }
    for foreign in ["<script", "http://", "https://", "@import", "url(", "<b>&<", "NaN", "inf"] {
        assert!(!text.contains(foreign), "{foreign}");
    }
    assert!(text.contains("price &lt;b&gt;&amp;"));
    for (open, close) in
        [("<section", "</section>"), ("<svg", "</svg>"), ("<table", "</table>"), ("<figure", "</figure>"), ("<td", "</td>")]
    {
        assert_eq!(text.matches(open).count(), text.matches(close).count(), "{open}");
    }
}

#[test]
fn what_differs_most_comes_first() {
    let text = page(&whole());
    let at = |name: &str| text.find(&format!("<h3>{name}</h3>")).unwrap();
    assert!(at("visits") < at("plan") && at("plan") < at("age") && at("age") < at("price &lt;b&gt;&amp;"));
}

#[test]
fn a_model_of_which_nothing_is_known_has_a_page_too() {
    let text = page(&Page { model: "new".into(), state: "cold".into(), ..Page::default() });
    assert!(text.contains("No model serves yet. No window has been judged yet."), "{text}");
    assert!(text.contains("Nothing has been trained yet.") && !text.contains("NaN"));
}
