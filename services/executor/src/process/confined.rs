//! The last step before a build runs: its limits are set, and this process becomes the build.

use std::{
    io,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, ExitCode},
};

use rustix::process::{Pid, Resource, Rlimit, Signal, getppid, getrlimit, set_parent_process_death_signal, setrlimit};

use super::{files::Files, spec::Limits};

/// Sets limits and becomes the build in `folder`: the body of `switchyard confined`, which is called by supervisors alone.
/// It returns only where that is not possible.
#[must_use]
pub fn confined(folder: &Path, supervisor: i32) -> ExitCode {
    let Err(error) = become_the_build(&Files::new(folder), supervisor);
    eprintln!("switchyard: the build cannot run: {error}");
    ExitCode::from(126)
}

fn become_the_build(files: &Files, supervisor: i32) -> io::Result<std::convert::Infallible> {
    // Whatever ends the supervisor ends this process too; where it has ended already, nothing begins.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid() != Pid::from_raw(supervisor) {
        return Err(io::Error::other("its supervisor is not there"));
    }
    let spec = files.spec()?.ok_or(io::ErrorKind::NotFound)?;
    limit(&spec.limits)?;
    let [program, arguments @ ..] = spec.command.as_slice() else { return Err(io::ErrorKind::InvalidData.into()) };
    let mut build = Command::new(program);
    build.args(arguments).envs(&spec.env).env("SWITCHYARD_TERMINATION_LOG", files.result()).env("TMPDIR", files.temporary());
    Err(build.current_dir(files.workspace()).exec())
}

/// Each holds for every process of the build by itself: Linux has no such limit for all of them together without control groups.
fn limit(limits: &Limits) -> io::Result<()> {
    let all = [
        (Resource::Data, Some(limits.memory)),
        (Resource::Fsize, limits.file_size),
        (Resource::Nofile, limits.open_files),
        // A core of a crashed compiler is larger than what it compiles.
        (Resource::Core, Some(0)),
    ];
    for (resource, most) in all {
        let Some(most) = most else { continue };
        // Never more than what the system allows already.
        let most = getrlimit(resource).maximum.map_or(most, |already| already.min(most));
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    Ok(())
}
