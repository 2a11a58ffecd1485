//! What the policy does, told as histories.

use std::time::Duration;

use switchyard_events::{Says, Told};

use super::{
    Crowned, End, Manual, Promotion, Record, Seen, Window,
    fixture::{AUTO, LIMIT, Life, at, crowned, resolved, result, rules, window},
    gate, step,
};

const TRAINS: [&str; 2] = ["requested", "build"];

#[test]
fn a_model_without_a_champion_is_trained_at_once_and_then_watched() {
    let mut life = Life { record: Record::new("churn", None, at(0)), rules: rules(AUTO), now: 0 };
    assert_eq!(life.record.state(0), "cold");
    assert!(life.later(0).is_empty(), "nothing is said before its data is known");
    assert_eq!(life.record.state(0), "requested");
    assert_eq!(life.train("k1"), TRAINS);
    assert_eq!(life.record.state(0), "training");
    assert_eq!(life.passes(), ["evaluated"]);
    assert_eq!(life.record.state(0), "evaluated");
    assert_eq!(life.crown(), ["promoted", "pinned", "finished promoted"]);
    assert_eq!((life.record.state(0), life.record.reference.as_deref()), ("watching", Some("k1")));
    assert_eq!(life.record.state(3), "warm-up");
}

#[test]
fn a_drift_trains_once_and_the_champion_that_follows_is_watched_from_the_beginning() {
    let mut life = Life::new(AUTO);
    assert!(life.window(1, false).is_empty());
    assert_eq!(life.window(2, true), ["detected"]);
    assert_eq!(life.train("k1"), TRAINS);
    assert_eq!(life.window(3, true), ["skipped cooldown"]);
    assert_eq!(life.passes(), ["evaluated"]);
    assert_eq!(life.crown(), ["promoted", "pinned", "cleared promoted", "finished promoted"]);
    assert_eq!(life.window(1, false), [""; 0]);
    assert!(life.see(window("champ", 9, true)).is_empty(), "what was weighed against the old reference says nothing");
    assert_eq!(life.record.watch.windows, 1);
}

#[test]
fn one_drift_is_one_chain_and_one_trace_from_its_detection_to_its_end() {
    let mut life = Life::new(AUTO);
    life.window(2, true);
    life.train("k1");
    life.passes();
    life.crown();
    let told = &life.record.outbox;
    let threads: Vec<_> = told.iter().map(|told| (&told.thread.chain, &told.thread.trace)).collect();
    assert!(threads.windows(2).all(|two| two[0] == two[1]), "{threads:?}");
    let names: Vec<_> = told.iter().map(super::fixture::short).collect();
    let cause =
        |n: usize| told.iter().position(|other| Some(&other.id) == told[n].thread.cause.as_ref()).map(|n| names[n].as_str());
    assert_eq!((cause(0), cause(1), cause(2), cause(3)), (None, Some("detected"), Some("requested"), Some("build")));
    let build_of = |told: &Told| if let Says::Requested(requested) = &told.says { requested.build.clone() } else { None };
    let requested = told.iter().find_map(build_of);
    assert_eq!(requested, told.iter().find_map(Told::build), "the request names its build");
}

#[test]
fn what_follows_from_an_event_hangs_where_that_was_published() {
    let mut life = Life::new(AUTO);
    life.window(2, true);
    let detected = life.record.outbox[0].id.clone();
    let hop = |of: &str| Some(format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{of}-01"));
    life.see(Seen::Stored([(detected.clone(), hop("1111111111111111"))].into()));
    life.see(Seen::Stored([(detected, hop("2222222222222222"))].into()));
    life.train("k1");
    let told: Vec<_> = life.record.outbox.iter().map(|told| told.thread.hop.clone()).collect();
    assert_eq!(told, [hop("1111111111111111"), None], "the request's, the first counts; the build's is not known yet");
    let requested = life.record.outbox[0].id.clone();
    life.see(Seen::Stored([(requested, hop("3333333333333333"))].into()));
    assert_eq!(life.record.outbox[0].thread.hop, hop("3333333333333333"));
}

#[test]
fn a_thousand_windows_that_drift_at_once_are_one_run() {
    let mut life = Life::new(AUTO);
    let told: Vec<_> = (1..=1000).flat_map(|number| life.window(number, true)).collect();
    assert_eq!((life.record.runs, told.iter().filter(|what| *what == "detected").count()), (1, 1));
    assert_eq!(told.iter().filter(|what| *what == "skipped running").count(), 999, "and each says why it begins none");
}

#[test]
fn while_warming_up_a_drift_is_seen_and_nothing_is_begun() {
    let mut life = Life::new("{mode: auto, triggers: [drift], warmup: 2}");
    assert_eq!(life.window(1, true), ["detected", "skipped warm_up"]);
    assert_eq!(life.window(2, true), ["skipped warm_up"]);
    assert!(life.window(3, true).is_empty());
    assert_eq!(life.record.state(2), "requested");
}

#[test]
fn what_a_cooldown_keeps_is_begun_when_it_is_over() {
    let mut life = Life::new("{mode: auto, triggers: [drift], cooldown: 60, concurrency: queue}");
    life.window(1, true);
    life.train("k1");
    assert_eq!(life.end(|key, compared| result(key, compared, false))[..2], ["evaluated", "rejected"]);
    life.record.backoff = None;
    assert_eq!(life.window(2, true), ["skipped cooldown"]);
    assert!(life.later(59).is_empty(), "that is said once");
    let why = gate(&life.record, &life.rules, at(59), (false, false)).unwrap_err();
    assert_eq!(why.until, Some(at(60)));
    life.later(1);
    assert_eq!(life.train("k2"), TRAINS);
}

#[test]
fn rejected_runs_back_off_twice_as_long_each_time_and_the_same_windows_ask_no_second_time() {
    let mut life = Life::new("{mode: auto, triggers: [drift], rejectBackoff: 30}");
    life.window(1, true);
    for (n, (key, minutes)) in [("k1", 30), ("k2", 60), ("k3", 120)].into_iter().enumerate() {
        assert_eq!(life.train(key), TRAINS);
        assert_eq!(life.end(|key, compared| result(key, compared, false)), ["evaluated", "rejected", "finished rejected"]);
        assert_eq!(life.record.state(0), "drifted", "the drift stays visible");
        assert!(life.later(minutes - 1).is_empty());
        assert_eq!(life.window(n as u64 + 2, true), ["skipped backoff"]);
        assert!(life.later(1).is_empty());
        assert_eq!(life.record.state(0), "requested", "{key}");
    }
    assert_eq!(life.train("k4"), TRAINS);
    life.end(|key, compared| result(key, compared, false));
    assert!(life.later(10_000).is_empty());
    assert_eq!(life.record.state(0), "drifted", "no new window, no new run");
}

#[test]
fn a_run_that_failed_is_tried_again_after_its_back_off_with_the_same_data() {
    let mut life = Life::new("{mode: auto, triggers: [drift], rejectBackoff: 30}");
    life.window(1, true);
    life.train("k1");
    assert_eq!(life.end(|_, _| End::Failed("exit 1".into())), ["finished failed", "skipped backoff"]);
    assert!(life.later(29).is_empty());
    life.later(1);
    assert_eq!(life.train("k1"), TRAINS);
}

#[test]
fn a_candidate_that_could_not_be_compared_is_rejected_and_never_promoted() {
    let ended = |passed: bool| {
        let mut life = Life::new(AUTO);
        life.window(1, true);
        life.train("k1");
        let told = life.end(|key, _| result(key, None, passed));
        assert_eq!(life.record.reference.as_deref(), Some("champ"));
        told
    };
    assert_eq!(ended(false)[..2], ["evaluated", "rejected"]);
    assert_eq!(ended(true)[0], "finished failed");
}

#[test]
fn garbage_as_a_result_fails_with_the_reason_and_leaves_the_champion() {
    let wrong: [fn(&mut switchyard_model::RunResult); 6] = [
        |result| result.run = "other".into(),
        |result| result.compared = Some("other".into()),
        |result| result.gate.failed.push("auc".into()),
        |result| result.model.path = "runs/k1/../../x".into(),
        |result| result.profile.sha256 = "zz".into(),
        |result| {
            result.metrics.insert("auc".into(), f64::NAN);
        },
    ];
    for spoil in wrong {
        let mut life = Life::new(AUTO);
        life.window(1, true);
        life.train("k1");
        let told = life.end(|key, compared| {
            let mut end = result(key, compared, true);
            if let End::Result(result) = &mut end {
                spoil(result);
            }
            end
        });
        assert_eq!(told[0], "finished failed");
        let reason = life.record.ended.as_ref().unwrap().reason.clone().unwrap();
        assert!(reason.starts_with("its result is not one: "), "{reason}");
        assert_eq!(life.record.reference.as_deref(), Some("champ"));
    }
}

#[test]
fn the_same_data_never_trains_twice() {
    let mut life = Life::new("{mode: auto, triggers: [drift]}");
    life.window(1, true);
    life.train("k1");
    life.end(|key, compared| result(key, compared, false));
    life.later(100);
    assert!(life.window(2, true).is_empty());
    assert_eq!(life.train("k1"), ["skipped no_new_data"]);
    assert_eq!(life.window(3, true), ["skipped no_new_data"], "and it is not looked at every window");
    life.later(15);
    assert_eq!(life.train("k2"), TRAINS, "new data is looked for again");
}

#[test]
fn data_that_cannot_be_looked_up_is_looked_up_again() {
    let mut life = Life::new("{mode: auto, triggers: [{newRows: 100}]}");
    assert!(life.window(1, false).is_empty());
    let n = life.record.run.as_ref().unwrap().n;
    assert_eq!(life.see(Seen::Resolved { n, found: Err("no such bucket".into()) }), ["skipped no_manifest"]);
    assert!(life.later(4).is_empty());
    life.later(1);
    assert_eq!(life.train("k1"), TRAINS);
}

#[test]
fn a_model_only_suggests_or_asks_where_its_mode_says_so() {
    let mut suggests = Life::new("{mode: suggest, triggers: [drift], cooldown: 60}");
    assert_eq!(suggests.window(1, true), ["detected", "skipped suggested"]);
    assert_eq!(suggests.window(2, true), ["skipped cooldown"]);
    let wanted = |id: &str, now| Seen::Wanted { id: id.into(), manual: Manual { by: "ann".into(), now } };
    assert!(suggests.see(wanted("1", false)).is_empty(), "a suggestion keeps nobody from doing it");
    assert_eq!(suggests.train("k1"), TRAINS);
    let mut asks = Life::new("{mode: approve, triggers: [drift]}");
    assert_eq!(asks.window(1, true), ["detected", "asked"]);
    assert_eq!(asks.window(2, true), ["skipped awaiting_approval"]);
    assert!(asks.record.run.is_none());
    let says = |id: &str, run, granted| Seen::Approval { id: id.into(), run, granted, by: "ann".into() };
    assert!(asks.see(says("1", Some(7), true)).is_empty(), "another run was meant");
    assert!(asks.see(says("2", Some(1), true)).is_empty());
    assert_eq!(asks.train("k1"), TRAINS);
    assert_eq!(asks.record.run.as_ref().unwrap().by.as_deref(), Some("ann"));
    let mut denied = Life::new("{mode: approve, triggers: [drift]}");
    denied.window(1, true);
    assert_eq!(denied.see(says("1", None, false)), ["skipped denied"]);
    assert!(denied.later(100).is_empty());
}

#[test]
fn a_run_under_way_is_left_followed_or_stopped_as_the_policy_says() {
    let of = |concurrency: &str| {
        let mut life = Life::new(&format!("{{mode: auto, triggers: [drift], concurrency: {concurrency}}}"));
        life.window(1, true);
        life.train("k1");
        life
    };
    let mut skips = of("skip");
    assert_eq!(skips.window(2, true), ["skipped running"]);
    skips.end(|key, compared| result(key, compared, false));
    assert!(skips.later(1000).is_empty() && skips.record.run.is_none(), "it is not made up for");
    let mut queues = of("queue");
    assert_eq!((queues.window(2, true), queues.window(3, true)), (vec!["skipped queued".into()], vec!["skipped queued".into()]));
    queues.end(|_, _| End::Cancelled);
    assert_eq!(queues.train("k2"), TRAINS, "one follows, however many asked");
    let mut stops = of("cancel-previous");
    assert_eq!(stops.window(2, true), ["cancel", "skipped queued"]);
    assert_eq!(stops.window(3, true), ["skipped queued"], "it is stopped once");
    assert_eq!(stops.record.runs, 1, "the next waits until it has ended");
    assert_eq!(stops.end(|_, _| End::Cancelled), ["finished cancelled"]);
    assert_eq!(stops.train("k2"), TRAINS);
}

#[test]
fn the_budget_counts_runs_and_hours_and_says_when_there_is_room_again() {
    let mut life = Life::new("{mode: auto, triggers: [{newRows: 100}], budget: {runs: 2, podHours: 1.4, per: 1d}}");
    life.window(1, false);
    life.train("k1");
    life.later(10);
    life.end(|key, compared| result(key, compared, false));
    life.record.backoff = None;
    assert!(life.window(2, false).is_empty(), "10 minutes were used, and an hour is set aside for the next");
    life.train("k2");
    life.end(|key, compared| result(key, compared, false));
    life.record.backoff = None;
    assert_eq!(life.window(3, false), ["skipped budget"]);
    let why = gate(&life.record, &life.rules, at(life.now), (true, true)).unwrap_err();
    assert_eq!(why.until, Some(at(24 * 60)), "{why}: also for those in a hurry");
    life.later(24 * 60);
    assert_eq!(life.train("k3"), TRAINS);
    assert_eq!(rules(AUTO).run_time, LIMIT);
}

#[test]
fn an_attempt_after_another_needs_room_in_the_budget_too() {
    let attempt = |life: &Life, attempt| {
        let build = life.record.run.as_ref().unwrap().training().unwrap().build.clone();
        Seen::Finished { build, attempt, used: Duration::from_mins(30), end: None }
    };
    let mut life = Life::new("{mode: auto, triggers: [{newRows: 100}], budget: {podHours: 1.9, per: 1d}}");
    life.window(1, false);
    life.train("k1");
    let first = attempt(&life, 1);
    assert!(life.see(first.clone()).is_empty() && life.see(first).is_empty(), "half an hour was used, and an hour may be");
    assert_eq!(life.record.spent[0].ms, 90 * 60 * 1000);
    let second = attempt(&life, 2);
    assert_eq!(life.see(second.clone()), ["skipped budget", "cancel"], "an hour was used: there is no room for another");
    assert!(life.see(second).is_empty());
    assert_eq!(life.end(|_, _| End::Cancelled), ["finished cancelled"]);
    assert!(life.record.run.is_none());
}

#[test]
fn times_that_were_missed_are_one_and_triggers_can_be_put_together() {
    let mut life = Life::new("{mode: auto, triggers: [{cron: '0 * * * *'}]}");
    life.later(10 * 60);
    assert_eq!(life.train("k1"), TRAINS);
    assert!(life.end(|key, compared| result(key, compared, true)).len() == 1 && life.crown().len() == 3);
    assert!(life.later(1).is_empty() && life.record.run.is_none(), "ten times that were missed are one run");
    let mut both = Life::new("{mode: auto, triggers: {all: [drift, {newRows: 300}]}}");
    assert_eq!((both.window(1, true), both.window(2, true)), (vec!["detected".into()], vec![]));
    assert!(both.record.run.is_none());
    both.window(3, true);
    assert_eq!(both.record.run.as_ref().unwrap().causes.len(), 2);
    let mut some = Life::new("{mode: auto, triggers: {atLeast: 2, of: [drift, performance, {newRows: 1000}]}}");
    some.window(1, true);
    assert!(some.record.run.is_none());
    let window = Window { reference: "champ".into(), number: 2, poor: Some("auc 0.6".into()), ..Window::default() };
    let Seen::Window(drifted) = super::fixture::window("champ", 2, true) else { panic!() };
    some.see(Seen::Window(Window { drifted: drifted.drifted, ..window }));
    assert!(some.record.run.is_some());
}

#[test]
fn a_candidate_is_no_champion_where_the_champion_has_changed_meanwhile() {
    let mut life = Life::new(AUTO);
    life.window(1, true);
    life.train("k1");
    life.passes();
    let outcome = Promotion::Superseded("the champion is old by now".into());
    assert_eq!(life.see(Seen::Promoted { n: 1, outcome }), ["rejected", "finished rejected"]);
    assert_eq!(life.record.reference.as_deref(), Some("champ"));
}

#[test]
fn a_rollback_watches_the_old_champion_again() {
    let mut life = Life::new(AUTO);
    life.window(1, true);
    let wanted = Seen::RollBack { id: "1".into(), to: None, by: "ann".into() };
    assert!(life.see(wanted.clone()).is_empty());
    let old =
        Crowned { run: "old".into(), replaced: Some("champ".into()), sha256: "0".into(), path: "p".into(), serving: Vec::new() };
    assert_eq!(life.see(Seen::RolledBack(Ok(old))), ["rolled back", "pinned", "cleared rolledback"]);
    assert_eq!(life.record.reference.as_deref(), Some("old"));
    assert!(life.see(wanted).is_empty() && life.record.rollback.is_none(), "asking is heard once");
}

#[test]
fn seeing_the_same_again_changes_nothing() {
    let mut life = Life::new(AUTO);
    let mut seen = vec![window("champ", 1, true)];
    life.see(seen[0].clone());
    for next in [
        |record: &Record| resolved(record, "k1"),
        |record: &Record| super::fixture::finished(record, |key, compared| result(key, compared, true)).unwrap(),
        |record: &Record| crowned(record).unwrap(),
    ] {
        let next = next(&life.record);
        life.see(next.clone());
        seen.push(next);
    }
    let Life { record, rules, now } = &life;
    for again in seen {
        assert_eq!(step(record, rules, again, at(*now)), (record.clone(), Vec::new()));
    }
    let ids = record.outbox.iter().map(|told| (told.id.clone(), None)).collect();
    assert!(step(record, rules, Seen::Stored(ids), at(*now)).0.outbox.is_empty());
}
