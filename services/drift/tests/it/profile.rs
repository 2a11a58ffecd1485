//! Windows of all columns: counted in batches or row by row, in any order and grouping, they give the same bytes.

use std::{collections::BTreeMap, num::NonZeroUsize};

use proptest::{collection::vec, option, prelude::*, sample::Index};
use switchyard_drift::{Column, Fold, Kind, MISSING, Measure, Profile, Reference, Rule, Survey, SurveyError, WindowCounts};

use crate::inputs::Draw;

type Row = (Option<f64>, Option<String>, Option<String>);

proptest! {
    #[test]
    fn windows_are_the_same_bytes_however_rows_are_dealt_and_merged(
        rows in vec((row(), 0..6usize), 0..300),
        gaps in vec(0..3u64, 6),
        merges in vec((any::<Index>(), any::<Index>()), 5),
        batch in 1..50usize,
    ) {
        let profile = profile();
        let fold = Fold::new(&profile);
        let mut parts = vec![fold.window(); 6];
        for (row, part) in &rows {
            count(&fold, &mut parts[*part], std::slice::from_ref(row));
        }
        parts.iter_mut().zip(&gaps).for_each(|(part, gap)| part.lose(*gap));
        let mut whole = fold.window();
        let all: Vec<Row> = rows.into_iter().map(|(row, _)| row).collect();
        all.chunks(batch).for_each(|rows| count(&fold, &mut whole, rows));
        whole.lose(gaps.iter().sum());
        for (from, into) in merges {
            let part = parts.swap_remove(from.index(parts.len()));
            let at = into.index(parts.len());
            parts[at].merge(&part).unwrap();
        }
        prop_assert_eq!(bytes(&parts[0]), bytes(&whole));
        let read: WindowCounts = serde_json::from_slice(&bytes(&whole)).unwrap();
        prop_assert!(fold.fits(&read));
        prop_assert_eq!(bytes(&read), bytes(&whole));
        prop_assert_eq!(whole.rows(), all.len() as u64);
    }
}

#[test]
fn a_profile_keeps_its_bits_when_it_is_stored() {
    let profile = profile();
    let read: Profile = serde_json::from_slice(&bytes(&profile)).unwrap();
    assert_eq!((bytes(&read), read.frame(), &read), (bytes(&profile), profile.frame(), &profile));
}

#[test]
fn a_segment_counts_the_rows_of_its_name_alone() {
    let profile = profile();
    let fold = Fold::new(&profile);
    let mut window = fold.window();
    let row = |number, plan: Option<&str>| (Some(number), plan.map(String::from), Some("x".to_owned()));
    count(
        &fold,
        &mut window,
        &[row(0.1, Some("a")), row(0.2, Some("a")), row(0.3, Some("b")), row(0.4, None), row(0.5, Some("?"))],
    );
    let rows = |name| profile.part(&window, "plan", name).map(|(_, counts)| counts.rows());
    assert_eq!((rows("a"), rows("b"), rows("?"), window.rows()), (Some(2), Some(1), None, 5));
}

#[test]
fn answers_stand_beside_the_columns_of_the_rows_and_in_no_part() {
    let answers =
        Survey::new(&BTreeMap::from([("prediction".to_owned(), Kind::Numbers)]), &[""; 0], NonZeroUsize::new(8).unwrap());
    let mut answers = answers.unwrap();
    let said: Vec<f64> = (0..100).map(f64::from).collect();
    answers.see(&[Column::Numbers(&said)], said.len()).unwrap();
    let frame = answers.frame().unwrap();
    let mut counts = Fold::new(&frame).window();
    Fold::new(&frame).count(&mut counts, &[Column::Numbers(&said)], said.len()).unwrap();
    let (rows, answers) = (profile(), frame.filled(&counts).unwrap());
    let both = rows.clone().beside(answers.clone());
    assert_eq!((both.rows(), &both.columns()["prediction"]), (rows.rows(), &answers.columns()["prediction"]));
    let read: Profile = serde_json::from_slice(&bytes(&both)).unwrap();
    assert_eq!(read, both, "parts that do not fit are refused");
    assert_eq!(both.clone().beside(answers), both);
    let (fold, mut window) = (Fold::new(&both), Fold::new(&both).window());
    let at = fold.names().iter().position(|name| name == "prediction").unwrap();
    let mut columns = vec![Column::Absent; fold.names().len()];
    columns[at] = Column::Numbers(&said);
    fold.count_beside(&mut window, &columns, said.len()).unwrap();
    let rule = Rule { measure: Measure::Ks, threshold: 0.1, bins: NonZeroUsize::new(20).unwrap() };
    let evidence = both.weigh(&window, "prediction", &rule).unwrap();
    assert_eq!((evidence.effect, evidence.rows, evidence.reference, window.rows()), (0.0, 100, 100, 0));
    assert!(both.segments()["plan"].values().all(|part| part.columns().len() == both.columns().len()));
}

#[test]
fn what_is_no_value_is_counted_beside() {
    let fold = Fold::new(&profile());
    let mut window = fold.window();
    let odd = [MISSING, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.5];
    fold.count(&mut window, &[Column::Numbers(&odd), Column::Names(&[None; 5]), Column::Names(&[Some("unheard of"); 5])], 5)
        .unwrap();
    let json: serde_json::Value = serde_json::to_value(&window).unwrap();
    let number = &json["columns"][0]["numbers"];
    let beside = ["missing", "nan", "positive_infinity", "negative_infinity"].map(|of| number[of].as_u64());
    assert_eq!(
        (beside, &json["columns"][1]["names"]["missing"], &json["columns"][2]["names"]["unseen"]),
        ([Some(1); 4], &5.into(), &5.into())
    );
}

#[test]
fn what_was_counted_with_another_reference_is_refused_and_changes_nothing() {
    let fold = Fold::new(&profile());
    let mut other = Fold::new(&survey(&[(Some(1.0), None, None)])).window();
    let before = bytes(&other);
    assert!(fold.count(&mut other, &[Column::Numbers(&[1.0]), Column::Names(&[None]), Column::Names(&[None])], 1).is_err());
    assert!(other.merge(&fold.window()).is_err());
    assert_eq!(bytes(&other), before);
    let mut window = fold.window();
    assert!(fold.count(&mut window, &[Column::Numbers(&[1.0])], 1).is_err(), "columns are missing");
    assert!(fold.count(&mut window, &[Column::Numbers(&[1.0]), Column::Names(&[]), Column::Names(&[])], 1).is_err(), "short");
    assert_eq!(window, fold.window());
}

/// Whatever a column holds, and however many rows there are, the frame stays small; the same rows draw the same one.
#[test]
fn a_survey_is_bounded_and_repeatable() {
    let mut draw = Draw(5);
    let rows: Vec<Row> = (0..300_000u32).map(|at| (Some(draw.normal()), Some(format!("n{}", at % 10_000)), None)).collect();
    let (one, again) = (survey(&rows), survey(&rows));
    assert_eq!(bytes(&one), bytes(&again));
    let Reference::Categorical(names) = &one.columns()["plan"] else { panic!("names") };
    assert_eq!((names.names().count(), one.segments()["plan"].len() <= 32), (1000, true));
    let Reference::Numeric { histogram, deviation } = &one.columns()["age"] else { panic!("numbers") };
    assert!((deviation - 1.0).abs() < 0.01);
    let masses = &histogram.counts()[1..histogram.counts().len() - 1];
    assert!(masses.iter().all(|rows| (150..500).contains(rows)), "about 300,000 / 1,024 each: {masses:?}");
}

#[test]
fn a_column_without_numbers_and_a_segment_that_is_none_are_named() {
    let columns = BTreeMap::from([("age".to_owned(), Kind::Numbers)]);
    let segment = Survey::new(&columns, &["age"], bins(8)).unwrap_err();
    assert_eq!(segment, SurveyError::Segment("age".into()));
    let mut survey = Survey::new(&columns, &[""; 0], bins(8)).unwrap();
    survey.see(&[Column::Numbers(&[f64::NAN, MISSING])], 2).unwrap();
    assert!(survey.frame().unwrap_err().to_string().starts_with("column \"age\": no finite value"));
}

#[test]
fn a_stored_profile_whose_parts_do_not_fit_is_refused() {
    let text = String::from_utf8(bytes(&profile())).unwrap();
    let error = serde_json::from_str::<Profile>(&text.replace("\"segments\":{\"plan\"", "\"segments\":{\"age\"")).unwrap_err();
    assert!(error.to_string().contains("no column of names"), "{error}");
}

fn count(fold: &Fold, window: &mut WindowCounts, rows: &[Row]) {
    let (numbers, plans, codes) = columns(rows);
    let codes: Vec<u32> =
        codes.iter().map(|name| name.map_or(switchyard_drift::MISSING_NAME, |name| fold.code(2, name))).collect();
    fold.count(window, &[Column::Numbers(&numbers), Column::Names(&plans), Column::Codes(&codes)], rows.len()).unwrap();
}

fn columns(rows: &[Row]) -> (Vec<f64>, Vec<Option<&str>>, Vec<Option<&str>>) {
    let numbers = rows.iter().map(|row| row.0.unwrap_or(MISSING)).collect();
    let names = |of: fn(&Row) -> &Option<String>| rows.iter().map(|row| of(row).as_deref()).collect();
    (numbers, names(|row| &row.1), names(|row| &row.2))
}

/// Columns in the order of their names: age, plan, region.
fn profile() -> Profile {
    let name = |at: u32| Some(["a", "b", "c"][at as usize % 3].to_owned());
    survey(&(0..500u32).map(|at| (Some(f64::from(at) / 500.0), name(at), name(at / 7))).collect::<Vec<Row>>())
}

fn survey(rows: &[Row]) -> Profile {
    let kinds = [("age", Kind::Numbers), ("plan", Kind::Names), ("region", Kind::Names)];
    let kinds: BTreeMap<String, Kind> = kinds.into_iter().map(|(name, kind)| (name.into(), kind)).collect();
    let mut survey = Survey::new(&kinds, &["plan"], bins(1024)).unwrap();
    let (numbers, plans, regions) = columns(rows);
    let columns = [Column::Numbers(&numbers), Column::Names(&plans), Column::Names(&regions)];
    survey.see(&columns, rows.len()).unwrap();
    let frame = survey.frame().unwrap();
    let fold = Fold::new(&frame);
    let mut counts = fold.window();
    fold.count(&mut counts, &columns, rows.len()).unwrap();
    frame.filled(&counts).unwrap()
}

fn row() -> impl Strategy<Value = Row> {
    let odd = prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(0.0), Just(-0.0)];
    (option::of(prop_oneof![odd, -1.0..2.0f64, any::<f64>()]), option::of("[a-e]"), option::of("[a-e]"))
}

fn bytes(state: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(state).unwrap()
}

fn bins(many: usize) -> NonZeroUsize {
    NonZeroUsize::new(many).unwrap()
}
