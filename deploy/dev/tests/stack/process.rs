//! Children end with their parent, however it ends.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use switchyard_dev::{Exit, Launch, Process};

use crate::eventually;

/// Names the folder that the copy of this test binary, which is to be killed, works in.
const HELPER: &str = "SWITCHYARD_DEV_HELPER";
const STUBBORN: &str = "trap '' TERM; while :; do sleep 0.1; done";

fn lives(pid: i32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[tokio::test]
async fn children_die_when_their_parent_is_killed() {
    if let Some(folder) = std::env::var_os(HELPER) {
        return be_killed(Path::new(&folder)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .args(["process::children_die_when_their_parent_is_killed", "--exact", "--nocapture"])
        .env(HELPER, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(parent.stdout.take().unwrap()).lines();
    let pids: Vec<i32> = lines.filter_map(|line| line.unwrap().strip_prefix("child ")?.parse().ok()).take(2).collect();
    assert!(pids.len() == 2 && pids.iter().all(|pid| lives(*pid)), "{pids:?}");
    parent.kill().unwrap();
    parent.wait().unwrap();
    eventually("both children are gone", Duration::from_secs(15), || async { !pids.iter().any(|pid| lives(*pid)) }).await;
}

/// Starts a child that obeys SIGTERM and one that does not, says their pids and waits to be killed.
async fn be_killed(folder: &Path) {
    let meek = Process::start(&Launch::new("meek", "sleep", folder).arguments(["600"])).await.unwrap();
    let stubborn = Process::start(&Launch::new("stubborn", "/bin/sh", folder).arguments(["-c", STUBBORN])).await.unwrap();
    println!("\nchild {}\nchild {}", meek.pid(), stubborn.pid());
    tokio::time::sleep(Duration::from_mins(1)).await;
}

#[tokio::test]
async fn the_exit_of_a_child_is_noticed_with_its_code_and_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let launch = Launch::new("short", "/bin/sh", folder.path()).arguments(["-c", "echo said; echo \"$WORD\" >&2; exit 7"]);
    let child = Process::start(&launch.variable("WORD", "more")).await.unwrap();
    assert_eq!(child.wait().await, Exit { code: Some(7) });
    assert_eq!(child.log_tail(), "said\nmore");
}

#[tokio::test]
async fn a_program_that_is_not_there_ends_at_once_and_its_log_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let child = Process::start(&Launch::new("none", "/no/such/program", folder.path())).await.unwrap();
    assert_eq!(child.wait().await, Exit { code: Some(127) });
    assert!(child.log_tail().contains("/no/such/program"), "{}", child.log_tail());
}

#[tokio::test]
async fn a_child_that_ignores_sigterm_is_killed_when_its_grace_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let launch = Launch::new("stubborn", "/bin/sh", folder.path()).arguments(["-c", &format!("echo ready; {STUBBORN}")]);
    let child = Process::start(&launch).await.unwrap();
    eventually("it has set its trap", Duration::from_secs(5), || async { child.log_tail() == "ready" }).await;
    assert_eq!(child.stop(Duration::from_millis(300)).await, Exit { code: Some(128 + 9) });
}

#[tokio::test]
async fn a_frozen_child_dies_when_it_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let child = Process::start(&Launch::new("meek", "sleep", folder.path()).arguments(["600"])).await.unwrap();
    let pid = child.pid();
    child.pause();
    drop(child);
    assert!(!lives(pid));
}
