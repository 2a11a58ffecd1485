//! The processes of this machine, read from `/proc`.

use std::{fs, io, path::Path};

use rustix::process::{Pid, Signal, kill_process};

use super::spec::MARK;

/// Every living process that `ancestor` has started, over any number of generations. A subreaper loses none of them.
pub(crate) fn descendants(ancestor: Pid) -> io::Result<Vec<Pid>> {
    let all: Vec<(Pid, Pid)> = pids()?.filter_map(|pid| Some((pid, parent(pid)?))).collect();
    let mut found = vec![ancestor];
    let mut from = 0;
    while let Some(above) = found.get(from).copied() {
        found.extend(all.iter().filter(|(_, parent)| *parent == above).map(|(pid, _)| *pid));
        from += 1;
    }
    found.remove(0);
    Ok(found)
}

/// Every living process that carries the mark of `uid`, whoever is its parent by now.
pub(crate) fn marked(uid: &str) -> io::Result<Vec<Pid>> {
    let mark = format!("{MARK}={uid}");
    let carries = |pid: &Pid| {
        let environment = fs::read(of(*pid).join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    };
    Ok(pids()?.filter(carries).collect())
}

/// Tells all of them. One that has ended since is told nothing.
pub(crate) fn signal(pids: &[Pid], signal: Signal) {
    for pid in pids {
        let _ = kill_process(*pid, signal);
    }
}

fn pids() -> io::Result<impl Iterator<Item = Pid>> {
    let names = fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    Ok(names.filter_map(Pid::from_raw))
}

fn of(pid: Pid) -> std::path::PathBuf {
    Path::new("/proc").join(pid.as_raw_nonzero().to_string())
}

/// The parent of a process that has not ended. Its name may hold spaces and brackets: the numbers begin behind the last one.
fn parent(pid: Pid) -> Option<Pid> {
    let stat = fs::read_to_string(of(pid).join("stat")).ok()?;
    let mut numbers = stat.rsplit_once(')')?.1.split_whitespace();
    let alive = !matches!(numbers.next()?, "Z" | "X" | "x");
    Pid::from_raw(numbers.next()?.parse().ok()?).filter(|_| alive)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use rustix::process::getpid;

    use super::*;

    #[test]
    fn children_are_found_by_descent_and_by_their_mark() {
        let script = "sleep 600 & echo up; read -r _";
        let mut parent = Command::new("/bin/sh");
        parent.args(["-c", script]).env(MARK, "process-test-of-marks").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut parent = parent.spawn().unwrap();
        let mut up = [0; 2];
        io::Read::read_exact(parent.stdout.as_mut().unwrap(), &mut up).unwrap();
        let found = descendants(getpid()).unwrap();
        let marked = self::marked("process-test-of-marks").unwrap();
        assert!(marked.len() >= 2 && marked.iter().all(|pid| found.contains(pid)), "{marked:?} {found:?}");
        assert!(self::marked("process-test-of").unwrap().is_empty());
        signal(&marked, Signal::KILL);
        parent.wait().unwrap();
    }
}
