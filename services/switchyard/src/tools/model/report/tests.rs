//! The page, made of invented data.

use std::{collections::BTreeMap, num::NonZeroUsize};

use jiff::Timestamp;
use switchyard_drift::{
    Column as Counted, Correction, Fold, Kind, Measure, Profile, Raise, Rule, Standing, Survey, Test, Widest, WindowCounts, judge,
};
use switchyard_trainer::Judged;

use super::{
    page::page,
    segments::{drifted, section, segments},
    view::{Candidate, Champion, Column, Difference, Page, Part, Performance, Point, Run, Segments, Shape, Skipped, Window},
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
        widest: None,
        measure: measure.into(),
        threshold: 0.1,
        points: points(calm, then),
        p: Some(0.31),
        why: "less than 0.100".into(),
        drifted: false,
    }
}

/// The plans, of which one has drifted.
fn parts() -> Segments {
    let part = |name: &str, rows: u64, then: f64, now: f64, effects: [f64; 3]| {
        let of = |(n, effect): (usize, f64)| {
            let name = ["age", "price", "visits"][n].to_owned();
            let drifted = effect > 0.3;
            let measure = ["KS distance", "PSI", "KS distance"][n];
            let (reference, current) = (hill(12.0, 4.0), hill(8.0, 4.0));
            let shape = drifted.then_some(Shape::Numbers { low: 0.0, high: 20.0, reference, current });
            let (p, why) = (0.2 * (0.3 - effect).max(0.0), "2 of the last windows differ, and it takes 2".to_owned());
            (name, Difference { measure: measure.into(), effect, threshold: 0.1, p, counted: rows > 500, why, drifted, shape })
        };
        let differences = effects.into_iter().enumerate().map(of).collect();
        Part { name: name.into(), rows, then, now, differences }
    };
    let parts = vec![
        part("pro <b>&", 2010, 0.3, 0.402, [0.02, 0.03, 0.44]),
        part("free", 1254, 0.5, 0.2508, [0.035, 0.11, 0.031]),
        part("a plan with quite a long name", 1736, 0.2, 0.3472, [0.02, 0.01, 0.02]),
        part("rare", 17, 0.002, 0.0034, [0.2, 0.21, 0.22]),
    ];
    Segments { by: "plan".into(), columns: ["age", "price", "visits"].map(str::to_owned).to_vec(), parts }
}

fn columns() -> Vec<Column> {
    let numbers = |low, high, one, other| Shape::Numbers { low, high, reference: one, current: other };
    let names = Shape::Names {
        names: ["free", "pro", "team", "a plan with quite a long name", "(unseen)"].map(str::to_owned).to_vec(),
        reference: vec![0.5, 0.3, 0.15, 0.05, 0.0],
        current: vec![0.25, 0.4, 0.3, 0.03, 0.02],
    };
    let mut visits = column("visits", "KS distance", numbers(0.0, 20.0, hill(12.0, 4.0), hill(8.0, 4.0)), (0.03, 0.41));
    visits.drifted = true;
    visits.widest = Some(Widest { at: 5.2, first: 0.212, other: 0.621 });
    visits.why = "3 of the last windows differ, and it takes 2".into();
    visits.points.truncate(27);
    visits.p = Some(0.0);
    let mut plan = column("plan", "Jensen–Shannon distance", names, (0.02, 0.26));
    plan.points.truncate(27);
    plan.drifted = true;
    let age = column("age", "KS distance", numbers(18.0, 90.0, hill(14.0, 6.0), hill(14.3, 6.2)), (0.035, 0.05));
    let price = column("price <b>&", "PSI", numbers(0.0, 41_250.0, hill(6.0, 3.0), Vec::new()), (0.01, 0.02));
    vec![age, plan, price, visits]
}

fn runs() -> Vec<Run> {
    let run = |number, outcome: &str, cause: &str, reason: &str| Run {
        number,
        key: format!("k{number}mfxjz3q7xw2ltf5bnhdiovue6"),
        at: moment(30 * i64::try_from(number).unwrap()),
        causes: vec![cause.into()],
        outcome: outcome.into(),
        reason: reason.into(),
        pod_seconds: (outcome != "running").then_some(1284 * number),
    };
    vec![
        run(4, "running", "drift: visits (KS distance 0.41), plan", ""),
        run(3, "rejected", "newRows: 1,000,000 rows", "auc on slice plan=team is 0.0213 worse"),
        run(2, "promoted", "drift: visits", ""),
        run(1, "promoted", "first: the model has no champion", ""),
    ]
}

fn whole() -> Page {
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
        columns: columns(),
        segments: vec![parts()],
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
        runs: runs(),
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
fn a_part_with_too_few_rows_is_shown_as_such_and_last() {
    let text = section(&[parts()]);
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("<tr><td")).collect();
    assert!(rows.last().unwrap().contains(">rare<") && rows.last().unwrap().matches(">too few rows<").count() == 3, "{rows:?}");
    assert!(!rows.last().unwrap().contains("warn"));
}

#[test]
fn a_column_of_numbers_says_where_it_has_moved() {
    let text = page(&whole());
    assert!(text.contains("furthest apart at 5.20: below it lie 62.1 % of the values, and 21.2 % did"));
    assert_eq!(text.matches("furthest apart").count(), 1);
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

/// A profile of `age` and `plan`, 2,000 rows of a window (those of `pro` are of the age that is said), and what the trainer has
/// judged of them.
fn counted(pro: f64) -> (Judged, Profile, WindowCounts) {
    let rows = |pro: f64| {
        let age = move |n: u32| if n.is_multiple_of(4) { pro } else { 0.0 } + f64::from(n * 7 % 1000);
        let ages: Vec<f64> = (0..2000).map(age).collect();
        let plans: Vec<Option<&str>> = (0..2000_u32).map(|n| Some(if n.is_multiple_of(4) { "pro" } else { "free" })).collect();
        (ages, plans)
    };
    let kinds = BTreeMap::from([("age".to_owned(), Kind::Numbers), ("plan".to_owned(), Kind::Names)]);
    let mut survey = Survey::new(&kinds, &["plan"], NonZeroUsize::new(64).unwrap()).unwrap();
    let (ages, plans) = rows(0.0);
    let columns = [Counted::Numbers(&ages), Counted::Names(&plans)];
    survey.see(&columns, 2000).unwrap();
    let frame = survey.frame().unwrap();
    let fold = Fold::new(&frame);
    let mut counts = fold.window();
    fold.count(&mut counts, &columns, 2000).unwrap();
    let profile = frame.filled(&counts).unwrap();
    let (ages, plans) = rows(pro);
    let mut counts = Fold::new(&profile).window();
    Fold::new(&profile).count(&mut counts, &[Counted::Numbers(&ages), Counted::Names(&plans)], 2000).unwrap();
    let judged = judged(&profile, &counts);
    (judged, profile, counts)
}

/// What is said of both plans, where one window is enough and it takes 1,000 rows.
fn judged(profile: &Profile, counts: &WindowCounts) -> Judged {
    let rule = Rule { measure: Measure::Psi, threshold: 0.2, bins: NonZeroUsize::new(20).unwrap() };
    let raise = Raise { windows: NonZeroUsize::MIN, of: NonZeroUsize::MIN };
    let test = Test { alpha: 0.01, correction: Correction::None, min_samples: 400, raise };
    let part = |name: &str| {
        let (profile, counts) = profile.part(counts, "plan", name).unwrap();
        let evidence = profile.weigh(counts, "age", &rule).unwrap();
        let verdict = judge(&[(evidence.clone(), Standing::default())], &test).remove(0);
        (format!("plan={name}"), BTreeMap::from([("age".to_owned(), (evidence, verdict))]))
    };
    Judged {
        model: "m".into(),
        window: 1,
        reference: "r".into(),
        at: moment(0),
        rows: counts.rows(),
        gaps: 0,
        unreadable: 0,
        late: 0,
        columns: BTreeMap::new(),
        segments: ["pro", "free"].map(part).into(),
        performance: None,
        drifted: true,
        new_rows: 0,
    }
}

#[test]
fn each_part_of_the_rows_is_shown_with_what_its_columns_say() {
    let (judged, profile, counts) = counted(600.0);
    let all = segments(&judged, &profile, &counts);
    let [by_plan] = &all[..] else { panic!("{all:?}") };
    assert_eq!((by_plan.by.as_str(), &by_plan.columns[..]), ("plan", &["age".to_owned()][..]));
    let of = |part: &Part| (part.name.clone(), part.rows, part.then, part.now);
    let wanted = [("pro".to_owned(), 500, 0.25, 0.25), ("free".to_owned(), 1500, 0.75, 0.75)];
    assert_eq!(by_plan.parts.iter().map(of).collect::<Vec<_>>(), wanted);
    let (pro, free) = (&by_plan.parts[0].differences["age"], &by_plan.parts[1].differences["age"]);
    assert!(pro.drifted && pro.effect > 0.2 && pro.shape.is_some() && pro.measure == "PSI", "{pro:?}");
    assert!(!free.drifted && free.effect < 1e-9 && free.shape.is_none(), "{free:?}");
    let text = section(&all);
    assert!(text.contains("<b>age</b> where plan is <b>pro</b>: PSI") && text.contains("PSI, from 0.200"), "{text}");
    assert_eq!((section(&[]), drifted(&[])), (String::new(), String::new()));
    assert_eq!(drifted(&all), " In parts of the rows there is drift: age where plan is pro.");
}

#[test]
fn parts_that_were_counted_against_another_reference_are_not_shown() {
    let (judged, profile, _) = counted(0.0);
    let other = Fold::new(&profile).window();
    assert_eq!(segments(&judged, &profile, &other).len(), 1, "a window without rows fits");
    let kinds = BTreeMap::from([("age".to_owned(), Kind::Numbers)]);
    let mut survey = Survey::new(&kinds, &[""; 0], NonZeroUsize::new(8).unwrap()).unwrap();
    survey.see(&[Counted::Numbers(&[1.0, 2.0])], 2).unwrap();
    let foreign = Fold::new(&survey.frame().unwrap()).window();
    assert_eq!(segments(&judged, &profile, &foreign).len(), 0);
}
