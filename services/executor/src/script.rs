//! How the steps of a build are run: one after the other, up to the first that fails, and after it those that run in any case.
//!
//! A step finds the exported variables and the folder that the one before it left, as if one shell ran them all. Each has a shell
//! of its own nevertheless, so that none can end the others. A step's text is an argument, never part of the script, so nothing in
//! it can change how the others are run.

use switchyard_events::{Step, StepEnd};

/// Runs one step: `STATE TEXT`. The state is what the step before left in that file.
const STEP: &str = r#"
__switchyard_state=$1 __switchyard_text=$2
set --
if [ -r "$__switchyard_state" ]; then
  . "$__switchyard_state"
  cd "$__switchyard_folder" 2>/dev/null || :
  unset __switchyard_folder
fi
trap '__switchyard_code=$?
  (umask 077; __switchyard_folder=$PWD; export __switchyard_folder; export -p >"$__switchyard_state") 2>/dev/null || :
  exit "$__switchyard_code"' EXIT
eval "$__switchyard_text"
"#;

/// Runs `NAME JSON ALWAYS TEXT` quadruples, after the text of [`STEP`]. As the first process of a container it must hand `SIGTERM`
/// on: the kernel gives it no default. It may come at any moment, also before the shell knows its child. How the steps went is
/// told in the last lines of the container's termination message, behind what the build itself left there; which one failed in
/// the log too.
const SCRIPT: &str = r#"
step=$1
shift
child='' asked='' code=0 failed='' report=''
state="${TMPDIR:-/tmp}/.switchyard-$$" end="${SWITCHYARD_TERMINATION_LOG:-/dev/termination-log}"
trap 'asked="x$asked"; [ -z "$child" ] || kill -TERM "$child" 2>/dev/null || :' TERM
clock() {
  if { read -r now rest </proc/uptime; } 2>/dev/null; then now="${now%.*}${now#*.}0"; else now="$(date +%s)000"; fi
  while :; do case "$now" in 0?*) now="${now#0}" ;; *) break ;; esac; done
}
while [ $# -gt 3 ]; do
  name=$1 json=$2 always=$3 text=$4
  shift 4
  [ -z "$asked" ] || [ "$code" -ne 0 ] || code=143
  [ "$code" -eq 0 ] || [ "$always" = always ] || continue
  clock
  began=$now before=$asked
  /bin/sh -ec "$step" /bin/sh "$state" "$text" &
  child=$! last=0
  [ "$asked" = "$before" ] || kill -TERM "$child" 2>/dev/null || :
  wait "$child" || last=$?
  while kill -0 "$child" 2>/dev/null; do last=0; wait "$child" || last=$?; done
  child=''
  clock
  report="$report,{\"name\":$json,\"code\":$last,\"ms\":$((now - began))}"
  if [ "$last" -ne 0 ]; then
    said="switchyard: step \"$name\" failed with exit code $last"
    printf '%s\n' "$said" >&2
    [ "$code" -ne 0 ] || { code=$last failed=$said; }
  fi
done
rm -f "$state" 2>/dev/null || :
if [ -w "$end" ]; then
  report="switchyard: steps [${report#,}]"
  own=$(wc -c <"$end" 2>/dev/null || printf 0)
  [ $((own + ${#report} + ${#failed})) -gt 4000 ] || printf '\n%s\n' "$report" >>"$end"
  [ -n "$asked" ] || [ -z "$failed" ] || printf '\n%s\n' "$failed" >>"$end"
fi
exit "$code"
"#;

/// What a termination message says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told<'a> {
    /// What the build itself left.
    pub(crate) own: &'a str,
    /// How each step ended, where there was room to say so.
    pub(crate) steps: Vec<StepEnd>,
    /// The step that failed first, and its code.
    pub(crate) failed: Option<(&'a str, i32)>,
}

/// Takes a termination message apart.
pub(crate) fn told(message: &str) -> Told<'_> {
    let failed = last_line(message).and_then(|(own, last)| {
        let (step, code) = last.strip_prefix("switchyard: step \"")?.rsplit_once("\" failed with exit code ")?;
        Some((own, (step, code.parse().ok()?)))
    });
    let (message, failed) = failed.map_or((message, None), |(own, failed)| (own, Some(failed)));
    let steps = last_line(message)
        .and_then(|(own, last)| Some((own, serde_json::from_str(last.strip_prefix("switchyard: steps ")?).ok()?)));
    let (own, steps) = steps.unwrap_or((message, Vec::new()));
    Told { own, steps, failed }
}

fn last_line(message: &str) -> Option<(&str, &str)> {
    let message = message.trim_end();
    let (before, last) = message.rsplit_once('\n').unwrap_or(("", message));
    (!last.is_empty()).then_some((before.trim_end(), last))
}

/// What a termination message says beside the build's own: which step failed, with which code. Answers both apart.
pub(crate) fn failed_step(message: &str) -> (&str, Option<(&str, i32)>) {
    let Told { own, failed, .. } = told(message);
    (own, failed)
}

/// The words of the command line that are the shell and its scripts; the steps come behind them.
pub(crate) const SHELL: usize = 5;

/// The command line that runs `steps`; `None` where there are none and the image's own entry point runs.
pub(crate) fn command(steps: &[Step]) -> Option<Vec<String>> {
    if steps.is_empty() {
        return None;
    }
    let shell = ["/bin/sh", "-ec", SCRIPT, "switchyard", STEP].map(str::to_owned);
    Some(shell.into_iter().chain(steps.iter().flat_map(words)).collect())
}

fn words(step: &Step) -> [String; 4] {
    let json = serde_json::Value::from(step.name.as_str()).to_string();
    [step.name.clone(), json, if step.always { "always" } else { "-" }.to_owned(), step.run.clone()]
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Output, Stdio};
    use std::time::{Duration, Instant};

    use super::*;

    fn steps(steps: &[(&str, &str)]) -> Vec<Step> {
        let step = |(name, run): &(&str, &str)| {
            let (name, always) = name.strip_prefix("always ").map_or((*name, false), |name| (name, true));
            Step { name: name.to_owned(), run: (*run).to_owned(), always }
        };
        steps.iter().map(step).collect()
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
    fn a_step_goes_on_where_the_one_before_it_was() {
        let folder = std::env::temp_dir().canonicalize().unwrap();
        let steps = [
            ("a", "export GREETING=\"it's \\$HOME\n two\"; local_only=1; cd \"$TMPDIR\""),
            ("b", "printf '%s|%s|%s' \"$GREETING\" \"${local_only-unset}\" \"$PWD\"; export GREETING=c; exit 0"),
            ("c", "printf '|%s|%s' \"$GREETING\" \"${__switchyard_folder-unset}\""),
        ];
        let output = start(&steps).env("TMPDIR", &folder).output().unwrap();
        let wanted = format!("it's $HOME\n two|unset|{}|c|unset", folder.display());
        assert_eq!(String::from_utf8(output.stdout).unwrap(), wanted);
        let left = std::fs::read_dir(&folder).unwrap().filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name.to_string_lossy().starts_with(&format!(".switchyard-{}", std::process::id()))
        });
        assert_eq!(left.count(), 0);
    }

    #[test]
    fn some_steps_run_in_any_case_and_the_first_failure_is_the_builds() {
        let (code, stdout, stderr) =
            run(&[("a", "export A=1; false"), ("b", "echo never"), ("always c", "echo c$A; exit 9"), ("always d", "echo d")]);
        assert_eq!((code, stdout.as_str()), (Some(1), "c1\nd\n"));
        assert!(
            stderr.contains("\"a\" failed with exit code 1\n") && stderr.contains("\"c\" failed with exit code 9\n"),
            "{stderr}"
        );
        assert_eq!(run(&[("a", "true"), ("always b", "exit 4")]).0, Some(4));
    }

    #[test]
    fn each_step_tells_its_code_and_how_long_it_took() {
        let path = std::env::temp_dir().join(format!("switchyard-steps-{}", std::process::id()));
        std::fs::write(&path, "{\"auc\": 1}").unwrap();
        let mut command = start(&[("say \"hi\"", "sleep 0.2"), ("b", "exit 3"), ("c", "true"), ("always d", "true")]);
        command.env("SWITCHYARD_TERMINATION_LOG", &path).stderr(Stdio::null()).status().unwrap();
        let message = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        let Told { own, steps, failed } = told(&message);
        assert_eq!((own, failed), ("{\"auc\": 1}", Some(("b", 3))));
        let ends: Vec<_> = steps.iter().map(|step| (step.name.as_str(), step.code)).collect();
        assert_eq!(ends, [("say \"hi\"", 0), ("b", 3), ("d", 0)]);
        assert!((200..10_000).contains(&steps[0].ms), "{steps:?}");
        let succeeded = told("\nswitchyard: steps [{\"name\":\"a\",\"code\":0,\"ms\":1}]\n");
        assert_eq!((succeeded.own, succeeded.steps.len(), succeeded.failed), ("", 1, None));
    }

    #[test]
    fn a_build_that_is_told_to_end_still_tidies_up() {
        let mut command = start(&[("long", "echo up; sleep 60"), ("never", "echo never"), ("always tidy", "echo tidied")]);
        let mut build = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut out = build.stdout.take().unwrap();
        let mut up = [0; 3];
        std::io::Read::read_exact(&mut out, &mut up).unwrap();
        Command::new("/bin/sh").args(["-c", "kill -TERM $0", &build.id().to_string()]).status().unwrap();
        assert_eq!(build.wait().unwrap().code(), Some(143));
        let mut rest = [0; 7];
        std::io::Read::read_exact(&mut out, &mut rest).unwrap();
        assert_eq!(&rest, b"tidied\n");
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
