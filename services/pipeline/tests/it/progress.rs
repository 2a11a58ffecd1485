//! How far a run is: a bar on a terminal, a line for each step in a log.

use std::{
    fs::File,
    io::Read,
    os::unix::ffi::OsStrExt as _,
    process::{Command, Stdio},
};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::desk::{Desk, text};

/// What a command says on a terminal.
fn on_a_terminal(mut command: Command) -> String {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let screen = File::options().read(true).write(true).open(std::ffi::OsStr::from_bytes(name.as_bytes())).unwrap();
    let mut child = command.stdout(Stdio::null()).stderr(screen).spawn().unwrap();
    drop(command);
    let (mut said, mut terminal, mut part) = (Vec::new(), File::from(terminal), [0; 4096]);
    // Where nobody holds the other end any more, reading is an error and not an end.
    while let Ok(read @ 1..) = terminal.read(&mut part) {
        said.extend_from_slice(&part[..read]);
    }
    assert!(child.wait().unwrap().success(), "{}", text(&said));
    text(&said)
}

#[test]
fn a_terminal_shows_a_bar_that_fills_and_a_log_has_a_line_for_each_step() {
    let mut desk = Desk::new();
    desk.write("rows-1.csv", &Desk::rows(0, 600));
    let output = desk.output(&[]);
    let log = text(&output.stderr);
    let champion = serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()["run"].as_str().unwrap().to_owned();
    let steps: Vec<&str> = log.lines().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(steps, ["fetch", "split", "preprocess", "profile", "train", "train", "predict", "predict", "evaluate", "gate"]);
    assert!(log.contains("fetch: 600 of 600 rows, 5 columns (") && !log.contains(['\r', '\x1b', '░', '█']), "{log}");

    desk.params = "{depth: 7}".into();
    let file = desk.file();
    let said = on_a_terminal(desk.command(&["run", file.to_str().unwrap(), "--champion", &champion]));
    let bar = |full: usize, step: &str| format!("\r\x1b[K{}{} {step}", "█".repeat(full), "░".repeat(24 - full));
    assert!(
        said.contains(&bar(0, "0/9 manifest")) && said.contains(&bar(8, "3/9 ")) && said.contains(&bar(24, "9/9 ")),
        "{said:?}"
    );
    assert!(said.contains("\r\x1b[Kpreprocess: ") && said.contains("(kept from before)\r\n"), "{said:?}");
    assert!(said.ends_with("\r\x1b[K"), "nothing is left of the bar: {said:?}");
    assert_eq!(on_a_terminal(desk.command(&["run", file.to_str().unwrap(), "--quiet"])), "");
}
