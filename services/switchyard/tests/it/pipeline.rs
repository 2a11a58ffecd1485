//! `switchyard pipeline` becomes another program.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use crate::yard::program;

#[test]
fn the_pipeline_is_found_beside_the_program_and_where_it_is_not_the_remedy_is_told() {
    let program = program();
    let program = std::path::Path::new(&program);
    // Beside the real one: it is linked, not copied.
    let folder = tempfile::tempdir_in(program.parent().unwrap()).unwrap();
    let linked = folder.path().join("switchyard");
    fs::hard_link(program, &linked).unwrap();
    let run = || {
        Command::new(&linked).args(["pipeline", "run", "--json", "a b"]).env("PATH", folder.path().join("none")).output().unwrap()
    };
    let output = run();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("beside `switchyard` or on PATH"), "{said}");
    let beside = folder.path().join("switchyard-pipeline");
    fs::write(&beside, "#!/bin/sh\nfor word; do echo \"[$word]\"; done\nexit 7\n").unwrap();
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o755)).unwrap();
    let output = run();
    assert_eq!((output.status.code(), String::from_utf8(output.stdout).unwrap().as_str()), (Some(7), "[run]\n[--json]\n[a b]\n"));
}
