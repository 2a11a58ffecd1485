//! How far back a stream reaches: what is asked for beyond that is gone, and is not passed over in silence.

use std::{path::Path, time::Duration};

use anyhow::bail;
use jiff::Timestamp;
use switchyard_bus::Bus;
use switchyard_events::TimeLimit;

/// The stream of what models see.
pub(super) const STREAM: &str = "INFERENCE";

/// From this part of its greatest size on, a stream may have let go of messages before their time.
const FULL: f64 = 0.9;

/// What a stream still has.
#[derive(Clone, Copy, Debug)]
struct Reach {
    /// How long it keeps messages.
    keeps: Duration,
    /// When its oldest message was stored.
    oldest: Timestamp,
    /// Whether messages made way before their time because it was full.
    squeezed: bool,
}

/// The moment from which on a stream is read.
///
/// # Errors
/// What was seen then is no longer kept, or cannot be asked for.
pub(super) async fn since(bus: &Bus, since: TimeLimit) -> anyhow::Result<Timestamp> {
    let stream = bus.jetstream().get_stream(STREAM).await?;
    let (config, state) = (&stream.cached_info().config, &stream.cached_info().state);
    #[expect(clippy::cast_precision_loss, reason = "nine tenths, more or less")]
    let full = config.max_bytes > 0 && state.bytes as f64 > FULL * config.max_bytes as f64;
    let oldest = Timestamp::from_nanosecond(state.first_timestamp.unix_timestamp_nanos())?;
    let reach = Reach { keeps: config.max_age, oldest, squeezed: full && state.first_sequence > 1 };
    reaches(since, Timestamp::now(), reach)
}

fn reaches(since: TimeLimit, now: Timestamp, reach: Reach) -> anyhow::Result<Timestamp> {
    let remedy = "what is older is gone; ask for less, or give rows and labels in a file: --from rows.jsonl";
    if !reach.keeps.is_zero() && since.duration() > reach.keeps {
        let keeps = TimeLimit::minutes(reach.keeps.as_secs() / 60);
        bail!("--since {since}: stream {STREAM} keeps {keeps}: {remedy}");
    }
    let from = now.checked_sub(since.duration())?;
    if reach.squeezed && reach.oldest > from {
        bail!("--since {since}: stream {STREAM} is full and begins at {:.0}: {remedy}", reach.oldest);
    }
    Ok(from)
}

/// Refuses a file that is surely no JSON lines.
pub(super) fn is_json_lines(file: &Path) -> anyhow::Result<()> {
    let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
    if ["csv", "parquet", "pq"].contains(&ending.as_str()) {
        bail!("{}: JSON lines are expected: one object a line, with the key, and the features or the label", file.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(since: &str, oldest: i64, squeezed: bool) -> Result<i64, String> {
        let (now, oldest) = (Timestamp::from_second(200_000).unwrap(), Timestamp::from_second(oldest).unwrap());
        let reach = Reach { keeps: Duration::from_hours(24), oldest, squeezed };
        reaches(since.parse().unwrap(), now, reach).map(Timestamp::as_second).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_still_kept_can_be_asked_for() {
        assert_eq!(asked("1h", 150_000, false), Ok(196_400));
        assert_eq!(asked("24h", 190_000, false), Ok(113_600), "nothing was seen before, or it has aged");
        assert_eq!(asked("1h", 150_000, true), Ok(196_400));
    }

    #[test]
    fn what_is_gone_is_an_error_that_says_how_far_back_it_reaches() {
        let error = asked("3d", 150_000, false).unwrap_err();
        assert!(error.starts_with("--since 3d: stream INFERENCE keeps 1d: what is older is gone; ask for less"), "{error}");
        let error = asked("12h", 190_000, true).unwrap_err();
        assert!(error.contains("is full and begins at 1970-01-03T04:46:40Z") && error.contains("--from rows.jsonl"), "{error}");
    }
}
