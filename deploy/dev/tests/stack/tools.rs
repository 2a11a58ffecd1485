//! Tools are found where they should be, and built once. `go` is played by a script here: the real one builds for every other test.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use switchyard_dev::{Tool, Tools};
use tempfile::TempDir;

/// Tells a copy of this test binary to look for nats-server in the environment that it was given.
const HELPER: &str = "SWITCHYARD_DEV_LOOKS";
/// Notes that it was called, takes its time, and writes what it was asked for: `-o FOLDER` is its fifth and sixth argument.
const BUILDS: &str = r#"#!/bin/sh
echo "$CGO_ENABLED $*" >>"$CALLS"
i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done
echo built >"${6}nats-server"
"#;
const FAILS: &str = "#!/bin/sh\necho 'verifying module: checksum mismatch' >&2\nexit 1\n";

#[tokio::test]
async fn looks_for_nats_when_it_is_told_to() {
    if std::env::var_os(HELPER).is_some() {
        let found = Tools::ready(&[Tool::NatsServer]).await;
        println!(
            "\nlooked {}",
            found.map_or_else(|error| error.to_string(), |tools| tools.path(Tool::NatsServer).display().to_string())
        );
    }
}

/// A machine with one folder on PATH and an empty cache.
struct Machine(TempDir);

impl Machine {
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        fs::create_dir(machine.bin()).unwrap();
        machine
    }

    fn with(self, program: &str, script: &str) -> Self {
        let path = self.bin().join(program);
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    fn bin(&self) -> PathBuf {
        self.0.path().join("bin")
    }

    fn calls(&self) -> PathBuf {
        self.0.path().join("calls")
    }

    fn cache(&self) -> PathBuf {
        self.0.path().join("cache")
    }

    fn look(&self, given: Option<&Path>) -> Child {
        let mut look = Command::new(std::env::current_exe().unwrap());
        look.args(["tools::looks_for_nats_when_it_is_told_to", "--exact", "--nocapture"])
            .env(HELPER, "1")
            .env("PATH", self.bin())
            .env("XDG_CACHE_HOME", self.cache())
            .env("CALLS", self.calls())
            .env_remove("SWITCHYARD_NATS_SERVER")
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        given.map(|path| look.env("SWITCHYARD_NATS_SERVER", path));
        look.spawn().unwrap()
    }
}

fn answer(look: Child) -> String {
    let output = String::from_utf8(look.wait_with_output().unwrap().stdout).unwrap();
    let answer = output.split_once("looked ").unwrap().1;
    answer[..answer.find("\ntest ").unwrap_or(answer.len())].trim().to_owned()
}

#[test]
fn a_tool_is_built_once_however_many_ask_at_once() {
    let machine = Machine::new().with("go", BUILDS);
    let looks: Vec<Child> = (0..3).map(|_| machine.look(None)).collect();
    let answers: Vec<String> = looks.into_iter().map(answer).collect();
    assert_eq!(fs::read_to_string(&answers[0]).unwrap(), "built\n");
    assert!(
        Path::new(&answers[0]).starts_with(machine.cache()) && answers.iter().all(|other| *other == answers[0]),
        "{answers:?}"
    );
    let calls = fs::read_to_string(machine.calls()).unwrap();
    assert_eq!(calls.lines().count(), 1, "{calls}");
    assert!(
        calls.starts_with("0 build -trimpath -ldflags -s -w -o ") && calls.ends_with("github.com/nats-io/nats-server/v2\n"),
        "{calls}"
    );
}

#[test]
fn without_go_the_error_names_the_remedies() {
    let answer = answer(Machine::new().look(None));
    assert!(answer.contains("https://go.dev/dl") && answer.contains("SWITCHYARD_NATS_SERVER"), "{answer}");
}

#[test]
fn a_failed_build_shows_the_end_of_its_output_and_leaves_nothing_that_looks_built() {
    let machine = Machine::new().with("go", FAILS);
    let first = answer(machine.look(None));
    assert!(first.contains("exit code 1") && first.contains("checksum mismatch"), "{first}");
    assert_eq!(answer(machine.look(None)), first);
}

#[test]
fn a_binary_on_path_is_taken_only_if_it_says_the_pinned_version() {
    let right = Machine::new().with("nats-server", "#!/bin/sh\necho nats-server: v2.15.2\n");
    assert_eq!(answer(right.look(None)), right.bin().join("nats-server").display().to_string());
    let old = Machine::new().with("nats-server", "#!/bin/sh\necho nats-server: v2.10.1\n");
    assert!(answer(old.look(None)).contains("needs Go"));
}

#[test]
fn a_binary_that_the_environment_names_is_taken_as_it_is_or_missed_by_name() {
    let machine = Machine::new().with("mine", "");
    let mine = machine.bin().join("mine");
    assert_eq!(answer(machine.look(Some(&mine))), mine.display().to_string());
    let missing = answer(machine.look(Some(Path::new("/no/such/file"))));
    assert_eq!(missing, "SWITCHYARD_NATS_SERVER names /no/such/file, which is not a file");
}
