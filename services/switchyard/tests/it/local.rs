//! Laptop mode: no cluster, and builds that really run as processes of this machine.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde_json::json;
use switchyard_bus::Bus;
use switchyard_dev::{Services, ServicesOptions, Stack, StackOptions};
use switchyard_events::{BuildKey, Outcome, Reason};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use crate::yard::{finished, program, publish, until};

const PATIENCE: Duration = Duration::from_mins(2);

const FLEET: &str = "
version: 1
executor: {plugin: local, local: {pluginName: process, weightage: 1}}
executors: {local: {ignoreImage: true, slots: 4, terminationGrace: 1s, logs: 'https://logs.example/{build}/{attempt}'}}
clocks: {queued: 10m, pending: 1m, teardown: 10s, grace: 10s, linger: 0s}
";

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_runs_real_commands_and_each_build_ends_as_it_should() {
    build_pipeline().await;
    let (mut up, mut lines) = up(&["--demo", "--exit-when-idle"]);
    let mut said = Vec::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        said.push(line);
    }
    let said = said.join("\n");
    let status = tokio::time::timeout(PATIENCE, up.wait()).await.unwrap().unwrap();
    assert!(status.success(), "{said}");
    for (sample, wanted) in [
        ("1-jenkins-succeeds", "success  Succeeded"),
        ("2-tekton-fails", "failure  StepFailed(unit-test, 2)"),
        ("3-screwdriver-rhel6", "local-b    success  Succeeded"),
        ("4-screwdriver-overruns", "error    TimedOut(running)"),
        ("5-screwdriver-unroutable", "error    Refused"),
        ("6-jenkins-malformed", "dead "),
    ] {
        let row = said.lines().find(|line| line.starts_with(sample) && line.contains(" yes "));
        assert!(row.is_some_and(|row| row.contains(wanted)), "{sample}:\n{said}");
    }
    for (part, wanted) in [
        ("first model trained", "auc 0.8"),
        ("rows as it knows them", "no drift"),
        ("rows of another world", "2500 rows"),
        ("drift detected", "visits "),
        ("one retraining build", "really run on local"),
        ("evaluated, promoted", "the champion's 0."),
        ("reference re-pinned", "windows are compared with run"),
        ("one trace for all of it", ""),
        ("rows as the new one knows", "no drift"),
    ] {
        let row = said.lines().find(|line| line.starts_with(part) && line.contains(" yes "));
        assert!(row.is_some_and(|row| row.contains(wanted)), "{part}:\n{said}");
    }
    assert!(said.contains("NO ISOLATION") && said.contains("on local (no isolation)"), "{said}");
    assert!(said.contains("processes left: 0"), "{said}");
    assert_eq!(of(&folder(&said)), [0; 0], "no process is left");
}

/// As on a machine that has neither Python nor the program beside this one: what is missing is told at once, one after the other.
#[tokio::test(flavor = "multi_thread")]
async fn the_demo_says_which_part_it_skips_and_why() {
    let elsewhere = tempfile::tempdir_in(program().parent().unwrap()).unwrap();
    let (linked, tools) = (elsewhere.path().join("switchyard"), elsewhere.path().join("tools"));
    fs::hard_link(program(), &linked).unwrap();
    fs::create_dir(&tools).unwrap();
    let path = std::env::var_os("PATH").unwrap();
    let there = std::env::split_paths(&path).filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    // Everything that is on PATH, as the servers may have to be built; the first of each name.
    let there: Vec<PathBuf> = there.map(|entry| entry.path()).collect();
    let is = |file: &Path, name: &str| file.file_name().is_some_and(|of| of == name);
    for file in there.iter().filter(|file| !is(file, "python3") && !is(file, "switchyard-pipeline")) {
        let _ = std::os::unix::fs::symlink(file, tools.join(file.file_name().unwrap()));
    }
    let python = there.iter().find(|file| is(file, "python3")).expect("python3 is there");
    for (link, wanted) in [
        (None, "python3 is not on PATH: install it"),
        (Some(python), "switchyard-pipeline is neither beside this program nor on PATH: build it by `cargo build -p"),
    ] {
        if let Some(python) = link {
            std::os::unix::fs::symlink(python, tools.join("python3")).unwrap();
        }
        let mut up = Command::new(&linked);
        up.args(["up", "--demo"]).env("PATH", &tools).stdout(Stdio::piped()).kill_on_drop(true);
        let mut up = up.spawn().unwrap();
        let mut lines = BufReader::new(up.stdout.take().unwrap()).lines();
        let skipped = loop {
            let line = lines.next_line().await.unwrap().expect("it says what it skips");
            if line.starts_with("skipped ") {
                break line;
            }
        };
        assert!(skipped.contains("the demo's model") && skipped.contains(wanted), "{skipped}");
        let end = Command::new("/bin/sh").args(["-c", "kill $0", &up.id().unwrap().to_string()]).status().await;
        assert!(end.unwrap().success());
        assert!(tokio::time::timeout(PATIENCE, up.wait()).await.unwrap().unwrap().success(), "it ends well when it is told to");
    }
}

/// Trainings run in a program of their own, which nothing here links.
pub(crate) async fn build_pipeline() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--locked", "--package", "switchyard-pipeline"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    assert!(build.status().await.unwrap().success(), "switchyard-pipeline is built");
    let beside = program().with_file_name("switchyard-pipeline");
    assert!(beside.is_file(), "it stands beside the program");
    beside
}

#[tokio::test(flavor = "multi_thread")]
async fn builds_end_with_up_also_when_it_is_killed() {
    let (mut up, mut lines) = up(&[]);
    let mut said = String::new();
    while !said.contains("elsewhere   ") {
        said.push_str(&lines.next_line().await.unwrap().expect("it says where everything is"));
        said.push('\n');
    }
    let folder = folder(&said);
    let file = folder.join("build.json");
    fs::write(&file, json!({"image": "a", "steps": [{"name": "long", "run": "setsid sleep 600 & sleep 600"}]}).to_string())
        .unwrap();
    let env = said.lines().find_map(|line| line.strip_prefix("elsewhere   . ")?.split_whitespace().next()).unwrap();
    let publish = format!(". {env} && exec {} publish {}", program().display(), file.display());
    assert!(Command::new("/bin/sh").args(["-c", &publish]).stdout(Stdio::null()).status().await.unwrap().success());
    until("the build runs", PATIENCE, async || (of(&folder).len() >= 4).then_some(())).await;
    up.kill().await.unwrap();
    until("no process is left", PATIENCE, async || of(&folder).is_empty().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_launcher_and_a_reaper_that_are_killed_lose_no_build_and_leave_no_process() {
    let (stack, services, bus) = laptop().await;
    let ran = stack.folder().join("ran");
    let runs = || fs::read_to_string(&ran).unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>();
    let step = format!("echo \"$SWITCHYARD_BUILD\" >> {}; (sleep 1) & wait", ran.display());
    let mut builds = Vec::new();
    for n in 0..20 {
        let build = json!({"image": "a", "ram": "256Mi", "steps": [{"name": "run", "run": step}]});
        builds.push(publish(&bus, &format!("build-{n}"), build).await);
    }
    let (launcher, reaper) = (services.get("launcher-local-0").unwrap(), services.get("reaper-local-0").unwrap());
    for begun in [1, 6, 11] {
        until("builds run", PATIENCE, async || (runs().len() >= begun).then_some(())).await;
        tokio::join!(launcher.kill(), reaper.kill());
        assert!(!of(stack.folder()).is_empty(), "what runs goes on without them");
        let (a, b) = tokio::join!(launcher.restart(), reaper.restart());
        a.and(b).unwrap();
    }
    all_succeeded(&bus, &builds).await;
    until("nothing is left", PATIENCE, async || {
        let folders = fs::read_dir(stack.folder().join("builds/local")).unwrap().flatten();
        let left = folders.filter(|entry| entry.path().is_dir()).count();
        (left == 0 && of(&stack.folder().join("builds")).is_empty()).then_some(())
    })
    .await;
    let mut once = runs();
    once.sort_unstable();
    assert_eq!(once, builds.iter().map(ToString::to_string).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>());
    assert!(services.stop().await.is_empty());
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_supervisor_costs_an_attempt_and_no_build() {
    let (stack, services, bus) = laptop().await;
    let go = stack.folder().join("go");
    let step = format!("(sleep 600 > /dev/null 2>&1 &) ; while [ ! -e {} ]; do sleep 0.1; done", go.display());
    let build = publish(&bus, "supervised", json!({"image": "a", "steps": [{"name": "wait", "run": step}]})).await;
    let first = stack.folder().join(format!("builds/local/b-{build}-1"));
    until("the build runs", PATIENCE, async || (of(&first).len() >= 4).then_some(())).await;
    let status: serde_json::Value = serde_json::from_slice(&fs::read(first.join("status.json")).unwrap()).unwrap();
    let kill = Command::new("/bin/sh").args(["-c", "kill -KILL $0", &status["supervisor"].to_string()]).status().await;
    assert!(kill.unwrap().success());
    until("nothing of the first attempt is left", PATIENCE, async || of(&first).is_empty().then_some(())).await;
    fs::write(go, "").unwrap();
    let record = until("the build has ended", PATIENCE, async || {
        let (_, record) = bus.records().await.ok()?.into_iter().find(|(other, _)| *other == build)?;
        record.is_closed().then_some(record)
    })
    .await;
    let ends: Vec<_> = record.attempts.iter().map(|attempt| attempt.decided.clone().unwrap()).collect();
    assert_eq!(ends.iter().map(|end| end.reason.clone()).collect::<Vec<_>>(), [Reason::Lost, Reason::Succeeded]);
    assert!(ends[0].message.as_deref().unwrap().contains("its supervisor was killed"), "{:?}", ends[0]);
    assert!(services.stop().await.is_empty());
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_build_says_is_read_while_it_runs_and_kept_without_secrets_when_its_folder_is_gone() {
    let (stack, services, bus) = laptop().await;
    let go = stack.folder().join("go");
    let step = format!("echo begun with $NPM_TOKEN; while [ ! -e {} ]; do sleep 0.1; done; echo done", go.display());
    let steps = json!([{"name": "speak", "run": step}]);
    let build = publish(&bus, "speaks", json!({"image": "a", "steps": steps, "env": {"NPM_TOKEN": "hunter2hunter2"}})).await;
    let logs = |more: &[&str]| {
        let credentials = stack.nats().credentials("cli").unwrap();
        let mut logs = Command::new(program());
        logs.args(["logs", build.as_str()]).args(more).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        logs.env("NATS_URL", stack.nats().url()).env("NATS_USER", &credentials.user).env("NATS_PASSWORD", &credentials.password);
        logs.env("SWITCHYARD_BUILDS", stack.folder().join("builds"));
        logs
    };
    let fleet = stack.folder().join("fleet.yaml");
    let live = ["--config", fleet.to_str().unwrap()];
    until("its first words are read where it runs", PATIENCE, async || {
        let said = logs(&live).output().await.ok()?;
        (said.stdout == b"begun with ***\n").then_some(())
    })
    .await;
    let mut following = logs(&[&live[..], &["--follow"]].concat()).spawn().unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("begun with ***"));
    let started = format!("yard.dev.cdevents.build.started.0.3.0.{build}.1");
    let started = until("its start is told", PATIENCE, async || bus.last("YARD", &started).await.ok().flatten()).await;
    let started: switchyard_events::BuildStarted = switchyard_events::custom_data(&started.cdevent().unwrap()).unwrap();
    assert_eq!(started.log, Some(format!("https://logs.example/{build}/1")));
    fs::write(go, "").unwrap();
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("done"));
    assert!(following.wait().await.unwrap().success(), "it ends with the build");
    all_succeeded(&bus, std::slice::from_ref(&build)).await;
    until("its folder is gone", PATIENCE, async || {
        (!stack.folder().join(format!("builds/local/b-{build}-1")).exists()).then_some(())
    })
    .await;
    assert_eq!(bus.log(&build, 1).await.unwrap().as_deref(), Some("begun with ***\ndone\n"));
    assert_eq!(logs(&[]).output().await.unwrap().stdout, b"begun with ***\ndone\n");
    assert!(services.stop().await.is_empty());
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_build_said_is_kept_although_no_reaper_has_seen_it_run() {
    let (stack, services, bus) = laptop().await;
    let reaper = services.get("reaper-local-0").unwrap();
    reaper.kill().await;
    let over = stack.folder().join("over");
    let step = format!("echo nobody looked; touch {}", over.display());
    let build = publish(&bus, "unseen", json!({"image": "a", "steps": [{"name": "speak", "run": step}]})).await;
    let folder = stack.folder().join(format!("builds/local/b-{build}-1"));
    until("it has run", PATIENCE, async || (over.exists() && of(&folder).is_empty()).then_some(())).await;
    reaper.restart().await.unwrap();
    all_succeeded(&bus, std::slice::from_ref(&build)).await;
    until("its folder is gone", PATIENCE, async || (!folder.exists()).then_some(())).await;
    assert_eq!(bus.log(&build, 1).await.unwrap().as_deref(), Some("nobody looked\n"));
    assert!(services.stop().await.is_empty());
    stack.stop().await;
}

async fn laptop() -> (Stack, Services, Bus) {
    let executors = vec!["local".to_owned()];
    let options = StackOptions { executors: executors.clone(), ..StackOptions::default() };
    let stack = Stack::start(&options).await.unwrap();
    let fleet = stack.folder().join("fleet.yaml");
    fs::write(&fleet, FLEET).unwrap();
    let builds = stack.folder().join("builds").display().to_string();
    let environment = [("SWITCHYARD_BUILDS", builds), ("SWITCHYARD_SWEEP_SECONDS", "5".to_owned())];
    let environment = environment.map(|(name, value)| (name.to_owned(), value)).to_vec();
    let options = ServicesOptions { program: program(), fleet, executors, replicas: 1, environment };
    let services = Services::start(&stack, &options).await.unwrap();
    let bus = Bus::new(stack.nats().connect("loadtest").await.unwrap());
    (stack, services, bus)
}

/// Each ended well, in its first attempt, and was told of once.
async fn all_succeeded(bus: &Bus, builds: &[BuildKey]) {
    let records = until("every build has ended", PATIENCE, async || {
        let records: BTreeMap<_, _> = bus.records().await.ok()?.into_iter().collect();
        builds.iter().all(|build| records.get(build).is_some_and(switchyard_events::Record::is_closed)).then_some(records)
    })
    .await;
    let told = finished(bus).await;
    for build in builds {
        let (record, times) = (&records[build], told.iter().filter(|end| end.build == *build).count());
        let decided = record.latest().unwrap().decided.clone().unwrap();
        assert_eq!((decided.outcome, record.attempts.len(), times), (Outcome::Success, 1, 1), "build {build}: {decided:?}");
    }
}

fn up(arguments: &[&str]) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut up = Command::new(program());
    let mut up = up.arg("up").args(arguments).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let lines = BufReader::new(up.stdout.take().unwrap()).lines();
    (up, lines)
}

/// The folder of the stack, as `up` tells it.
fn folder(said: &str) -> PathBuf {
    said.lines().find_map(|line| line.strip_prefix("logs        ")).unwrap().into()
}

/// The supervisors and the processes of builds that are kept in `folder`: they are told of it by arguments or by their environment.
fn of(folder: &Path) -> Vec<i32> {
    let (supervisor, variable) = (format!("supervise\0{}", folder.display()), format!("TMPDIR={}", folder.display()));
    let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let holds = |file: String, text: &str| {
        fs::read(file).is_ok_and(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
    };
    let is_of =
        |pid: &i32| holds(format!("/proc/{pid}/cmdline"), &supervisor) || holds(format!("/proc/{pid}/environ"), &variable);
    pids.filter(is_of).collect()
}
