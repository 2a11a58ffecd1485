//! The connection to NATS: who we are, what is final, and what is worth waiting for.
use std::error::Error as _;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_nats::{Client, ConnectErrorKind, ConnectOptions, ServerError, ServerInfo};
use backoff::ExponentialBackoff;
use backoff::backoff::Backoff as _;
use tracing::{info, warn};

use crate::NatsSettings;
use crate::nats_events::Listener;
use crate::seldom::Seldom;

/// The oldest server that has message schedules, per-message TTLs and consumer resets.
const OLDEST: (u64, u64) = (2, 14);
/// Three missed answers end a connection: a frozen server is noticed within 15 s.
const PING: Duration = Duration::from_secs(5);
/// The longest pause between two attempts to reconnect, half of it more or less: a broker that is back is noticed within 3 s.
const RECONNECT: Duration = Duration::from_secs(2);
const FLUSH: Duration = Duration::from_secs(2);
const CLOSE: Duration = Duration::from_secs(1);
/// How often it is looked whether the client is still there.
const LOOK: Duration = Duration::from_secs(1);

/// Why there is no usable connection to NATS.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The settings contradict each other or name something that is not there.
    #[error("{0}")]
    Settings(String),
    /// No server answered. This may pass.
    #[error("no NATS at {servers}: {reason}")]
    Unreachable {
        /// Where.
        servers: String,
        /// What the attempt ended with.
        reason: String,
    },
    /// The server does not accept our credentials.
    #[error("NATS at {servers} refused us: {reason}")]
    Refused {
        /// Where.
        servers: String,
        /// What it said.
        reason: String,
    },
    /// One of the two does not accept the other's certificate, or only one of them speaks TLS.
    #[error("TLS with NATS at {servers} failed: {reason}")]
    Tls {
        /// Where.
        servers: String,
        /// What went wrong.
        reason: String,
    },
    /// The server lacks features that we need.
    #[error("nats-server {_0} is too old: {major}.{minor} or newer is needed", major = OLDEST.0, minor = OLDEST.1)]
    TooOld(String),
    /// The server has no JetStream, and knows of none in its cluster.
    #[error("JetStream is not enabled on NATS at {0}: start nats-server with -js")]
    NoJetStream(String),
}

impl ConnectError {
    /// Whether waiting can help.
    fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Settings(_) | Self::Refused { .. } | Self::Tls { .. } | Self::TooOld(_) | Self::NoJetStream(_) => false,
        }
    }
}

/// Connects to NATS as `switchyard-<service>-<host>-<pid>` and checks that the server is new enough and has JetStream. Tries once; once
/// connected, the client reconnects by itself for ever.
///
/// # Errors
/// If no server can be reached, it refuses us, or is not one we can work with.
pub async fn connect(service: &str, settings: &NatsSettings) -> Result<Client, ConnectError> {
    let servers = settings.servers()?;
    let client = match options(service, settings)?.connect(servers).await {
        Ok(client) => client,
        Err(error) => return Err(classify(settings, &error)),
    };
    let server = client.server_info();
    usable(&client, &server, settings).await?;
    info!(
        server = server.server_name,
        version = server.version,
        user = settings.nats_user,
        "connected to NATS at {}",
        settings.place()
    );
    Ok(client)
}

/// Connects like [`connect`], and waits as long as no server can be reached. Says so at once, and then every half minute.
pub(crate) async fn wait(service: &str, settings: &NatsSettings) -> Result<Client, ConnectError> {
    let seldom = Seldom::every(Duration::from_secs(30));
    let mut delays = delays(Duration::from_secs(2));
    loop {
        match connect(service, settings).await {
            Err(error) if error.may_pass() => {
                if let (ConnectError::Unreachable { servers, reason }, Some(_)) = (&error, seldom.may_say("", Instant::now())) {
                    warn!("waiting for NATS at {servers}: {reason}; retrying");
                }
                tokio::time::sleep(delays.next_backoff().unwrap_or(PING)).await;
            }
            settled => return settled,
        }
    }
}

/// Sends what is buffered, above all acknowledgements, and closes the connection. Takes three seconds at most.
pub async fn close(nats: &Client) {
    // Draining alone returns before anything is written.
    let flushed = tokio::time::timeout(FLUSH, nats.flush()).await;
    if !matches!(flushed, Ok(Ok(()))) {
        warn!("not everything could be sent to NATS: what was not acknowledged will be delivered again");
    }
    if nats.drain().await.is_ok() {
        let closed = async { while nats.flush().await.is_ok() {} };
        let _ = tokio::time::timeout(CLOSE, closed).await;
    }
}

/// Ready once the client is no more, although nobody has closed it: the library panics over some headers.
pub(crate) async fn broken(nats: &Client) {
    while nats.flush().await.is_ok() {
        tokio::time::sleep(LOOK).await;
    }
}

/// This machine's name, or the pod's.
pub(crate) fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}

/// From 0.1 s, doubling, each 50 % more or less, for ever.
fn delays(longest: Duration) -> ExponentialBackoff {
    let first = Duration::from_millis(100);
    ExponentialBackoff {
        current_interval: first,
        initial_interval: first,
        multiplier: 2.0,
        randomization_factor: 0.5,
        max_interval: longest,
        max_elapsed_time: None,
        ..ExponentialBackoff::default()
    }
}

fn options(service: &str, settings: &NatsSettings) -> Result<ConnectOptions, ConnectError> {
    let events = Listener::new();
    let options = ConnectOptions::new()
        .name(format!("switchyard-{service}-{}-{}", host(), std::process::id()))
        .ping_interval(PING)
        .reconnect_delay_callback(reconnect_delay())
        .event_callback(move |event| {
            events.hear(&event);
            std::future::ready(())
        });
    settings.apply(options)
}

/// How long to wait before each attempt to reconnect. The client counts attempts from 1 after every success.
fn reconnect_delay() -> impl Fn(usize) -> Duration + Send + Sync + 'static {
    let state = Mutex::new((true, delays(RECONNECT)));
    move |attempt| {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let (first_ever, delays) = &mut *state;
        if std::mem::take(first_ever) {
            return Duration::ZERO;
        }
        if attempt <= 1 {
            delays.reset();
        }
        delays.next_backoff().unwrap_or(RECONNECT)
    }
}

/// Whether the failed attempt is final. The server's word is; so is TLS; that nobody answers is not.
fn classify(settings: &NatsSettings, error: &async_nats::ConnectError) -> ConnectError {
    let (servers, reason) = (settings.place(), error.source().map_or_else(|| error.to_string(), ToString::to_string));
    match error.kind() {
        ConnectErrorKind::AuthorizationViolation => {
            let user = settings.nats_user.as_deref().map_or_else(|| "no user name".to_owned(), |user| format!("user {user}"));
            ConnectError::Refused { servers, reason: format!("authorization violation ({user})") }
        }
        ConnectErrorKind::Tls => ConnectError::Tls { servers, reason },
        ConnectErrorKind::Io if is_tls(error) => ConnectError::Tls { servers, reason },
        ConnectErrorKind::Io if is_about_identity(error) => ConnectError::Refused { servers, reason },
        ConnectErrorKind::Authentication => ConnectError::Refused { servers, reason },
        ConnectErrorKind::ServerParse => ConnectError::Settings(reason),
        ConnectErrorKind::Io | ConnectErrorKind::Dns => ConnectError::Unreachable { servers, reason },
        ConnectErrorKind::TimedOut | ConnectErrorKind::MaxReconnects => {
            ConnectError::Unreachable { servers, reason: "timed out".to_owned() }
        }
    }
}

fn is_tls(error: &async_nats::ConnectError) -> bool {
    let io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    io.and_then(io::Error::get_ref).and_then(|inner| inner.downcast_ref::<async_nats::rustls::Error>()).is_some()
}

fn is_about_identity(error: &async_nats::ConnectError) -> bool {
    match error.source().and_then(|source| source.downcast_ref::<ServerError>()) {
        Some(ServerError::AuthorizationViolation) => true,
        Some(ServerError::Other(message)) => message.to_lowercase().contains("authenti"),
        Some(ServerError::SlowConsumer(_)) | None => false,
    }
}

async fn usable(client: &Client, server: &ServerInfo, settings: &NatsSettings) -> Result<(), ConnectError> {
    if !is_new_enough(&server.version) {
        return Err(ConnectError::TooOld(server.version.clone()));
    }
    // A server without JetStream may belong to a cluster that has it: then somebody answers.
    if !server.jetstream {
        let answer = tokio::time::timeout(FLUSH, client.request("$JS.API.INFO", "".into())).await;
        if let Ok(Err(error)) = answer
            && error.kind() == async_nats::RequestErrorKind::NoResponders
        {
            return Err(ConnectError::NoJetStream(settings.place()));
        }
    }
    Ok(())
}

fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.trim_start_matches('v').split('.').map(|number| number.parse().ok());
    matches!((numbers.next(), numbers.next()), (Some(Some(major)), Some(Some(minor))) if (major, minor) >= OLDEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_before_2_14_are_too_old() {
        for (version, enough) in [
            ("2.14.0", true),
            ("2.15.2", true),
            ("3.0.0", true),
            ("2.14.0-beta.1", true),
            ("v2.14.1", true),
            ("2.13.9", false),
            ("2.9.25", false),
            ("1.4.1", false),
            ("", false),
            ("dev", false),
        ] {
            assert_eq!(is_new_enough(version), enough, "{version}");
        }
    }

    #[test]
    fn the_first_connection_is_made_at_once_and_reconnects_spread_out() {
        let delay = reconnect_delay();
        assert_eq!(delay(1), Duration::ZERO);
        let after: Vec<Duration> = (1..20).map(&delay).collect();
        assert!(after.iter().all(|delay| !delay.is_zero()), "{after:?}");
        assert!(after.iter().all(|delay| *delay <= RECONNECT * 3 / 2), "{after:?}");
        assert!(after[18] >= RECONNECT / 2, "{after:?}");
        assert!(delay(1) <= Duration::from_millis(150), "a success starts the delays again");
        let spread: std::collections::BTreeSet<Duration> = (0..20).map(|_| delay(1)).collect();
        assert!(spread.len() > 10, "{spread:?}");
    }
}
