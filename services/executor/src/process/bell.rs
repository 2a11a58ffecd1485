//! Waiting until something happens in a folder.

use std::{io, path::Path, time::Duration};

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::{
    net::unix::pipe::Receiver,
    time::{sleep, timeout},
};

/// How often a folder is looked at that the kernel tells nothing of: each user has a limited number of such watches.
const DEAF: Duration = Duration::from_millis(250);

/// Hangs in a folder, and rings when a file in it is made, closed after writing, renamed or removed.
#[derive(Debug)]
pub(crate) struct Bell {
    inotify: Option<Receiver>,
}

impl Bell {
    /// Hangs a bell; it remembers what happens from now on.
    pub(crate) fn hang(folder: &Path) -> Self {
        Self { inotify: listen(folder).ok() }
    }

    /// Waits until it has rung, and for `patience` at most: the kernel may drop events, and tells nothing of some file systems.
    pub(crate) async fn rung(&self, patience: Duration) {
        let Some(inotify) = &self.inotify else { return sleep(patience.min(DEAF)).await };
        match timeout(patience, inotify.readable()).await {
            Err(_) => {}
            Ok(Err(_)) => sleep(patience.min(DEAF)).await,
            Ok(Ok(())) => silence(inotify),
        }
    }
}

/// The runtime has no word for inotify; a pipe's reading end is read in the same way.
fn listen(folder: &Path) -> io::Result<Receiver> {
    let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
    let changes = WatchFlags::CREATE | WatchFlags::CLOSE_WRITE | WatchFlags::MOVED_FROM | WatchFlags::MOVED_TO;
    let ends = WatchFlags::DELETE | WatchFlags::DELETE_SELF;
    inotify::add_watch(&inotify, folder, changes | ends | WatchFlags::ONLYDIR)?;
    Receiver::from_owned_fd_unchecked(inotify)
}

/// Takes what has been heard: which file it was does not matter, everything is looked at anyway.
fn silence(inotify: &Receiver) {
    let mut buffer = [0; 4096];
    while inotify.try_read(&mut buffer).is_ok_and(|read| read > 0) {}
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Instant};

    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn it_rings_for_what_happened_since_it_was_hung_and_then_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let bell = Bell::hang(folder.path());
        for n in 0..200 {
            fs::write(folder.path().join(n.to_string()), "").unwrap();
        }
        let begun = Instant::now();
        bell.rung(LONG).await;
        assert!(begun.elapsed() < LONG);
        assert!(timeout(Duration::from_millis(50), bell.rung(LONG)).await.is_err(), "all is heard already");
    }

    #[tokio::test]
    async fn a_file_that_its_dead_owner_had_open_rings_too() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lock");
        let mut owner = std::process::Command::new("/bin/sh");
        let mut owner = owner.args(["-c", "exec 3>\"$0\"; exec sleep 60"]).arg(&file).spawn().unwrap();
        while !file.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let bell = Bell::hang(folder.path());
        owner.kill().unwrap();
        owner.wait().unwrap();
        assert!(timeout(LONG, bell.rung(LONG * 2)).await.is_ok());
    }
}
