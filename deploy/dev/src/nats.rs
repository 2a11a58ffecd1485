//! A NATS server with JetStream, one user per service, and the permissions that production has.

mod permissions;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use async_nats::ConnectOptions;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::error::checked;
use crate::launch::Launch;
use crate::ready::Ready;
use crate::server::Server;
use crate::tools::{Tool, Tools};
use crate::{StartError, port, secret};

const STOP_WITHIN: Duration = Duration::from_secs(5);

/// What the server is to know.
#[derive(Clone, Debug)]
pub struct NatsOptions {
    /// The folder of its configuration, log and store; made if it is not there.
    pub folder: PathBuf,
    /// The executors whose launchers and reapers get permissions.
    pub executors: Vec<String>,
    /// The tenants that get a publisher, `default` always among them.
    pub tenants: Vec<String>,
    /// The port of 127.0.0.1; a free one if none is given.
    pub port: Option<u16>,
}

impl NatsOptions {
    /// No executors, the tenant `default`, a free port.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), executors: Vec::new(), tenants: Vec::new(), port: None }
    }
}

/// How a user of the server presents itself.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The user's name.
    pub user: String,
    /// Its password, drawn at the start of this server.
    pub password: String,
    /// The only inbox prefix that it may subscribe to.
    pub inbox_prefix: String,
}

/// There is no such user.
#[derive(Debug, thiserror::Error)]
#[error("no NATS user {user:?}; there are {known}")]
pub struct UnknownUser {
    user: String,
    known: String,
}

/// Why a user could not connect.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// There is no such user.
    #[error(transparent)]
    User(#[from] UnknownUser),
    /// The server refused, or is not there.
    #[error(transparent)]
    Connect(#[from] async_nats::ConnectError),
}

/// A running server.
#[derive(Debug)]
pub struct Nats {
    server: Server,
    port: u16,
    monitor: u16,
    users: BTreeMap<String, Credentials>,
}

impl Nats {
    /// Starts a server and waits until JetStream answers.
    ///
    /// # Errors
    /// When a name is not plain, a file cannot be written, or the server does not become ready.
    pub async fn start(tools: &Tools, options: &NatsOptions) -> Result<Self, StartError> {
        let folder = &options.folder;
        fs::create_dir_all(folder).map_err(StartError::file(folder))?;
        let rows = permissions::table(&options.executors, &tenants(options)?);
        let users: BTreeMap<_, _> = rows.iter().map(|row| (row.user.clone(), draw(&row.user))).collect();
        let port = options.port.map_or_else(port::free, Ok)?;
        let monitor = port::free()?;
        let settings = json!({
            "server_name": "switchyard-dev",
            "listen": format!("127.0.0.1:{port}"),
            "http": format!("127.0.0.1:{monitor}"),
            "jetstream": { "store_dir": folder.join("store") },
            "authorization": { "users": rows.iter().map(|row| user(row, &users[&row.user])).collect::<Vec<Value>>() },
        });
        let file = folder.join("nats.json");
        secret::write(&file, &format!("{settings:#}"))?;
        let launch = Launch::new("nats-server", tools.path(Tool::NatsServer), folder).arguments(["-c".into(), file]);
        let ready = Ready::Http(format!("http://127.0.0.1:{monitor}/healthz"));
        Ok(Self { server: Server::start(launch, ready).await?, port, monitor, users })
    }

    /// `nats://127.0.0.1:<port>`, the same after a restart.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// The address of the monitoring endpoints (`/varz`, `/jsz`, `/healthz`).
    #[must_use]
    pub fn monitor_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.monitor)
    }

    /// The name of the user that publishes for a tenant.
    #[must_use]
    pub fn publisher(tenant: &str) -> String {
        permissions::publisher_of(tenant)
    }

    /// How `user` presents itself: `provision`, `router`, `launcher`, `reaper`, `cli`, `loadtest`, `publisher-<tenant>`.
    ///
    /// # Errors
    /// When there is no such user.
    pub fn credentials(&self, user: &str) -> Result<&Credentials, UnknownUser> {
        self.users.get(user).ok_or_else(|| UnknownUser {
            user: user.to_owned(),
            known: self.users.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
        })
    }

    /// The options to connect as `user`, to which a test may add its own.
    ///
    /// # Errors
    /// When there is no such user.
    pub fn connect_options(&self, user: &str) -> Result<ConnectOptions, UnknownUser> {
        let Credentials { user, password, inbox_prefix } = self.credentials(user)?.clone();
        Ok(ConnectOptions::new().name(&user).custom_inbox_prefix(inbox_prefix).user_and_password(user, password))
    }

    /// Connects as `user`.
    ///
    /// # Errors
    /// When there is no such user, or the server does not answer.
    pub async fn connect(&self, user: &str) -> Result<async_nats::Client, ConnectError> {
        Ok(self.connect_options(user)?.connect(self.url()).await?)
    }

    /// The server itself: to be killed, frozen, restarted.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Stops it, and waits for the end. Its folder stays.
    pub async fn stop(&self) {
        self.server.stop(STOP_WITHIN).await;
    }
}

/// The tenants with a publisher, each once; all names are checked before they become part of a permission.
fn tenants(options: &NatsOptions) -> Result<Vec<String>, StartError> {
    let mut tenants = options.tenants.clone();
    tenants.push("default".to_owned());
    tenants.sort();
    tenants.dedup();
    options.executors.iter().chain(&tenants).try_for_each(|name| checked(name).map(drop))?;
    Ok(tenants)
}

fn draw(user: &str) -> Credentials {
    Credentials { user: user.to_owned(), password: Uuid::new_v4().simple().to_string(), inbox_prefix: permissions::inbox(user) }
}

fn user(row: &permissions::Permissions, credentials: &Credentials) -> Value {
    json!({ "user": credentials.user, "password": credentials.password, "permissions": row.to_json() })
}
