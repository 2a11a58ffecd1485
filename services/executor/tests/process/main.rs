//! The process plugin with real processes: nothing here is simulated, and what a build does is seen by what it leaves.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod yard;

use std::{
    fs,
    time::{Duration, Instant},
};

use switchyard_events::{Limits, Reason, TimeLimit};
use switchyard_executor::{CreateError, Executor as _, Launch, Lifeline, Phase, Seen, is_unisolated};

use yard::{Yard, alive, kill, launch, next, steps};

#[tokio::test]
async fn a_build_runs_in_its_workspace_and_hands_over_its_result() {
    let yard = Yard::new("");
    let run = "printf hello > file; cat file; printf '{\"tests\": 3}' > \"$SWITCHYARD_TERMINATION_LOG\"; pwd; env";
    let mut launch = steps(&[("build", run), ("check", "test -f file && test \"$CI\" = true")]);
    launch.spec.env.insert("CI".to_owned(), "true".to_owned());
    let uid = yard.run(&launch).await;
    let ended = yard.until(&launch, |seen| seen.phase.is_ended()).await;
    assert_eq!((ended.phase, ended.exit, ended.end()), (Phase::Succeeded, Some(0), Some(Reason::Succeeded)), "{ended:?}");
    assert_eq!(ended.result.as_deref(), Some("{\"tests\": 3}"));
    assert!(ended.started_at <= ended.finished_at && ended.started_at >= Some(ended.created_at));
    assert_eq!(ended.traceparent.as_deref(), Some(launch.traceparent.as_str()));

    let output = yard.output(&launch);
    assert!(output.starts_with("hello") && output.contains("/workspace\n"), "{output}");
    let told = |name: &str| output.lines().any(|line| line.starts_with(&format!("{name}=")));
    assert!(told("SWITCHYARD_BUILD") && told("TRACEPARENT") && told("PATH"), "{output}");
    assert!(!told("CARGO_PKG_NAME"), "nothing else of the executor's environment, where its credentials are:\n{output}");
    assert!(is_unisolated(&uid));
}

#[tokio::test]
async fn a_step_that_fails_is_named_and_stops_the_build() {
    let yard = Yard::new("");
    let launch = steps(&[("compile", "true"), ("unit tests", "echo broken; exit 3"), ("never", "echo reached")]);
    let uid = yard.run(&launch).await;
    let ended = yard.until(&launch, |seen| seen.dead).await;
    assert_eq!((ended.phase, ended.exit, ended.result.clone()), (Phase::Failed, Some(3), None));
    assert_eq!(ended.end(), Some(Reason::StepFailed("unit tests".to_owned(), 3)));
    let said = "broken\nswitchyard: step \"unit tests\" failed with exit code 3\n";
    assert_eq!(yard.output(&launch), said);
    assert_eq!(yard.executor.log(&launch.build, 1, &uid).await, Ok(Some(said.as_bytes().to_owned())));
    assert_eq!(yard.executor.log(&launch.build, 1, "another").await, Ok(None));
    assert_eq!(yard.executor.list().await, Ok(vec![ended]));
}

#[tokio::test]
async fn an_unbound_build_never_starts() {
    let yard = Yard::new("");
    let (waiting, going) = (yard.leaves_a_trace("waiting"), Launch { attempt: 2, ..yard.leaves_a_trace("going") });
    let uid = yard.executor.create(&waiting).await.unwrap();
    for other in ["process-00000000-0000-0000-0000-000000000000", "none", ""] {
        yard.executor.ungate(&waiting.build, 1, other).await.unwrap();
    }
    // Whoever starts a supervisor too early starts nothing.
    assert!(yard.supervise(&waiting).success());
    yard.run(&going).await;
    yard.until(&going, |seen| seen.dead).await;
    let seen = yard.look(&waiting).await.unwrap();
    assert_eq!((seen.phase, seen.deleting, seen.dead, seen.uid.as_str()), (Phase::Gated, false, false, uid.as_str()));
    assert_eq!(yard.traces(), ["going"]);

    // Deleted before it was bound, it cannot start any more, whoever tries.
    yard.executor.delete(&waiting.build, 1, &uid).await.unwrap();
    yard.executor.ungate(&waiting.build, 1, &uid).await.unwrap();
    assert!(yard.supervise(&waiting).success());
    let dead = yard.look(&waiting).await.unwrap();
    assert!(dead.dead && dead.held, "{dead:?}");
    assert_eq!(dead.end(), Some(Reason::Deleted));
    assert!(matches!(yard.executor.create(&waiting).await, Err(CreateError::Later(_))), "it is going: not the one to bind");
    yard.executor.release(&waiting.build, 1, &uid).await.unwrap();
    assert_eq!(yard.look(&waiting).await, None);
    assert_eq!(yard.traces(), ["going"]);
}

#[tokio::test]
async fn a_build_is_started_once_whoever_asks_how_often() {
    let yard = Yard::new("");
    let launch = yard.leaves_a_trace("once");
    let uid = yard.executor.create(&launch).await.unwrap();
    assert_eq!(yard.executor.create(&launch).await, Ok(uid.clone()));
    let ungate = || yard.executor.ungate(&launch.build, 1, &uid);
    let (a, b, c) = tokio::join!(ungate(), ungate(), ungate());
    assert_eq!((a, b, c), (Ok(()), Ok(()), Ok(())));
    yard.until(&launch, |seen| seen.dead).await;
    ungate().await.unwrap();
    assert!(yard.supervise(&launch).success());
    assert_eq!(yard.traces(), ["once"]);
    assert_eq!(yard.look(&launch).await.unwrap().end(), Some(Reason::Succeeded));
}

#[tokio::test]
async fn a_step_that_ignores_sigterm_is_gone_after_its_grace() {
    let yard = Yard::new("terminationGrace: 1s");
    // One in the group of the build, one in a session of its own, and the script's own shell.
    let stubborn = "trap '' TERM; (trap '' TERM; setsid sh -c \"trap '' TERM; while :; do sleep 1; done\" &) ; \
        while :; do sleep 1; done";
    let launch = steps(&[("stubborn", stubborn)]);
    let uid = yard.run(&launch).await;
    yard.until_processes(&uid, |count| count >= 3).await;
    let asked = Instant::now();
    yard.executor.delete(&launch.build, 1, &uid).await.unwrap();
    let ended = yard.until(&launch, |seen| seen.dead).await;
    assert!(asked.elapsed() >= Duration::from_secs(1), "it had its grace");
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
    assert_eq!((ended.phase, ended.end(), ended.deleting), (Phase::Failed, Some(Reason::Deleted), true));
    assert_eq!(alive(&uid), [0; 0]);
}

#[tokio::test]
async fn a_step_that_minds_sigterm_may_clean_up() {
    let yard = Yard::new("terminationGrace: 60s");
    let launch = steps(&[("polite", "trap 'echo cleaned; exit 0' TERM; echo up; while :; do sleep 0.1; done")]);
    let uid = yard.run(&launch).await;
    yard.until_output(&launch, "up").await;
    let asked = Instant::now();
    yard.executor.delete(&launch.build, 1, &uid).await.unwrap();
    let ended = yard.until(&launch, |seen| seen.dead).await;
    assert!(asked.elapsed() < Duration::from_secs(50), "nobody waited for the whole grace");
    assert_eq!(ended.end(), Some(Reason::Deleted), "it was cut short, whatever it returned");
    assert!(yard.output(&launch).contains("cleaned"));
}

#[tokio::test]
async fn a_step_that_runs_in_any_case_runs_within_the_grace() {
    let yard = Yard::new("terminationGrace: 60s");
    let mut launch = steps(&[("long", "echo up; sleep 600"), ("never", "echo reached"), ("tidy", "sleep 0.2; echo tidied")]);
    launch.spec.steps[2].always = true;
    let uid = yard.run(&launch).await;
    yard.until_output(&launch, "up").await;
    yard.executor.delete(&launch.build, 1, &uid).await.unwrap();
    let ended = yard.until(&launch, |seen| seen.dead).await;
    let said = yard.output(&launch);
    assert!(said.contains("tidied") && !said.contains("reached"), "{said}");
    assert_eq!(ended.end(), Some(Reason::Deleted));
    assert_eq!(ended.steps.iter().map(|step| step.name.as_str()).collect::<Vec<_>>(), ["long", "tidy"]);
}

#[tokio::test]
async fn what_a_build_leaves_running_dies_with_it() {
    let yard = Yard::new("");
    let launch = steps(&[("daemon", "setsid sleep 600 > /dev/null 2>&1 & sleep 600 & echo left")]);
    let uid = yard.run(&launch).await;
    let ended = yard.until(&launch, |seen| seen.dead).await;
    assert_eq!(ended.end(), Some(Reason::Succeeded));
    assert_eq!(alive(&uid), [0; 0]);
}

#[tokio::test]
async fn a_killed_supervisor_is_noticed_and_takes_its_build_along() {
    let yard = Yard::new("");
    let launch = steps(&[("long", "setsid sleep 600 & sleep 600 & sleep 600")]);
    let mut watch = yard.executor.watch();
    let uid = yard.run(&launch).await;
    yard.until_processes(&uid, |count| count >= 3).await;
    kill(yard.supervisor(&launch));
    let lost = loop {
        if let Seen::Present(seen) = next(&mut watch).await
            && seen.dead
        {
            break seen;
        }
    };
    assert_eq!((lost.phase, lost.exit, lost.end()), (Phase::Failed, None, Some(Reason::Lost)));
    assert!(lost.message.as_deref().unwrap().contains("its supervisor was killed"), "{lost:?}");
    assert_eq!(alive(&uid), [0; 0]);
    yard.executor.ungate(&launch.build, 1, &uid).await.unwrap();
    assert_eq!(yard.look(&launch).await, Some(*lost), "it is not started again");
}

#[tokio::test]
async fn a_supervisor_that_is_told_to_end_ends_its_build_first() {
    let yard = Yard::new("terminationGrace: 1s");
    let launch = steps(&[("long", "sleep 600")]);
    let uid = yard.run(&launch).await;
    yard.until_processes(&uid, |count| count >= 2).await;
    yard::terminate(yard.supervisor(&launch));
    assert_eq!(yard.until(&launch, |seen| seen.dead).await.end(), Some(Reason::Evicted));
    assert_eq!(alive(&uid), [0; 0]);
}

#[tokio::test]
async fn a_build_outlives_whoever_launched_it() {
    let yard = Yard::new("");
    let launch = steps(&[("wait", "while [ ! -e \"$GO\" ]; do sleep 0.05; done; echo went")]);
    let go = yard.folder().join("go");
    let launch = yard::with_variable(launch, "GO", go.to_str().unwrap());
    let first = yard.again().of_installation("one".to_owned());
    let uid = first.create(&launch).await.unwrap();
    first.ungate(&launch.build, 1, &uid).await.unwrap();
    drop(first);
    yard.until(&launch, |seen| seen.phase == Phase::Running).await;
    let second = yard.again().of_installation("another".to_owned());
    assert_eq!(second.create(&launch).await, Ok(uid.clone()), "a launcher that comes back finds what the first has made");
    second.ungate(&launch.build, 1, &uid).await.unwrap();
    fs::write(go, "").unwrap();
    let ended = yard.until(&launch, |seen| seen.dead).await;
    assert_eq!((ended.end(), ended.installation.as_deref()), (Some(Reason::Succeeded), Some("one")));
    assert_eq!(yard.output(&launch), "went\n");
}

#[tokio::test]
async fn without_a_reaper_the_supervisor_keeps_the_limit() {
    let yard = Yard::new("terminationGrace: 1s");
    let short = TimeLimit::seconds(1);
    let limits = Limits { pending: short, running_max: short, grace: TimeLimit::ZERO, ..Limits::STANDARD };
    let launch = Launch { limits, ..steps(&[("long", "sleep 600")]) };
    let uid = yard.run(&launch).await;
    let ended = yard.until(&launch, |seen| seen.dead).await;
    assert_eq!((ended.end(), ended.deleting), (Some(Reason::DeadlineExceeded), false));
    assert_eq!(alive(&uid), [0; 0]);
}

#[tokio::test]
async fn builds_end_with_whoever_holds_their_lifeline() {
    let yard = Yard::new("terminationGrace: 1s");
    let lifeline = Lifeline::hold(yard.folder()).unwrap();
    assert!(Lifeline::hold(yard.folder()).unwrap_err().to_string().contains("held by another process"));
    let launch = steps(&[("long", "sleep 600")]);
    let uid = yard.run(&launch).await;
    yard.until_processes(&uid, |count| count >= 2).await;
    assert_eq!(lifeline.let_go(yard::PATIENCE).await, 0);
    let ended = yard.look(&launch).await.unwrap();
    assert_eq!((ended.end(), ended.message.as_deref()), (Some(Reason::Evicted), Some("what it ran for has gone")));
    assert_eq!(alive(&uid), [0; 0]);
}

#[tokio::test]
async fn no_more_builds_than_slots() {
    let yard = Yard::new("slots: 2");
    let numbered = |attempt| Launch { attempt, ..launch() };
    let uid = yard.executor.create(&numbered(1)).await.unwrap();
    yard.executor.create(&numbered(2)).await.unwrap();
    let full = yard.executor.create(&numbered(3)).await.unwrap_err();
    assert!(full.to_string().contains("all 2 slots are taken"), "{full}");
    assert_eq!(yard.executor.create(&numbered(1)).await, Ok(uid.clone()), "what is there takes no second slot");
    yard.executor.delete(&launch().build, 1, &uid).await.unwrap();
    yard.executor.create(&numbered(3)).await.unwrap();
}

#[tokio::test]
async fn what_cannot_run_here_is_refused_by_name() {
    let strict = Yard::strict();
    let refused = strict.executor.create(&launch()).await.unwrap_err();
    assert!(matches!(&refused, CreateError::Rejected(why) if why.contains("without isolation")), "{refused}");
    assert_eq!(strict.look(&launch()).await, None);

    let yard = Yard::new("");
    yard.executor.create(&launch()).await.unwrap();
    let foreign = Launch { source: "/another".to_owned(), ..launch() };
    let refused = yard.executor.create(&foreign).await.unwrap_err();
    assert!(matches!(&refused, CreateError::Rejected(why) if why.contains("belongs to another build")), "{refused}");
}

#[tokio::test]
async fn limits_hold_for_every_process_of_a_build() {
    let yard = Yard::new("limits: {fileSize: 1Mi, openFiles: 64}");
    let mut launch = steps(&[
        ("show", "echo data=$(ulimit -d) files=$(ulimit -n) core=$(ulimit -c)"),
        ("write", "trap '' XFSZ; head -c 2000000 /dev/zero > big || test $(wc -c < big) -eq 1048576"),
    ]);
    launch.spec.ram = Some("256Mi".to_owned());
    yard.run(&launch).await;
    let ended = yard.until(&launch, |seen| seen.dead).await;
    assert!(yard.output(&launch).contains("data=262144 files=64 core=0"), "{}", yard.output(&launch));
    assert_eq!(ended.end(), Some(Reason::Succeeded), "{}", yard.output(&launch));
}

#[tokio::test]
async fn a_watch_tells_every_phase_and_the_end_of_the_folder() {
    let yard = Yard::new("");
    let before = Launch { attempt: 2, ..launch() };
    yard.executor.create(&before).await.unwrap();
    let mut watch = yard.executor.watch();
    let Seen::Present(first) = next(&mut watch).await else { panic!("what is there is told first") };
    assert_eq!((first.attempt, first.phase), (2, Phase::Gated));
    assert_eq!(next(&mut watch).await, Seen::Synced);

    let launch = steps(&[("short", "sleep 0.3")]);
    let uid = yard.run(&launch).await;
    let mut phases = Vec::new();
    while phases.last() != Some(&Phase::Succeeded) {
        if let Seen::Present(seen) = next(&mut watch).await {
            phases.push(seen.phase);
            phases.dedup();
        }
    }
    // Each look tells what is there now: a phase may be over before anybody looks, but none comes twice or out of order.
    assert!(phases.is_sorted_by_key(|phase| *phase as u8) && phases.contains(&Phase::Running), "{phases:?}");
    yard.executor.delete(&launch.build, 1, &uid).await.unwrap();
    yard.executor.release(&launch.build, 1, &uid).await.unwrap();
    let gone = Seen::Gone { build: launch.build.clone(), attempt: 1, uid };
    while next(&mut watch).await != gone {}
    assert!(!yard.attempt(&launch).exists());
}
