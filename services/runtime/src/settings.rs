//! What every service can be told, by flag or by environment variable.
//!
//! Tracing is not here: it is configured by the standard `OTEL_*` variables (see [`crate::Telemetry`]).
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::time::Duration;

use crate::{LogSettings, NatsSettings};

/// The settings that all services share; flatten it into a service's own arguments.
#[derive(Debug, Clone, clap::Args)]
#[command(about = None, long_about = None)]
pub struct Settings {
    /// How and what to log.
    #[command(flatten)]
    pub log: LogSettings,
    /// Where NATS is, and who we are there.
    #[command(flatten)]
    pub nats: NatsSettings,
    /// Address of /livez, /readyz and /metrics; port 0 takes a free one, which is logged; `off` for none.
    #[arg(long, env = "SWITCHYARD_LISTEN", default_value = "127.0.0.1:0", value_name = "ADDRESS|off", help_heading = "Process")]
    pub listen: Listen,
    /// How long the service may take to finish what it has begun when it is asked to stop. Up to 8 s more go to flushing.
    #[arg(long, env = "SWITCHYARD_SHUTDOWN_GRACE", default_value = "20s", value_name = "TIME", value_parser = duration, help_heading = "Process")]
    pub shutdown_grace: Duration,
    /// Worker threads [default: the number of processors, at most 4].
    #[arg(long, env = "SWITCHYARD_WORKERS", value_name = "N", help_heading = "Process")]
    pub workers: Option<NonZeroUsize>,
}

impl Settings {
    /// The number of worker threads to start.
    pub(crate) fn workers(&self) -> usize {
        let processors = || std::thread::available_parallelism().map_or(1, usize::from).min(4);
        self.workers.map_or_else(processors, usize::from)
    }
}

/// Where health and metrics are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listen {
    /// On this address; port 0 takes a free port.
    On(SocketAddr),
    /// Nowhere.
    Off,
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            _ => {
                text.parse().map(Self::On).map_err(|_| "expected an IP address and a port, like 0.0.0.0:8080, or off".to_owned())
            }
        }
    }
}

/// Reads a time that names its unit: `20s`, `1m 30s`, `500ms`.
fn duration(text: &str) -> Result<Duration, String> {
    text.parse::<jiff::SignedDuration>()
        .ok()
        .and_then(|time| Duration::try_from(time).ok())
        .ok_or_else(|| "expected a time with its unit, like 20s or 1m 30s".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_names_its_unit() {
        assert_eq!(duration("20s"), Ok(Duration::from_secs(20)));
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
        for wrong in ["20", "-5s", "soon", ""] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn listening_can_be_turned_off() {
        assert_eq!("off".parse(), Ok(Listen::Off));
        assert!(matches!("0.0.0.0:8080".parse(), Ok(Listen::On(_))));
        assert!("8080".parse::<Listen>().is_err());
    }
}
