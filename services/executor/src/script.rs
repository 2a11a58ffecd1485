//! How the steps of a build are run: one after the other, each by a shell of its own, up to the first that fails.
//!
//! A step's text is an argument, never part of the script, so nothing in it can change how the others are run.

use switchyard_events::Step;

/// Runs `NAME TEXT` pairs. As the first process of a container it must hand `SIGTERM` on: the kernel gives it no default. It may
/// come at any moment, also before the shell knows its child. Which step failed is told in the log, and as the last line of the
/// container's termination message, behind what the build itself left there.
const SCRIPT: &str = r#"
child='' asked=''
trap 'asked=1; [ -z "$child" ] || kill -TERM "$child" 2>/dev/null || :' TERM
while [ $# -gt 1 ]; do
  [ -z "$asked" ] || exit 143
  /bin/sh -ec "$2" &
  child=$! code=0
  [ -z "$asked" ] || kill -TERM "$child" 2>/dev/null || :
  wait "$child" || code=$?
  while kill -0 "$child" 2>/dev/null; do code=0; wait "$child" || code=$?; done
  if [ "$code" -ne 0 ]; then
    said="switchyard: step \"$1\" failed with exit code $code"
    printf '%s\n' "$said" >&2
    end="${SWITCHYARD_TERMINATION_LOG:-/dev/termination-log}"
    [ -n "$asked" ] || [ ! -w "$end" ] || printf '\n%s\n' "$said" >>"$end"
    exit "$code"
  fi
  shift 2
done
"#;

/// What a termination message says beside the build's own: which step failed, with which code. Answers both apart.
pub(crate) fn failed_step(message: &str) -> (&str, Option<(&str, i32)>) {
    let told = || {
        let (own, last) = message.trim_end().rsplit_once('\n').unwrap_or(("", message.trim_end()));
        let (step, code) = last.strip_prefix("switchyard: step \"")?.rsplit_once("\" failed with exit code ")?;
        Some((own.trim_end(), (step, code.parse().ok()?)))
    };
    told().map_or((message, None), |(own, step)| (own, Some(step)))
}

/// The command line that runs `steps`; `None` where there are none and the image's own entry point runs.
pub(crate) fn command(steps: &[Step]) -> Option<Vec<String>> {
    if steps.is_empty() {
        return None;
    }
    let shell = ["/bin/sh", "-ec", SCRIPT, "switchyard"].map(str::to_owned);
    Some(shell.into_iter().chain(steps.iter().flat_map(|step| [step.name.clone(), step.run.clone()])).collect())
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Output, Stdio};
    use std::time::{Duration, Instant};

    use super::*;

    fn steps(steps: &[(&str, &str)]) -> Vec<Step> {
        steps.iter().map(|(name, run)| Step { name: (*name).to_owned(), run: (*run).to_owned() }).collect()
    }

    fn start(of: &[(&str, &str)]) -> Command {
        let line = command(&steps(of)).unwrap();
        let mut command = Command::new(&line[0]);
        command.args(&line[1..]);
        command
    }

    fn run(of: &[(&str, &str)]) -> (Option<i32>, String, String) {
        let Output { status, stdout, stderr } = start(of).output().unwrap();
        (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
    }

    #[test]
    fn steps_run_one_after_the_other() {
        assert_eq!(run(&[("a", "echo 1"), ("b", "echo 2")]), (Some(0), "1\n2\n".into(), String::new()));
    }

    #[test]
    fn the_first_failure_stops_the_build_and_is_named() {
        let (code, stdout, stderr) = run(&[("a", "echo 1"), ("unit tests", "false\necho not reached"), ("c", "echo 3")]);
        assert_eq!((code, stdout.as_str()), (Some(1), "1\n"));
        assert_eq!(stderr, "switchyard: step \"unit tests\" failed with exit code 1\n");
        assert_eq!(run(&[("a", "exit 2")]).0, Some(2));
    }

    #[test]
    fn the_step_that_failed_is_told_behind_the_builds_own_result() {
        let folder = std::env::temp_dir().join(format!("switchyard-script-{}", std::process::id()));
        for (file, own) in [("empty", ""), ("result", "{\"auc\": 1}"), ("lines", "a\nb\n")] {
            let path = folder.with_extension(file);
            std::fs::write(&path, own).unwrap();
            let mut command = start(&[("a", "true"), ("unit \"tests\"", "exit 3")]);
            command.env("SWITCHYARD_TERMINATION_LOG", &path).stderr(Stdio::null());
            assert_eq!(command.status().unwrap().code(), Some(3));
            let message = std::fs::read_to_string(&path).unwrap();
            assert_eq!(failed_step(&message), (own.trim_end(), Some(("unit \"tests\"", 3))));
            std::fs::remove_file(path).unwrap();
        }
        assert_eq!(failed_step("{\"auc\": 1}"), ("{\"auc\": 1}", None));
        assert_eq!(failed_step(""), ("", None));
    }

    #[test]
    fn a_step_that_exits_early_does_not_end_the_build() {
        assert_eq!(run(&[("a", "exit 0"), ("b", "set -- x y; shift 2; trap - TERM; echo 2")]).1, "2\n");
    }

    #[test]
    fn no_text_can_break_out_of_its_step() {
        let hostile = r#"'"$(touch never)`exit 9` %s \ ; exit 3"#;
        let (code, stdout, stderr) = run(&[(hostile, "printf '%s' '$2 $(( 1 + 1 )) \"'; exit 7")]);
        assert_eq!((code, stdout.as_str()), (Some(7), "$2 $(( 1 + 1 )) \""));
        assert_eq!(stderr, format!("switchyard: step \"{hostile}\" failed with exit code 7\n"));
    }

    #[test]
    fn a_build_that_is_told_to_end_ends_at_once() {
        // The step may speak before the script knows it: many runs meet that moment too.
        for _ in 0..20 {
            ends_at_once();
        }
    }

    fn ends_at_once() {
        let mut command = start(&[("long", "echo up; sleep 60"), ("never", "echo reached")]);
        let mut build = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut up = [0; 3];
        std::io::Read::read_exact(build.stdout.as_mut().unwrap(), &mut up).unwrap();
        let asked = Instant::now();
        Command::new("/bin/sh").args(["-c", "kill -TERM $0", &build.id().to_string()]).status().unwrap();
        assert_eq!(build.wait().unwrap().code(), Some(143));
        assert!(asked.elapsed() < Duration::from_secs(10));
    }
}
