//! `switchyard publish`: events and plain build files go to the stream of incoming events, each as the start of a trace.

pub(super) mod input;
mod traced;

use std::{io::Read as _, path::Path, process::ExitCode};

use anyhow::Context as _;
use async_nats::HeaderMap;
use cloudevents::AttributesReader as _;
use jiff::Timestamp;
use serde::Serialize;
use switchyard_bus::{Bus, Published};
use switchyard_events::{ci, token};

use super::{Session, Told, run, term};
use input::{Input, Plain};
use traced::traced;

/// Settings of `publish`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// CloudEvents (structured JSON), bare CDEvents or plain build files (YAML or JSON with `image` and `steps`); `-` is standard
    /// input. A JSON array or several YAML documents are several.
    #[arg(required = true, value_name = "FILE|-")]
    files: Vec<String>,
    /// Whose events they are.
    #[arg(long, env = "SWITCHYARD_TENANT", default_value = "default", value_parser = tenant)]
    tenant: String,
    /// What a plain build file becomes: build, pipelinerun, testsuiterun, testcaserun or a whole type; with --raw the type in the
    /// subject [default: build].
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// What a plain build is called [default: the file's name].
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Publish each file's bytes as they are, whatever they are.
    #[arg(long, conflicts_with = "name")]
    raw: bool,
    /// Print one JSON object per event: `file`, `subject`, `source`, `id`, `type`, `build` (null for an event that asks for none),
    /// `trace`, `stored` (`new`, or `already` if it had been published before).
    #[arg(long)]
    json: bool,
}

/// A tenant is one token of the subject; nobody is to publish as somebody else by a slip.
fn tenant(text: &str) -> Result<String, String> {
    if text == token(text) {
        Ok(text.to_owned())
    } else {
        Err("a tenant is one token of a subject: no dots, spaces or wildcards".into())
    }
}

pub(crate) fn publish(told: &Told<Args>) -> ExitCode {
    let args = &told.args;
    run(&told.nats, async |session: &Session<'_>| {
        if args.raw {
            return raw(session, args).await;
        }
        // All are read before the first is published: a mistake in the last one is no reason to publish half.
        let mut inputs = Vec::new();
        for file in &args.files {
            inputs.extend(read(file, args)?);
        }
        let bus = session.bus().await?;
        for input in inputs {
            let sent = send(bus, &args.tenant, input).await?;
            term::say(&if args.json { format!("{}\n", serde_json::to_string(&sent)?) } else { sent.line() })?;
        }
        Ok(())
    })
}

/// The type's own name where it is a whole one, else the queued event of that subject.
fn event_type(kind: Option<&str>) -> String {
    match kind.unwrap_or("build") {
        whole if whole.contains('.') => whole.to_owned(),
        subject => format!("dev.cdevents.{subject}.queued.0.3.0"),
    }
}

fn bytes(file: &str) -> anyhow::Result<Vec<u8>> {
    if file == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).context("stdin")?;
        return Ok(bytes);
    }
    std::fs::read(file).with_context(|| file.to_owned())
}

fn read(file: &str, args: &Args) -> anyhow::Result<Vec<Input>> {
    let place = place(file);
    let stem = || Path::new(place).file_stem().map_or_else(|| place.to_owned(), |stem| stem.to_string_lossy().into_owned());
    let plain = Plain {
        event_type: args.kind.is_some().then(|| event_type(args.kind.as_deref())),
        name: args.name.clone().unwrap_or_else(stem),
        tenant: args.tenant.clone(),
        now: Timestamp::now(),
    };
    Ok(input::read(place, &bytes(file)?, &plain, || uuid::Uuid::new_v4().to_string())?)
}

/// What messages call a file.
fn place(file: &str) -> &str {
    if file == "-" { "stdin" } else { file }
}

/// One event that is stored, for people and programs.
#[derive(Debug, Serialize)]
struct Sent {
    file: String,
    subject: String,
    source: String,
    id: String,
    r#type: String,
    build: Option<String>,
    trace: String,
    stored: &'static str,
}

impl Sent {
    fn line(&self) -> String {
        let build = self.build.as_ref().map_or("no build".into(), |build| format!("build {build}"));
        let again = if self.stored == "already" { ", published before" } else { "" };
        let line = format!("{}: {build}, event {}, trace {}{again}", self.file, self.id, self.trace);
        format!("{}\n", term::line(&line))
    }
}

async fn send(bus: &Bus, tenant: &str, input: Input) -> anyhow::Result<Sent> {
    let Input { place, event, build } = input;
    let subject = ci(tenant, event.ty());
    let (id, source, r#type) = (event.id().to_owned(), event.source().clone(), event.ty().to_owned());
    let (trace, published) = traced(bus, subject.clone(), event).await.with_context(|| place.clone())?;
    let trace = trace.split('-').nth(1).unwrap_or_default().to_owned();
    let stored = match published {
        Published::New => "new",
        Published::Already => "already",
    };
    Ok(Sent { file: place, subject, source, id, r#type, build: build.map(|build| build.to_string()), trace, stored })
}

async fn raw(session: &Session<'_>, args: &Args) -> anyhow::Result<()> {
    let event_type = event_type(args.kind.as_deref());
    let subject = ci(&args.tenant, &event_type);
    for file in &args.files {
        let payload = bytes(file)?;
        let size = payload.len();
        let js = session.bus().await?.jetstream();
        let sent = js.publish_with_headers(subject.clone(), HeaderMap::new(), payload.into()).await;
        let ack = sent
            .with_context(|| place(file).to_owned())?
            .await
            .with_context(|| format!("{}: publish on {subject}", place(file)))?;
        let name = place(file);
        term::say(&if args.json {
            format!("{}\n", serde_json::json!({"file": name, "subject": subject, "bytes": size, "sequence": ack.sequence}))
        } else {
            format!("{}\n", term::line(&format!("{name}: {size} bytes as they are, {} {}, {subject}", ack.stream, ack.sequence)))
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_is_one_token() {
        assert_eq!(tenant("default"), Ok("default".into()));
        for wrong in ["", "a.b", "a b", "*", ">"] {
            assert!(tenant(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_type_is_whole_or_the_subject_of_a_queued_event() {
        assert_eq!(event_type(None), "dev.cdevents.build.queued.0.3.0");
        assert_eq!(event_type(Some("pipelinerun")), "dev.cdevents.pipelinerun.queued.0.3.0");
        assert_eq!(event_type(Some("com.example.odd")), "com.example.odd");
    }
}
