//! A run that is killed goes on where it was.

use std::{
    fs,
    process::Stdio,
    time::{Duration, Instant},
};

use crate::desk::{Desk, TRAIN};

#[test]
fn a_run_that_is_killed_while_it_trains_goes_on_from_what_it_had_done() {
    let mut desk = Desk::new();
    desk.write("rows-1.csv", &Desk::rows(0, 600));
    let (begun, go) = (desk.path("begun"), desk.path("go"));
    // Writes half a model, and then waits to be killed, once.
    desk.train = format!(
        "if ! [ -f {go} ]; then echo half > \"$SWITCHYARD_MODEL_OUT\"; echo $$ > {begun}; exec sleep 600; fi; {TRAIN}",
        go = go.display(),
        begun = begun.display()
    );
    let file = desk.file();
    let mut child =
        desk.command(&["run", file.to_str().unwrap(), "--json"]).stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_mins(2);
    while !fs::read_to_string(&begun).is_ok_and(|pid| pid.ends_with('\n')) {
        assert!(Instant::now() < deadline && child.try_wait().unwrap().is_none(), "the training never began");
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let left = fs::read_to_string(&begun).unwrap();
    let _ = std::process::Command::new("kill").args(["-9", left.trim()]).status();
    assert!(!desk.path("store/runs").exists());
    fs::write(&go, "").unwrap();
    let result = desk.run(&[]);
    assert_eq!(result["outcome"], "passed");
    let took = desk.record(&result)["took"].clone();
    assert_eq!(
        (&took["fetch"]["cached"], &took["preprocess"]["cached"], &took["train"]["cached"]),
        (&true.into(), &true.into(), &false.into())
    );
    let model = fs::read_to_string(desk.path(&format!("store/{}", result["model"]["path"].as_str().unwrap()))).unwrap();
    assert!(model.contains("depth"), "half a model was taken for a whole one");
}

#[test]
fn a_run_that_is_asked_to_end_takes_its_command_along() {
    let mut desk = Desk::new();
    desk.write("rows-1.csv", &Desk::rows(0, 600));
    let begun = desk.path("begun");
    desk.train = format!("sleep 600 & echo $! > {}; wait", begun.display());
    let file = desk.file();
    let mut child = desk.command(&["run", file.to_str().unwrap()]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_mins(2);
    let pid = loop {
        assert!(Instant::now() < deadline && child.try_wait().unwrap().is_none(), "the training never began");
        match fs::read_to_string(&begun) {
            Ok(pid) if pid.ends_with('\n') => break pid,
            _ => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    let _ = std::process::Command::new("kill").arg(child.id().to_string()).status();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("the run was asked to end"), "{said}");
    let gone = || fs::read_to_string(format!("/proc/{}/stat", pid.trim())).map_or(true, |state| state.contains(") Z "));
    while !gone() {
        assert!(Instant::now() < deadline, "the command's child still runs");
        std::thread::sleep(Duration::from_millis(20));
    }
}
