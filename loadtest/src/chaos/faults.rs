//! What breaks: SIGKILL, SIGSTOP, and a restart by SIGTERM, of every service and every server.

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt as _, stream::FuturesUnordered};
use switchyard_dev::{Server, StartError};
use tokio::time::{Instant, sleep, sleep_until};

use super::{dice::Dice, yard::Yard};

/// How something is harmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// SIGKILL, and started again a little later.
    Kill,
    /// SIGSTOP, and SIGCONT later: of a service, sometimes longer than its messages wait.
    Pause,
    /// SIGTERM, and started again.
    Restart,
}

/// How often each was harmed, and how.
pub(crate) type Faults = BTreeMap<(String, Fault), u32>;

/// Longer than a message waits before another replica is told of it (3 s), and than anybody waits for an answer.
const LONG: Duration = Duration::from_secs(33);
const SHORT: Duration = Duration::from_secs(6);

/// One thing that can be harmed, and how often it is chosen.
struct Target<'a> {
    name: String,
    server: &'a Server,
    weight: u64,
    ours: bool,
}

/// Harms one thing after the other, up to several at once, never one that is being harmed; then waits until all are well again.
pub(crate) async fn inject(yard: &Yard, a_minute: u32, mut dice: Dice, until: Instant) -> anyhow::Result<Faults> {
    let targets = targets(yard)?;
    let mut faults = Faults::new();
    let mut under_way = FuturesUnordered::new();
    let mut harmed = vec![false; targets.len()];
    let mean = Duration::from_mins(1) / a_minute;
    let mut next = Instant::now() + Duration::from_secs(3);
    while next < until {
        tokio::select! {
            Some(done) = under_way.next(), if !under_way.is_empty() => {
                let at: usize = done?;
                harmed[at] = false;
                continue;
            }
            () = sleep_until(next) => {}
        }
        next += dice.between(mean / 2, mean * 3 / 2);
        let at = choose(&targets, &mut dice);
        let fault = fault(&mut dice);
        let long = dice.below(6) == 0 && targets[at].ours;
        let last = dice.between(Duration::from_millis(100), if long { LONG } else { SHORT });
        // The dice are thrown in any case: what can be harmed depends on the machine, the schedule must not.
        let broker = |target: &Target<'_>| target.name.starts_with("nats");
        let no_majority = broker(&targets[at]) && targets.iter().zip(&harmed).any(|(other, harmed)| *harmed && broker(other));
        if harmed[at] || no_majority {
            continue;
        }
        harmed[at] = true;
        *faults.entry((kind_of(&targets[at].name), fault)).or_default() += 1;
        let server = targets[at].server;
        under_way.push(async move { harm(server, fault, last).await.map(|()| at) });
    }
    while let Some(done) = under_way.next().await {
        done?;
    }
    Ok(faults)
}

fn targets(yard: &Yard) -> anyhow::Result<Vec<Target<'_>>> {
    let ours = yard.services.iter().map(|(name, server)| Target { name: name.to_owned(), server, weight: 6, ours: true });
    let servers = yard.servers()?.into_iter().map(|(name, server)| {
        let weight = if name.starts_with("nats") { 5 } else { 3 };
        Target { name, server, weight, ours: false }
    });
    Ok(ours.chain(servers).collect())
}

fn choose(targets: &[Target<'_>], dice: &mut Dice) -> usize {
    let mut left = dice.below(targets.iter().map(|target| target.weight).sum());
    for (at, target) in targets.iter().enumerate() {
        match left.checked_sub(target.weight) {
            Some(rest) => left = rest,
            None => return at,
        }
    }
    0
}

fn fault(dice: &mut Dice) -> Fault {
    match dice.below(10) {
        0 => Fault::Restart,
        1 | 2 => Fault::Pause,
        _ => Fault::Kill,
    }
}

async fn harm(server: &Server, fault: Fault, last: Duration) -> anyhow::Result<()> {
    match fault {
        Fault::Kill => {
            server.kill().await;
            sleep(last / 3).await;
            start(server).await?;
        }
        Fault::Pause => {
            server.pause();
            sleep(last).await;
            server.resume();
        }
        Fault::Restart => {
            server.stop(Duration::from_secs(25)).await;
            start(server).await?;
        }
    }
    Ok(())
}

/// Starts it again. While what it needs is harmed all the time, it may not become ready at once: that is not its fault.
async fn start(server: &Server) -> anyhow::Result<()> {
    for _ in 0..3 {
        match server.restart().await {
            Err(StartError::NotReady { .. }) => {}
            done => return Ok(done?),
        }
    }
    Ok(server.restart().await?)
}

/// The replicas of one service are one row of the table.
fn kind_of(name: &str) -> String {
    name.trim_end_matches(|c: char| c == '-' || c.is_ascii_digit()).to_owned()
}
