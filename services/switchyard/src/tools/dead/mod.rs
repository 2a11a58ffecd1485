//! `switchyard dead`: what no service could handle, to be looked at, published again or dropped.

mod hex;

use std::process::ExitCode;

use async_nats::HeaderMap;
use switchyard_bus::{Bus, Kept, Published};

use super::{
    Session, Told, run,
    term::{self, Cell, Colour, Paint, columns},
};

/// What to do with dead letters. Each is called by its sequence in the stream DEAD.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Action {
    /// Lists all of them, the oldest first.
    Ls(Told<Ls>),
    /// Shows one: why it is dead, where it came from, its headers and its original bytes.
    Show(Told<Show>),
    /// Publishes them again where they came from. They stay in DEAD until they are dropped.
    Replay(Told<Letters>),
    /// Removes them for good.
    Drop(Told<Letters>),
}

#[derive(Clone, Debug, clap::Args)]
struct Ls {
    /// Print one JSON object per letter: `sequence`, `at`, `stream`, `consumer`, `subject`, `streamSequence`, `bytes`, `reason`.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Debug, clap::Args)]
struct Show {
    /// Its sequence in DEAD.
    #[arg(value_name = "N")]
    sequence: u64,
    /// Write its bytes to standard output untouched, and nothing else.
    #[arg(long)]
    raw: bool,
}

#[derive(Clone, Debug, clap::Args)]
struct Letters {
    /// Their sequences in DEAD.
    #[arg(required = true, value_name = "N")]
    sequences: Vec<u64>,
}

pub(crate) fn dead(args: &Args) -> ExitCode {
    match &args.action {
        Action::Ls(Told { args, nats }) => run(nats, async |session: &Session<'_>| ls(session.bus().await?, args).await),
        Action::Show(Told { args, nats }) => run(nats, async |session: &Session<'_>| show(session.bus().await?, args).await),
        Action::Replay(Told { args, nats }) => run(nats, async |session: &Session<'_>| replay(session.bus().await?, args).await),
        Action::Drop(Told { args, nats }) => run(nats, async |session: &Session<'_>| forget(session.bus().await?, args).await),
    }
}

async fn ls(bus: &Bus, args: &Ls) -> anyhow::Result<()> {
    let letters = bus.dead_letters().await?;
    term::say(&if args.json { letters.iter().map(json).collect() } else { list(&letters, Paint::stdout()) })
}

async fn show(bus: &Bus, args: &Show) -> anyhow::Result<()> {
    let kept = bus.dead_letter(args.sequence).await?;
    if args.raw {
        return term::write(&kept.letter.payload);
    }
    term::say(&head(&kept))?;
    term::write(&body(&kept.letter.payload))
}

async fn replay(bus: &Bus, args: &Letters) -> anyhow::Result<()> {
    for &sequence in &args.sequences {
        let (kept, published) = bus.replay(sequence).await?;
        let how = match published {
            Published::New => "published again on",
            Published::Already => "had just been published again before on",
        };
        term::say(&format!("dead letter {sequence} {how} {}\n", term::line(&kept.letter.subject)))?;
    }
    Ok(())
}

async fn forget(bus: &Bus, args: &Letters) -> anyhow::Result<()> {
    for &sequence in &args.sequences {
        let kept = bus.drop_dead(sequence).await?;
        let (from, bytes, reason) = (origin(&kept), kept.size, term::line(&kept.letter.reason));
        term::say(&format!("dead letter {sequence} dropped: {bytes} bytes from {from}: {reason}\n"))?;
    }
    Ok(())
}

/// `CI/7 by router`.
fn origin(kept: &Kept) -> String {
    term::line(&format!("{}/{} by {}", kept.letter.stream, kept.letter.sequence, kept.letter.durable))
}

fn list(letters: &[Kept], paint: Paint) -> String {
    let head = ["N", "WHEN", "FROM", "SUBJECT", "BYTES", "REASON"].map(|name| Cell::coloured(name, Colour::Dim)).to_vec();
    let rows = letters.iter().map(|kept| {
        vec![
            Cell::new(kept.sequence.to_string()),
            Cell::new(format!("{:.0}", kept.at)),
            Cell::new(origin(kept)),
            Cell::new(&kept.letter.subject),
            Cell::new(kept.size.to_string()),
            Cell::new(&kept.letter.reason),
        ]
    });
    columns(&std::iter::once(head).chain(rows).collect::<Vec<_>>(), paint)
}

fn json(kept: &Kept) -> String {
    let letter = &kept.letter;
    let object = serde_json::json!({
        "sequence": kept.sequence, "at": kept.at, "stream": letter.stream, "consumer": letter.durable, "subject": letter.subject,
        "streamSequence": letter.sequence, "bytes": kept.size, "reason": letter.reason,
    });
    format!("{object}\n")
}

/// What is known about a letter, and its headers.
fn head(kept: &Kept) -> String {
    let letter = &kept.letter;
    let mut facts = vec![
        ("reason", letter.reason.clone()),
        ("subject", letter.subject.clone()),
        ("from", origin(kept)),
        ("when", format!("{:.3}", kept.at)),
        ("bytes", kept.size.to_string()),
    ];
    facts.extend(headers(&letter.headers).into_iter().map(|header| ("header", header)));
    let rows: Vec<_> = facts.into_iter().map(|(name, fact)| vec![Cell::new(name), Cell::new(fact)]).collect();
    format!("{}\n", columns(&rows, Paint::PLAIN))
}

fn headers(headers: &HeaderMap) -> Vec<String> {
    let pairs = headers.iter().flat_map(|(name, values)| values.iter().map(move |value| format!("{name}: {}", value.as_str())));
    let mut pairs: Vec<_> = pairs.collect();
    pairs.sort_unstable();
    pairs
}

/// The bytes themselves where they are text that leaves a terminal alone, else as a hex dump.
fn body(payload: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(payload).ok();
    match text.filter(|text| !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))) {
        Some(text) if text.is_empty() || text.ends_with('\n') => payload.to_vec(),
        Some(_) => [payload, b"\n"].concat(),
        None => hex::dump(payload).into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use switchyard_bus::DeadLetter;

    use super::*;

    fn kept() -> Kept {
        let mut headers = HeaderMap::new();
        headers.insert("ce-id", "1");
        let letter = DeadLetter {
            stream: "CI".into(),
            durable: "router".into(),
            subject: "ci.default.x".into(),
            sequence: 7,
            reason: "not a CloudEvent".into(),
            headers,
            payload: "{".into(),
        };
        Kept { sequence: 3, at: Timestamp::UNIX_EPOCH, size: 1, letter }
    }

    #[test]
    fn a_letter_is_listed_on_one_line() {
        let text = list(&[kept()], Paint::PLAIN);
        assert_eq!(
            text.lines().nth(1).unwrap(),
            "3  1970-01-01T00:00:00Z  CI/7 by router  ci.default.x  1      not a CloudEvent"
        );
    }

    #[test]
    fn a_letter_is_shown_with_its_headers() {
        assert!(head(&kept()).starts_with("reason   not a CloudEvent\n"), "{}", head(&kept()));
        assert!(head(&kept()).ends_with("header   ce-id: 1\n\n"), "{}", head(&kept()));
    }

    #[test]
    fn text_is_shown_as_it_is_and_anything_else_in_hex() {
        assert_eq!(body("é\n\t{".as_bytes()), "é\n\t{\n".as_bytes());
        assert_eq!(body(b""), b"");
        for binary in [&b"\xff"[..], b"\x1b[2J", b"\0"] {
            assert!(body(binary).starts_with(b"00000000  "), "{binary:?}");
        }
    }
}
