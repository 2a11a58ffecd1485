//! What windows must hold to, on plain values.

use jiff::Timestamp;
use proptest::{collection::vec, prelude::*};
use serde_json::json;

use super::{
    judging::Course,
    state::{Part, State, Taken},
};
use crate::{
    Judged, Watch,
    fixture::{event, pinned, watch},
    ingest::{KSERVE_REQUEST, KSERVE_RESPONSE, LABELS, ROWS},
};

const ROW_WINDOWS: &str = "{window: {rows: 100}, minSamples: 20, performance: {metric: auc, drop: 0.1}}";

/// A message: its event, and when it was stored.
#[derive(Clone, Debug)]
struct Message(cloudevents::Event, i64);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whoever takes over, and wherever, reads the kept bytes and goes on: nothing tells that there was more than one.
    #[test]
    fn a_state_is_the_same_bytes_wherever_it_was_kept_and_read_again(
        sizes in vec(1..40usize, 1..30),
        cuts in vec(any::<bool>(), 30),
        again in vec(any::<bool>(), 30),
        time_windows in any::<bool>(),
    ) {
        let watch = watch(if time_windows { "{window: {every: 60s, lateness: 5s}}" } else { ROW_WINDOWS });
        let mut messages: Vec<Message> = sizes.iter().zip(0..).map(|(rows, n)| message(n, *rows)).collect();
        for n in (0..messages.len()).filter(|n| again[*n]).collect::<Vec<_>>() {
            messages.push(messages[n].clone());
        }
        let (mut whole, mut cut) = (State::begin(&watch, 0), State::begin(&watch, 0));
        for (n, message) in messages.iter().enumerate() {
            take(&watch, &mut whole, message);
            take(&watch, &mut cut, message);
            if cuts[n % cuts.len()] {
                cut = serde_json::from_slice(&bytes(&cut)).unwrap();
            }
        }
        prop_assert_eq!(bytes(&cut), bytes(&whole));
        let rows: u64 = whole.open.values().chain(whole.parts.values().map(AsRef::as_ref)).map(|part| part.counts.rows() + part.late).sum();
        prop_assert_eq!(rows, sizes.iter().sum::<usize>() as u64, "each row is in one window, once");
        if !time_windows {
            prop_assert!(whole.parts.values().all(|part| part.counts.rows() == 100));
        }
    }

    /// However rows are dealt to partitions, the windows of all say the same.
    #[test]
    fn a_window_says_the_same_however_its_rows_were_dealt(dealt in vec(0..4usize, 400), shift in 0.0..0.5f64) {
        let watch = watch("{window: {rows: 400}, minSamples: 20}");
        let mut parts = vec![Part::empty(&watch); 4];
        let mut one = Part::empty(&watch);
        for (n, part) in dealt.iter().enumerate() {
            let mut state = State::begin(&watch, 0);
            take(&watch, &mut state, &shifted(n, 1, shift));
            parts[*part].merge(&state.open[&0]);
            one.merge(&state.open[&0]);
        }
        let mut merged = Part::empty(&watch);
        for part in parts.iter().rev() {
            prop_assert!(merged.merge(part));
        }
        prop_assert_eq!(bytes(&merged), bytes(&one));
        let course = Course::default().begin(&watch);
        prop_assert_eq!(course.judge(&watch, 0, &merged).unwrap(), course.judge(&watch, 0, &one).unwrap());
    }
}

#[test]
fn a_window_of_rows_is_cut_inside_of_a_batch() {
    let watch = watch(ROW_WINDOWS);
    let mut state = State::begin(&watch, 0);
    take(&watch, &mut state, &message(0, 250));
    assert_eq!((state.closed, state.parts.len(), state.open[&2].counts.rows()), (2, 2, 50));
}

#[test]
fn four_partitions_close_a_quarter_each() {
    let watch = watch("{input: {format: kserve-v2, partitions: 4}, window: {rows: 5000}}");
    assert_eq!((watch.rows(), watch.subject(3)), (Some(1250), "inference.churn.3".into()));
}

#[test]
fn a_window_of_time_waits_for_late_rows_and_no_longer() {
    let watch = watch("{window: {every: 60s, lateness: 10s}}");
    let mut state = State::begin(&watch, 0);
    let mut at = |seconds: i64| {
        let row = json!({"rows": [{"age": 0.5, "ts": seconds}]}).to_string();
        let id = state.latest.to_string() + &seconds.to_string();
        state.take(&watch, &event(&id, ROWS, &row), Timestamp::from_second(10_000).unwrap());
        (state.closed, state.open.values().map(|part| part.late).sum::<u64>())
    };
    assert_eq!(at(59), (0, 0));
    assert_eq!(at(65), (0, 0), "its rows may come until second 70");
    assert_eq!(at(58), (0, 0));
    assert_eq!(at(71), (1, 0));
    assert_eq!(at(59), (1, 1), "too late");
    assert_eq!(state.parts[&0].counts.rows(), 2);
    state.idle(&watch, Timestamp::from_second(300).unwrap());
    assert_eq!(state.closed, 4, "up to 300 less 10 for the clock and 10 for late rows");
}

#[test]
fn request_and_response_share_id_and_source_and_both_count() {
    let watch = watch("{window: {rows: 100}, minSamples: 20, columns: {prediction: {ks: 0.1}}}");
    let mut state = State::begin(&watch, 0);
    let (request, response) = (r#"{"instances": [[0.5, 0.5, "pro"]]}"#, r#"{"predictions": [0.75]}"#);
    let now = Timestamp::UNIX_EPOCH;
    for _ in 0..2 {
        state.take(&watch, &event("a", KSERVE_REQUEST, request), now);
        state.take(&watch, &event("a", KSERVE_RESPONSE, response), now);
    }
    let part = &state.open[&0];
    assert_eq!((part.counts.rows(), part.again), (1, 2));
    let answers =
        watch.profile.weigh(&part.counts, "prediction", &watch.rules.iter().find(|(name, _)| name == "prediction").unwrap().1);
    assert_eq!(answers.unwrap().rows, 1);
}

#[test]
fn labels_find_their_predictions_by_id_within_their_time() {
    let watch = watch("{window: {rows: 100}, minSamples: 20, labels: {wait: 60s}, performance: {metric: auc, min: 0.7}}");
    let mut state = State::begin(&watch, 0);
    let mut say = |ty: &str, id: &str, data: &str, at: i64| {
        state.take(&watch, &event(id, ty, data), Timestamp::from_second(at).unwrap());
        state.open.get(&0).map_or(0, |part| part.scores.rows)
    };
    assert_eq!(say(KSERVE_RESPONSE, "a", r#"{"predictions": [0.9, 0.1]}"#, 0), 0);
    assert_eq!(
        say(LABELS, "l1", r#"{"labels": [{"id": "a/0", "label": 1}, {"id": "a/1", "label": 0}, {"id": "b", "label": 1}]}"#, 50),
        2
    );
    assert_eq!(say(KSERVE_RESPONSE, "b", r#"{"predictions": [0.8]}"#, 60), 3, "a label that came first");
    assert_eq!(say(ROWS, "c", r#"{"rows": [{"id": "k", "age": 1, "prediction": 0.3}]}"#, 60), 3);
    assert_eq!(say(LABELS, "l2", r#"{"labels": [{"id": "k", "label": 0}]}"#, 61), 4, "a row of a batch is known by its key");
    assert_eq!(say(KSERVE_RESPONSE, "d", r#"{"predictions": [0.8]}"#, 100), 4);
    assert_eq!(say(LABELS, "l3", r#"{"labels": [{"id": "d", "label": 1}]}"#, 161), 4, "too late");
}

#[test]
fn what_cannot_be_read_is_counted_and_stops_nothing() {
    let watch = watch(ROW_WINDOWS);
    let mut state = State::begin(&watch, 0);
    let taken = state.take(&watch, &event("a", ROWS, r#"{"rows": [{"age": []}]}"#), Timestamp::UNIX_EPOCH);
    assert!(matches!(taken, Taken::Unreadable(_)));
    state.lose(&watch, 3, 0);
    take(&watch, &mut state, &message(1, 100));
    let part = &state.parts[&0];
    assert_eq!((part.unreadable, part.counts.gaps(), part.counts.rows()), (1, 3, 100));
}

#[test]
fn a_shift_is_a_verdict_after_two_windows_and_says_where() {
    let watch = watch("{window: {rows: 500}, minSamples: 100, segments: [plan]}");
    let mut course = Course::default().begin(&watch);
    let mut judged = Vec::new();
    for number in 0..3 {
        let mut state = State::begin(&watch, 0);
        take(&watch, &mut state, &shifted(usize::try_from(number).unwrap(), 500, 0.4));
        course = course.judge(&watch, number, &state.parts[&0]).unwrap();
        judged.push(course.last.clone().unwrap());
    }
    assert_eq!(judged.iter().map(|judged| judged.window).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(judged.iter().map(|judged| judged.drifted).collect::<Vec<_>>(), [false, true, true]);
    assert_eq!(judged[1].drifted_columns(), ["age", "plan=free/age", "plan=pro/age", "plan=team/age"]);
    assert_eq!((judged[2].new_rows, judged[2].rows, judged[2].lossy()), (1500, 500, false));
    let read: Judged = serde_json::from_str(&serde_json::to_string(&judged[2]).unwrap()).unwrap();
    assert_eq!((read.drifted_columns(), read.rows), (judged[2].drifted_columns(), 500));
    assert_eq!(judged[2].segments["plan=pro"].keys().collect::<Vec<_>>(), ["age", "score"]);
}

#[test]
fn a_model_that_gets_worse_is_bad_after_two_windows_with_labels_enough() {
    let watch = watch("{window: {rows: 100}, minSamples: 50, performance: {metric: auc, drop: 0.1}}");
    let mut course = Course::default().begin(&watch);
    let mut bad = |good: bool, rows: u64| {
        let mut part = Part::empty(&watch);
        for row in 0..rows {
            let yes = row % 2 == 0;
            part.scores.add(watch.task, if yes == good { "0.9" } else { "0.1" }, if yes { "1" } else { "0" });
        }
        course = course.judge(&watch, course.next, &part).unwrap();
        let performed = course.last.clone().unwrap().performance.unwrap();
        (performed.value, performed.limit, performed.bad)
    };
    assert_eq!(bad(true, 60), (Some(1.0), Some(0.8), false));
    assert_eq!(bad(false, 60), (Some(0.0), Some(0.8), false));
    assert_eq!(bad(false, 10), (Some(0.0), Some(0.8), false), "too few to say anything");
    assert_eq!(bad(false, 60), (Some(0.0), Some(0.8), true));
    assert_eq!(bad(true, 0), (None, Some(0.8), true));
}

#[test]
fn another_reference_begins_anew_and_window_numbers_go_on() {
    let old = watch(ROW_WINDOWS);
    let (model, _) = switchyard_model::read(&format!("{}monitor: {ROW_WINDOWS}\n", crate::fixture::MODEL)).unwrap();
    let new = Watch::new(&model, pinned("other"), 2).unwrap();
    assert_ne!(old.basis, new.basis);
    let course = Course::default().begin(&old).judge(&old, 0, &Part::empty(&old)).unwrap();
    let course = course.begin(&new);
    assert_eq!((course.next, course.windows, course.rows, course.standings.len()), (0, 1, 0, 0));
    assert_eq!(course.judge(&new, 0, &Part::empty(&new)).unwrap().last.unwrap().window, 2);
}

fn take(watch: &Watch, state: &mut State, Message(event, stored): &Message) {
    let taken = state.take(watch, event, Timestamp::from_microsecond(*stored).unwrap());
    assert!(matches!(taken, Taken::Rows(_) | Taken::Again), "{taken:?}");
}

/// Rows as the reference has them; message `n` comes in second `n`.
fn message(n: usize, rows: usize) -> Message {
    shifted(n, rows, 0.0)
}

fn shifted(n: usize, rows: usize, shift: f64) -> Message {
    let number = |row: usize| f64::from(u32::try_from((n * 977 + row * 613) % 1000).unwrap()) / 1000.0;
    let plans = ["free", "pro", "team"];
    let row = |row: usize| {
        json!({"id": format!("{n}-{row}"), "age": number(row) + shift, "plan": plans[row % 3], "score": number(row + 1),
            "prediction": number(row + 2)})
    };
    let data = json!({"rows": (0..rows).map(row).collect::<Vec<_>>()}).to_string();
    Message(event(&n.to_string(), ROWS, &data), i64::try_from(n).unwrap() * 7_000_000)
}

fn bytes(state: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(state).unwrap()
}
