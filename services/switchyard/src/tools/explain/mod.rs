//! `switchyard explain`: where a build goes, or went, and why. Publishes nothing.

mod view;

use std::{
    io::Read as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use switchyard_bus::Bus;
use switchyard_events::{BuildKey, BuildRefused, BuildRouted, custom_data};
use switchyard_fleet::Fleet;
use switchyard_router::{Rules, asked};

use super::{
    Session, Told, config, find,
    publish::input::{self, Plain},
    run,
    term::{self, Paint},
};
pub(super) use view::Explained;

/// Settings of `explain`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// A file as `publish` takes it (`-` is standard input), or the id of a build, or the beginning of one.
    #[arg(value_name = "FILE|ID")]
    what: String,
    /// The fleet file to decide by; without it the fleet that holds, and for a past build the one that held.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Whose build it is, where a file is explained.
    #[arg(long, env = "SWITCHYARD_TENANT", default_value = "default")]
    tenant: String,
    /// Print one JSON object per decision: `build`, `attempt`, `tenant`, `image`, `revision`, `executor`, `rule`, `refused`, `executors`.
    #[arg(long)]
    json: bool,
}

pub(crate) fn explain(told: &Told<Args>) -> ExitCode {
    let args = &told.args;
    run(&told.nats, async |session: &Session<'_>| {
        let given = args.config.as_deref().map(|path| config::checked(&config::read_fleet(path)?)).transpose()?;
        let explained = if args.what == "-" || Path::new(&args.what).is_file() {
            let fleet = match given {
                Some(fleet) => fleet,
                None => config::holds(session.bus().await?).await?,
            };
            of_file(args, &Rules::new(fleet))?
        } else {
            of_build(session.bus().await?, &args.what, given).await?
        };
        let text = |explained: &Explained| {
            if args.json { Ok(format!("{}\n", serde_json::to_string(explained)?)) } else { Ok(explained.text(Paint::stdout())) }
        };
        let texts = explained.iter().map(text).collect::<anyhow::Result<Vec<_>>>()?;
        term::say(&texts.join(if args.json { "" } else { "\n" }))
    })
}

/// What a file asks for. A plain build gets its id when it is published: here it has its name, so the draw is an example.
fn of_file(args: &Args, rules: &Rules) -> anyhow::Result<Vec<Explained>> {
    let mut bytes = Vec::new();
    let (place, name) = match args.what.as_str() {
        "-" => {
            std::io::stdin().read_to_end(&mut bytes).context("stdin")?;
            ("stdin", "stdin".to_owned())
        }
        file => {
            bytes = std::fs::read(file).with_context(|| file.to_owned())?;
            (file, Path::new(file).file_stem().map_or_else(|| file.to_owned(), |stem| stem.to_string_lossy().into_owned()))
        }
    };
    let now = Timestamp::now();
    let plain = Plain { event_type: None, name: name.clone(), tenant: args.tenant.clone(), now };
    let inputs = input::read(place, &bytes, &plain, || name.clone())?;
    let mut explained = Vec::new();
    for input in inputs {
        let delivery = input::delivered(&input.event, &args.tenant, now);
        match asked(&delivery.view())? {
            Some(asked) => explained.push(Explained::of(&asked, rules)),
            None => bail!("{}: asks for no build", input.place),
        }
    }
    Ok(explained)
}

/// What was decided of a past build, every attempt.
async fn of_build(bus: &Bus, id: &str, given: Option<Fleet>) -> anyhow::Result<Vec<Explained>> {
    let build = match id.parse::<BuildKey>() {
        Ok(build) => build,
        Err(_) => find::existing(bus, id).await?.0,
    };
    let fleets = bus.fleets().await?;
    let mut found = Vec::new();
    let routed = format!("yard.{}.*.{build}.*", BuildRouted::TYPE);
    bus.recorded("YARD", &routed, None, |delivery| found.push((delivery.sequence, delivery))).await?;
    let refused = format!("yard.{}.{build}.*", BuildRefused::TYPE);
    bus.recorded("YARD", &refused, None, |delivery| found.push((delivery.sequence, delivery))).await?;
    found.sort_by_key(|(sequence, _)| *sequence);
    let mut explained = Vec::new();
    for (_, delivery) in &found {
        let event = delivery.cdevent()?;
        if delivery.subject.contains(".refused.") {
            explained.push(Explained::refused(custom_data(&event)?));
            continue;
        }
        let routed: BuildRouted = custom_data(&event)?;
        let kept = || config::find(&fleets, &routed.why.revision).ok().and_then(|applied| Fleet::parse(&applied.text).ok());
        let same = given.clone().filter(|fleet| fleet.revision() == routed.why.revision);
        explained.push(Explained::decided(&routed, same.or_else(kept).map(Rules::new).as_ref()));
    }
    if explained.is_empty() {
        bail!("stream YARD has no decision about build {build}: it has expired, or the build has not been routed yet");
    }
    Ok(explained)
}
