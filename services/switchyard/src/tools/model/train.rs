//! `switchyard model retrain`, `approve`, `deny`, `restore`: what people ask of the trainer. It answers by events.

use jiff::Timestamp;
use switchyard_bus::{Bus, Events as _};
use switchyard_events::{Asked, OfRun, Retrain, RollBack};
use switchyard_trainer::{Registry, policy::Record};
use uuid::Uuid;

use super::{of, term};

/// A run that waits for approval.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Waiting {
    /// The model.
    name: String,
    /// Only if it is this run that waits.
    #[arg(long, value_name = "N")]
    run: Option<u64>,
}

/// A training that is wanted.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Wanted {
    /// The model.
    name: String,
    /// Pass over cooldown and back-off; budget and concurrency hold in any case.
    #[arg(long)]
    now: bool,
}

/// A champion that is wanted back.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Former {
    /// The model.
    name: String,
    /// The key of the run whose model is to serve, as `model status NAME` shows it; without one, the champion before this one.
    #[arg(long, value_name = "RUN")]
    to: Option<String>,
}

pub(super) async fn approve(bus: &Bus, args: &Waiting, granted: bool) -> anyhow::Result<()> {
    let Waiting { name, run } = args;
    of(bus, name).await?;
    let waits = record(bus, name).await?.and_then(|record| record.asked).filter(|ask| run.is_none_or(|run| run == ask.n));
    let Some(ask) = waits else {
        let which = run.map_or_else(|| "no run".to_owned(), |run| format!("run {run}"));
        let verb = if run.is_some() { "does not wait" } else { "waits" };
        anyhow::bail!("{which} of {name} {verb} for approval: `switchyard model status {name}` says what it is doing");
    };
    let about = OfRun { model: name.clone(), run: Some(ask.n), by: me() };
    ask_for(bus, if granted { Asked::Approve(about) } else { Asked::Deny(about) }).await?;
    term::say(&format!("run {} of {name} is {}\n", ask.n, if granted { "approved" } else { "denied" }))
}

pub(super) async fn retrain(bus: &Bus, Wanted { name, now }: &Wanted) -> anyhow::Result<()> {
    of(bus, name).await?;
    ask_for(bus, Asked::Retrain(Retrain { model: name.clone(), now: *now, by: me() })).await?;
    term::say(&format!("a training of {name} is wanted; `switchyard model status {name}` says what becomes of it\n"))
}

pub(super) async fn restore(bus: &Bus, Former { name, to }: &Former) -> anyhow::Result<()> {
    of(bus, name).await?;
    let wanted = registry(bus, name).await?.roll_back(to.as_deref(), Timestamp::now());
    let wanted = wanted.map_err(anyhow::Error::msg)?.champion.map(|crown| crown.run).unwrap_or_default();
    ask_for(bus, Asked::RollBack(RollBack { model: name.clone(), to: Some(wanted.clone()), by: me() })).await?;
    term::say(&format!("run {wanted} is to be the champion of {name} again\n"))
}

async fn ask_for(bus: &Bus, asked: Asked) -> anyhow::Result<()> {
    // Each asking is a request of its own.
    let outgoing = asked.outgoing(&Uuid::new_v4().to_string(), Timestamp::now())?;
    bus.publish(outgoing).await?;
    Ok(())
}

/// Who asks, as far as that is known.
fn me() -> String {
    std::env::var("USER").ok().filter(|user| !user.is_empty()).unwrap_or_else(|| "cli".to_owned())
}

/// What the trainer knows of a model, if it has seen it yet.
pub(super) async fn record(bus: &Bus, model: &str) -> anyhow::Result<Option<Record>> {
    let Some((bytes, _)) = bus.state(&format!("policy.{model}")).await? else { return Ok(None) };
    Ok(Some(serde_json::from_slice(&bytes)?))
}

/// The champion of a model, and those before it.
pub(super) async fn registry(bus: &Bus, model: &str) -> anyhow::Result<Registry> {
    let Some((bytes, _)) = bus.state(&Registry::key(model)).await? else { return Ok(Registry::default()) };
    Ok(serde_json::from_slice(&bytes)?)
}
