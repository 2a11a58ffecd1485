//! What may happen.

use crate::cluster::Away;

/// One thing that happens. The numbers choose among what there is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// A message is delivered; unless `acknowledged`, it will be again.
    Deliver { which: u8, acknowledged: bool },
    /// A handler goes on, by so many effects.
    Go { which: u8, effects: u8 },
    /// A handler's replica dies.
    Crash(u8),
    /// A whole reaper dies: its handlers, and what its watch had in mind.
    Restart(u8),
    /// The watch tells the next thing.
    Watch { cluster: u8, which: u8 },
    /// Something happens in a cluster.
    There { cluster: u8, happening: Happening },
    /// Every message is delivered, and every handler and watch goes on as far as it can.
    Turn,
    /// Time passes until the next clock or look.
    Next,
    /// Time passes.
    Wait { seconds: u8 },
    /// A clock fires although it is not due.
    Early(u8),
    /// A clock is lost.
    Lose(u8),
    /// A watch misses all that it has still to tell or to look at.
    Overlook(u8),
    /// A reaper sweeps.
    Sweep(u8),
    /// Somebody cancels a build.
    Cancel(u8),
    /// Somebody wants a build to run longer.
    Extend { build: u8, seconds: u8 },
    /// The router answers a request, perhaps once more, perhaps otherwise.
    Route { build: u8, to: u8 },
    /// The router refuses a request.
    Refuse(u8),
    /// A stored event is delivered again, though it was acknowledged: its publisher repeats it after the duplicate window, or
    /// its consumer is wound back.
    Repeat(u8),
    /// A handler's replica is stopped, or goes on.
    Pause(u8),
    /// The fleet file changes: limits, and whether anything may be routed at all.
    Configure(u8),
    /// An executor is to become empty, or no longer; whether the other takes builds, as far as its reapers know.
    Fleet { executor: u8, draining: bool, takes: bool },
    /// The broker goes away, or comes back.
    Broker(Away),
}

/// What may happen in a cluster.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Happening {
    /// The node works on a pod.
    Work { which: u8, how: u8 },
    /// Somebody deletes a pod; with force, if its machine is lost.
    Delete { which: u8, force: bool },
    /// The API server goes away, or comes back.
    Away(Away),
    /// What it was asked for, and never answered, is done now.
    Arrive(u8),
    /// A pod's machine is lost, or found again.
    Machine { which: u8, lost: bool },
    /// Admission refuses every pod from now on, or no longer.
    Reject,
}
