//! The kubernetes plugin against a real API server and scheduler, with simulated nodes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod answers;
mod logs;
mod token;
mod whole;
mod yard;

use std::{
    fs,
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use kube::api::{DeleteParams, ObjectMeta, PostParams};
use switchyard_dev::ClusterUser;
use switchyard_events::{BuildKey, Reason};
use switchyard_executor::{CreateError, Executor as _, Kubernetes, Launch, Phase, Seen, Unreachable};

use yard::{
    Yard, connect, executor, lasting, launch, name, next, plane, present, retried, start, steered, unheard, with_kubeconfig,
};

#[tokio::test]
async fn a_created_pod_waits_for_its_gate_and_then_runs_in_its_virtual_machine() {
    let yard = Yard::new("gate").await;
    let (waiting, going) = (launch(1), launch(2));
    yard.launcher.create(&waiting).await.unwrap();
    let uid = yard.launcher.create(&going).await.unwrap();
    assert_eq!(yard.look(&going).await.unwrap().phase, Phase::Gated);

    yard.launcher.ungate(&going.build, 1, &uid).await.unwrap();
    yard.launcher.ungate(&going.build, 1, &uid).await.unwrap();
    let ended = yard.until(&going, |seen| seen.phase.is_ended()).await;
    assert_eq!((ended.phase, ended.exit, ended.end()), (Phase::Succeeded, Some(0), Some(Reason::Succeeded)));
    assert_eq!(ended.traceparent.as_deref(), Some(going.traceparent.as_str()));
    assert_eq!(yard.look(&waiting).await.unwrap().phase, Phase::Gated, "while another ran, the gate held");

    let pod = yard.pods.get(&name(&going)).await.unwrap();
    assert_eq!(pod.metadata.managed_fields, None, "since it was ungated nobody keeps account of its fields");
    let spec = pod.spec.unwrap();
    assert_eq!(spec.runtime_class_name.as_deref(), Some("kata"));
    assert_eq!(spec.overhead.unwrap()["memory"].0, "320Mi");
    assert_eq!(spec.node_selector.unwrap()["dedicated"], "screwdriver-kata");
    assert!(spec.node_name.unwrap().starts_with("kata-"));
}

#[tokio::test]
async fn a_second_create_finds_the_first() {
    let yard = Yard::new("twice").await;
    let launch = launch(1);
    let uid = yard.launcher.create(&launch).await.unwrap();
    assert_eq!(yard.launcher.create(&launch).await, Ok(uid.clone()));
    let both = tokio::join!(yard.launcher.create(&launch), yard.launcher.create(&launch));
    assert_eq!(both, (Ok(uid.clone()), Ok(uid.clone())));

    yard.reaper.delete(&launch.build, 1, &uid).await.unwrap();
    assert!(matches!(yard.launcher.create(&launch).await, Err(CreateError::Later(_))), "it is going: not the one to bind");
}

#[tokio::test]
async fn only_the_named_uid_is_ungated_deleted_and_released() {
    let yard = Yard::new("uid").await;
    let launch = launch(1);
    let uid = yard.launcher.create(&launch).await.unwrap();
    for other in ["00000000-0000-0000-0000-000000000000", "none"] {
        yard.launcher.ungate(&launch.build, 1, other).await.unwrap();
        yard.reaper.delete(&launch.build, 1, other).await.unwrap();
        yard.reaper.release(&launch.build, 1, other).await.unwrap();
    }
    let seen = yard.look(&launch).await.unwrap();
    assert_eq!((seen.phase, seen.deleting, seen.held, seen.uid), (Phase::Gated, false, true, uid));

    let gone = BuildKey::of("/ci", "none", "none");
    yard.launcher.ungate(&gone, 1, "none").await.unwrap();
    yard.reaper.delete(&gone, 1, "none").await.unwrap();
    yard.reaper.release(&gone, 1, "none").await.unwrap();
    assert_eq!(yard.reaper.look(&gone, 1).await, Ok(None));
}

#[tokio::test]
async fn a_pod_whose_labels_were_taken_off_or_changed_is_found_and_known_again_but_for_anothers() {
    use kube::api::{Patch, PatchParams};

    let (yard, launch) = (Yard::new("labels").await, lasting(1));
    let mut watch = yard.reaper.watch();
    assert_eq!(next(&mut watch).await, Seen::Synced);
    let uid = yard.launcher.create(&launch).await.unwrap();
    assert_eq!(present(next(&mut watch).await).uid, uid);
    let label = async |key: &str, value: Option<&str>| {
        let change = serde_json::json!({"metadata": {"labels": {key: value}}});
        yard.pods.patch(&name(&launch), &PatchParams::default(), &Patch::Merge(change)).await.unwrap();
    };
    label("switchyard.dev/executor", None).await;
    assert!(matches!(next(&mut watch).await, Seen::Gone { uid: gone, .. } if gone == uid), "a watch can say no better");
    assert_eq!(yard.look(&launch).await.unwrap().uid, uid);
    assert_eq!(present(next(&mut watch).await).uid, uid, "it is watched again");
    label("switchyard.dev/build", Some("nonsense")).await;
    assert_eq!(yard.look(&launch).await.unwrap().build, launch.build);
    label("switchyard.dev/executor", Some("another")).await;
    while !matches!(next(&mut watch).await, Seen::Gone { uid: gone, .. } if gone == uid) {}
    assert_eq!(yard.look(&launch).await.unwrap().uid, uid, "it was made for this one");
    assert_eq!(present(next(&mut watch).await).uid, uid, "it is watched again");
    let change = serde_json::json!({"metadata": {"annotations": {"switchyard.dev/executor": "another"}}});
    yard.pods.patch(&name(&launch), &PatchParams::default(), &Patch::Merge(change)).await.unwrap();
    assert_eq!(yard.look(&launch).await, None, "it says that it was made for another executor");
}

#[tokio::test]
async fn a_deleted_pod_stays_until_it_is_released() {
    let yard = Yard::new("finalizer").await;
    let (gated, running) = (launch(1), lasting(2));
    let uids = (yard.launcher.create(&gated).await.unwrap(), yard.run(&running).await);

    yard.reaper.delete(&gated.build, 1, &uids.0).await.unwrap();
    let dead = yard.look(&gated).await.unwrap();
    assert!(dead.dead && dead.deleting && dead.held, "deleted before it had a node: {dead:?}");
    assert_eq!(dead.end(), Some(Reason::Deleted));
    yard.reaper.release(&gated.build, 1, &uids.0).await.unwrap();
    assert_eq!(yard.look(&gated).await, None);

    yard.reaper.delete(&running.build, 1, &uids.1).await.unwrap();
    let stopped = yard.until(&running, |seen| seen.dead).await;
    assert_eq!((stopped.phase, stopped.exit, stopped.end()), (Phase::Failed, Some(143), Some(Reason::Deleted)));
    yard.reaper.delete(&running.build, 1, &uids.1).await.unwrap();
    yard.reaper.release(&running.build, 1, &uids.1).await.unwrap();
    yard.reaper.release(&running.build, 1, &uids.1).await.unwrap();
    yard.gone(&running).await;
}

#[tokio::test]
async fn an_end_forced_by_hand_proves_nothing() {
    let yard = Yard::new("forced").await;
    let running = Launch { annotations: steered(&[("run-for", "10m"), ("on-delete", "stuck")]), ..launch(1) };
    yard.run(&running).await;
    yard.pods.delete(&name(&running), &DeleteParams::default().grace_period(0)).await.unwrap();
    let seen = yard.look(&running).await.unwrap();
    assert!(seen.forced && !seen.dead && seen.end().is_none(), "{seen:?}");
}

#[tokio::test]
async fn a_watch_tells_every_phase_and_the_end_of_the_pod() {
    let yard = Yard::new("watch").await;
    let (before, launch) = (launch(1), launch(2));
    yard.launcher.create(&before).await.unwrap();
    let mut watch = yard.reaper.watch();
    assert_eq!(present(next(&mut watch).await).build, before.build);
    assert_eq!(next(&mut watch).await, Seen::Synced);

    let uid = yard.launcher.create(&launch).await.unwrap();
    yard.launcher.ungate(&launch.build, 1, &uid).await.unwrap();
    let mut phases = Vec::new();
    while phases.last() != Some(&Phase::Succeeded) {
        phases.push(present(next(&mut watch).await).phase);
        phases.dedup();
    }
    assert_eq!(phases, [Phase::Gated, Phase::Pending, Phase::Running, Phase::Succeeded]);

    yard.reaper.release(&launch.build, 1, &uid).await.unwrap();
    yard.reaper.delete(&launch.build, 1, &uid).await.unwrap();
    let gone = Seen::Gone { build: launch.build.clone(), attempt: 1, uid };
    while next(&mut watch).await != gone {}
}

#[tokio::test]
async fn an_executor_sees_only_its_own_pods() {
    let yard = Yard::new("apart").await;
    let other = Launch { executor: "k8s-vm".to_owned(), ..launch(1) };
    yard.launcher.create(&other).await.unwrap();
    assert_eq!(yard.look(&other).await, None);
    let mut watch = yard.reaper.watch();
    assert_eq!(next(&mut watch).await, Seen::Synced);
    assert!(matches!(yard.launcher.create(&launch(1)).await, Err(CreateError::Rejected(_))), "the other's pod is in the way");
}

#[tokio::test]
async fn a_foreign_pod_of_that_name_is_in_the_way_for_good() {
    let yard = Yard::new("foreign").await;
    let launch = launch(1);
    let container = Container { name: "a".into(), image: Some("a".into()), ..Container::default() };
    let foreign = Pod {
        metadata: ObjectMeta { name: Some(name(&launch)), ..ObjectMeta::default() },
        spec: Some(PodSpec { containers: vec![container], ..PodSpec::default() }),
        status: None,
    };
    yard.pods.create(&PostParams::default(), &foreign).await.unwrap();
    let refused = yard.launcher.create(&launch).await.unwrap_err();
    assert!(matches!(&refused, CreateError::Rejected(why) if why.contains("in the way")), "{refused}");
}

#[tokio::test]
async fn what_the_cluster_will_never_take_is_rejected_with_its_words() {
    let yard = Yard::new("rejected").await;
    for (options, namespace, wanted) in [
        ("runtimeClass: nope", "rejected", "RuntimeClass \"nope\" not found"),
        ("runtimeClass: kata, nodeSelectors: {dedicated: other}", "rejected", "conflict: runtimeClass"),
        ("runtimeClass: kata, dnsPolicy: None", "rejected", "spec.dnsConfig"),
    ] {
        let launcher = connect(&executor(plane().await, ClusterUser::Launcher, namespace, options)).await;
        let refused = launcher.create(&launch(1)).await.unwrap_err();
        assert!(matches!(&refused, CreateError::Rejected(why) if why.contains(wanted)), "{refused}");
    }
    let nowhere = connect(&executor(plane().await, ClusterUser::Admin, "nowhere", "")).await;
    let refused = nowhere.create(&launch(1)).await.unwrap_err();
    assert!(matches!(&refused, CreateError::Rejected(why) if why.contains("namespaces \"nowhere\" not found")), "{refused}");
    let stranger = connect(&executor(plane().await, ClusterUser::Launcher, "default", "")).await;
    assert!(matches!(stranger.create(&launch(1)).await, Err(CreateError::Later(_))), "a missing permission may be given");
    assert_eq!(yard.look(&launch(1)).await, None);
}

#[tokio::test]
async fn each_service_has_only_the_permissions_that_it_needs() {
    let yard = Yard::new("rbac").await;
    let launch = launch(1);
    let uid = yard.launcher.create(&launch).await.unwrap();
    let Err(Unreachable(why)) = yard.launcher.delete(&launch.build, 1, &uid).await else { panic!("a launcher deletes") };
    assert!(why.contains("User \"launcher\" cannot delete resource \"pods\""), "{why}");
    assert!(matches!(yard.reaper.create(&self::launch(2)).await, Err(CreateError::Later(why)) if why.contains("cannot create")));
}

#[tokio::test]
async fn an_api_server_that_is_away_is_told_in_time_and_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let plane = start(&folder).await;
    let yard = Yard::on(&plane, "builds").await;
    let (kept, lost, later) = (launch(1), launch(2), launch(3));
    yard.launcher.create(&kept).await.unwrap();
    let uid = yard.launcher.create(&lost).await.unwrap();
    let mut watch = yard.reaper.watch();
    while next(&mut watch).await != Seen::Synced {}

    plane.apiserver().pause();
    let asked = Instant::now();
    let (created, looked) = tokio::join!(yard.launcher.create(&later), yard.reaper.look(&kept.build, 1));
    assert!(matches!(created, Err(CreateError::Unknown(_))), "it may have been done: {created:?}");
    assert!(matches!(looked, Err(Unreachable(_))), "{looked:?}");
    assert!(asked.elapsed() < Duration::from_secs(20), "a frozen server is given up after {:?}", asked.elapsed());
    plane.apiserver().resume();

    plane.apiserver().kill().await;
    assert!(matches!(yard.launcher.create(&later).await, Err(CreateError::Later(_))));
    assert!(matches!(yard.reaper.delete(&lost.build, 1, &uid).await, Err(Unreachable(_))));
    assert!(matches!(unheard(&mut watch).await, Unreachable(why) if !why.is_empty()));
    plane.apiserver().restart().await.unwrap();

    // Deleted and released while the watch may still be away: what has gone is told nevertheless.
    retried(|| yard.reaper.release(&lost.build, 1, &uid)).await;
    retried(|| yard.reaper.delete(&lost.build, 1, &uid)).await;
    let gone = Seen::Gone { build: lost.build.clone(), attempt: 1, uid };
    let mut told = Vec::new();
    while !(told.contains(&gone) && told.contains(&Seen::Synced)) {
        told.push(next(&mut watch).await);
    }
    assert_eq!(yard.look(&kept).await.unwrap().phase, Phase::Gated);
}

#[tokio::test]
async fn a_kubeconfig_that_cannot_be_used_is_named_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let files = [("broken", "clusters: ["), ("empty", ""), ("missing", "")];
    for (file, text) in files {
        let path = folder.path().join(file);
        if file != "missing" {
            fs::write(&path, text).unwrap();
        }
        let error = Kubernetes::connect(&with_kubeconfig(&path, "builds", "")).await.unwrap_err().to_string();
        assert!(error.contains("executor k8s") && error.contains(path.to_str().unwrap()) && !error.contains('\n'), "{error}");
    }
}
