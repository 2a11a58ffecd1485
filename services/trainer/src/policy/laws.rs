//! What must hold of every history, however things come about.

use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;
use switchyard_events::{Says, Told};

use super::{
    End, Manual, Mode, Promotion, Record, Rules, Seen, Stage,
    fixture::{at, crowned, finished, resolved, result, rules, window},
    step,
};

/// Something that happens.
#[derive(Clone, Debug)]
enum Event {
    Window(u64, bool),
    Resolved(u8),
    NoManifest,
    Attempt,
    Passes,
    Rejected,
    Fails,
    Cancelled,
    Crowned,
    Superseded,
    Unusable,
    Approved(bool),
    Wanted(bool),
    RollBack,
    Stored,
    Minutes(i64),
    /// What happened before happens again.
    Again(usize),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0..40_u64, any::<bool>()).prop_map(|(number, drifted)| Event::Window(number, drifted)),
        4 => (0..6_u8).prop_map(Event::Resolved),
        1 => Just(Event::NoManifest),
        1 => Just(Event::Attempt),
        3 => Just(Event::Passes),
        2 => Just(Event::Rejected),
        1 => Just(Event::Fails),
        1 => Just(Event::Cancelled),
        3 => Just(Event::Crowned),
        1 => Just(Event::Superseded),
        1 => Just(Event::Unusable),
        2 => any::<bool>().prop_map(Event::Approved),
        1 => any::<bool>().prop_map(Event::Wanted),
        1 => Just(Event::RollBack),
        1 => Just(Event::Stored),
        6 => (1..200_i64).prop_map(Event::Minutes),
        2 => any::<usize>().prop_map(Event::Again),
    ]
}

fn policy() -> impl Strategy<Value = String> {
    let of = |words: &'static [&'static str]| proptest::sample::select(words);
    let triggers = of(&[
        "[drift]",
        "[{newRows: 200}]",
        "[{cron: '0 * * * *'}]",
        "[drift, {newRows: 500}]",
        "{all: [drift, {newRows: 100}]}",
    ]);
    let parts = (of(&["suggest", "approve", "auto"]), triggers, of(&["skip", "queue", "cancel-previous"]), 0..3_u32, 0..120_u32);
    (parts, 0..90_u32, of(&["runs: 1, ", "runs: 2, ", "runs: 5, ", ""]), 1..9_u32).prop_map(
        |((mode, triggers, concurrency, warmup, cooldown), backoff, runs, hours)| {
            format!(
                "{{mode: {mode}, triggers: {triggers}, concurrency: {concurrency}, warmup: {warmup}, cooldown: {cooldown}, \
             rejectBackoff: {backoff}, budget: {{{runs}podHours: {hours}, per: 10h}}}}"
            )
        },
    )
}

/// What an event means for the record as it stands.
fn seen(event: &Event, record: &Record, n: usize, before: &[Seen]) -> Option<Seen> {
    let promotion = |outcome| {
        let run = record.run.as_ref().filter(|run| matches!(run.stage, Stage::Promoting(..)))?;
        Some(Seen::Promoted { n: run.n, outcome })
    };
    let id = format!("e{n}");
    Some(match event {
        Event::Window(number, drifted) => window(record.reference.as_deref().unwrap_or_default(), *number, *drifted),
        Event::Resolved(key) => resolved(record, &format!("k{key}")),
        Event::NoManifest => Seen::Resolved { n: record.run.as_ref()?.n, found: Err("gone".into()) },
        Event::Attempt => {
            let Seen::Finished { build, attempt, used, .. } = finished(record, |_, _| End::Cancelled)? else { return None };
            Seen::Finished { build, attempt: attempt + 1, used, end: None }
        }
        Event::Passes => finished(record, |key, compared| result(key, compared, true))?,
        Event::Rejected => finished(record, |key, compared| result(key, compared, false))?,
        Event::Fails => finished(record, |_, _| End::Failed("exit 1".into()))?,
        Event::Cancelled => finished(record, |_, _| End::Cancelled)?,
        Event::Crowned => crowned(record)?,
        Event::Superseded => promotion(Promotion::Superseded("another".into()))?,
        Event::Unusable => promotion(Promotion::Unusable("no profile".into()))?,
        Event::Approved(granted) => Seen::Approval { id, run: None, granted: *granted, by: "ann".into() },
        Event::Wanted(now) => Seen::Wanted { id, manual: Manual { by: "ann".into(), now: *now } },
        Event::RollBack => Seen::RollBack { id, to: None, by: "ann".into() },
        Event::Stored => Seen::Stored(record.outbox.iter().map(|told| (told.id.clone(), None)).collect()),
        Event::Minutes(_) => Seen::Tick,
        Event::Again(which) => before.get(which % before.len().max(1))?.clone(),
    })
}

/// A whole life: everything that was told, and whether anybody approved or wanted a run.
struct Lived {
    told: Vec<Told>,
    spoken: bool,
}

fn live(rules: &Rules, events: &[Event]) -> Lived {
    let (mut record, mut now) = (Record::new("churn", Some("champ".into()), at(0)), 0);
    let mut lived = Lived { told: Vec::new(), spoken: false };
    let mut before = Vec::new();
    for (n, event) in events.iter().enumerate() {
        if let Event::Minutes(minutes) = event {
            now += minutes;
        }
        let Some(seen) = seen(event, &record, n, &before) else { continue };
        lived.spoken |= matches!(event, Event::Wanted(_) | Event::Approved(true));
        let (after, told) = step(&record, rules, seen.clone(), at(now));
        assert_eq!(step(&record, rules, seen.clone(), at(now)), (after.clone(), told.clone()), "the same is decided again");
        // What was seen is never seen twice; time alone may begin what has waited for it.
        if !matches!(seen, Seen::Tick) {
            assert_eq!(step(&after, rules, seen.clone(), at(now)), (after.clone(), Vec::new()), "{seen:?}");
        }
        let kept: Record = serde_json::from_str(&serde_json::to_string(&after).unwrap()).unwrap();
        assert_eq!(kept, after, "it is read as it was written");
        lived.told.extend(told);
        record = after;
        before.push(seen);
    }
    lived
}

/// Of each run that was begun, whether somebody wanted it, and so may have passed over the cooldown.
fn hurried(told: &[Told]) -> impl Iterator<Item = bool> {
    let requests = told.iter().filter_map(|told| if let Says::Requested(request) = &told.says { Some(request) } else { None });
    let begun = requests.filter(|request| request.approval.is_none());
    begun.map(|request| request.causes.iter().any(|cause| cause.trigger == "manual"))
}

/// Whether one run at most is under way at every moment.
fn one_at_a_time(told: &[Told]) -> bool {
    let mut under_way = 0;
    told.iter().all(|told| {
        under_way += i32::from(matches!(told.says, Says::Build(_))) - i32::from(matches!(told.says, Says::Finished(_)));
        (0..=1).contains(&under_way)
    })
}

/// When a run was begun, how many hours those of the period before it took, with the hour that it may take itself.
fn hours(told: &[Told], per: Duration) -> Vec<(Timestamp, f64)> {
    let begun: Vec<Timestamp> = told.iter().filter(|told| matches!(told.says, Says::Build(_))).map(|told| told.at).collect();
    let took = told.iter().filter_map(|told| if let Says::Finished(end) = &told.says { Some(end.pod_seconds) } else { None });
    let took: Vec<f64> = took.map(|seconds| Duration::from_secs(seconds).as_secs_f64() / 3600.0).collect();
    let within = |n: usize, other: usize| begun[n].duration_since(begun[other]).unsigned_abs() < per;
    let before = |n: usize| (0..n).filter(|other| within(n, *other)).map(|other| took[other]).sum::<f64>();
    (0..begun.len()).map(|n| (begun[n], 1.0 + before(n))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]
    #[test]
    fn whatever_happens_one_run_at_a_time_and_none_beyond_cooldown_budget_and_mode(
        policy in policy(), events in proptest::collection::vec(event(), 0..120),
    ) {
        let rules = rules(&policy);
        let Lived { told, spoken } = live(&rules, &events);
        prop_assert!(one_at_a_time(&told));
        let begun: Vec<_> = told.iter().filter(|told| matches!(told.says, Says::Build(_))).map(|told| told.at).collect();
        let cooldown = rules.policy.cooldown.duration();
        for (two, hurried) in begun.windows(2).zip(hurried(&told).skip(1)) {
            prop_assert!(hurried || two[1].duration_since(two[0]).unsigned_abs() >= cooldown, "{begun:?}");
        }
        let budget = rules.policy.budget.unwrap();
        let (most, per) = (budget.runs.map_or(usize::MAX, |runs| runs.get() as usize), budget.per.duration());
        for (n, first) in begun.iter().enumerate() {
            let within = begun[n..].iter().filter(|at| at.duration_since(*first).unsigned_abs() < per).count();
            prop_assert!(within <= most, "{within} runs in {per:?}: {begun:?}");
        }
        for (at, hours) in hours(&told, per) {
            prop_assert!(hours <= budget.pod_hours.unwrap(), "{hours} hours at {at}");
        }
        match rules.policy.mode {
            Mode::Auto => {}
            Mode::Approve | Mode::Suggest => prop_assert!(begun.is_empty() || spoken, "nobody said that a run may begin"),
        }
        let mut ids: Vec<_> = told.iter().map(|told| &told.id).collect();
        ids.sort();
        ids.dedup();
        prop_assert_eq!(ids.len(), told.len(), "every event has an id of its own");
    }
}
