//! A NATS server with JetStream, one user per service, and the permissions that production has.

mod permissions;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
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

/// How much all streams may hold, in bytes. Each reserves what it may become, 15 GiB together: more than 75 % of what many a disk has
/// free, which is what a server allows if it is not told otherwise. Here they hold little.
const ROOM: u64 = 64 << 30;

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
    /// How many servers there are: more than one are a cluster.
    pub servers: usize,
}

impl NatsOptions {
    /// No executors, the tenant `default`, a free port.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), executors: Vec::new(), tenants: Vec::new(), port: None, servers: 1 }
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

/// A running server, or several that are one cluster.
#[derive(Debug)]
pub struct Nats {
    servers: Vec<Server>,
    places: Vec<Place>,
    users: BTreeMap<String, Credentials>,
}

/// The ports of one server.
#[derive(Clone, Copy, Debug)]
struct Place {
    client: u16,
    monitor: u16,
    route: u16,
}

impl Place {
    fn find(client: Option<u16>) -> Result<Self, StartError> {
        Ok(Self { client: client.map_or_else(port::free, Ok)?, monitor: port::free()?, route: port::free()? })
    }
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
        let ports = std::iter::once(options.port).chain(std::iter::repeat(None)).take(options.servers.max(1));
        let places: Vec<_> = ports.map(Place::find).collect::<Result<_, _>>()?;
        let users_json: Vec<_> = rows.iter().map(|row| user(row, &users[&row.user])).collect();
        // None is ready before most of them are there.
        let starts = (0..places.len()).map(|n| start(tools, folder, &places, n, &users_json));
        let servers = futures::future::try_join_all(starts).await?;
        Ok(Self { servers, places, users })
    }

    /// `nats://127.0.0.1:<port>`, the same after a restart; of a cluster, all of them with commas in between.
    #[must_use]
    pub fn url(&self) -> String {
        self.places.iter().map(|place| format!("nats://127.0.0.1:{}", place.client)).collect::<Vec<_>>().join(",")
    }

    /// The address of the monitoring endpoints (`/varz`, `/jsz`, `/healthz`).
    #[must_use]
    pub fn monitor_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.places[0].monitor)
    }

    /// The name of the user that publishes for a tenant.
    #[must_use]
    pub fn publisher(tenant: &str) -> String {
        permissions::publisher_of(tenant)
    }

    /// How `user` presents itself: `provision`, `router`, `launcher`, `reaper`, `trainer`, `models`, `cli`,
    /// `loadtest`, `publisher-<tenant>`.
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
        let servers: Vec<_> = self.url().split(',').map(str::to_owned).collect();
        Ok(self.connect_options(user)?.connect(servers).await?)
    }

    /// The server itself, the first of a cluster: to be killed, frozen, restarted.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.servers[0]
    }

    /// Every server of the cluster.
    #[must_use]
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// Stops it, and waits for the end. Its folder stays.
    pub async fn stop(&self) {
        futures::future::join_all(self.servers.iter().map(|server| server.stop(STOP_WITHIN))).await;
    }
}

/// Starts one of the servers.
async fn start(tools: &Tools, folder: &Path, places: &[Place], n: usize, users: &[Value]) -> Result<Server, StartError> {
    let Place { client, monitor, route } = places[n];
    let mut settings = json!({
        "server_name": format!("switchyard-dev-{n}"),
        "listen": format!("127.0.0.1:{client}"),
        "http": format!("127.0.0.1:{monitor}"),
        "jetstream": { "store_dir": folder.join(if n == 0 { "store".to_owned() } else { format!("store-{n}") }), "max_file_store": ROOM },
        "authorization": { "users": users },
    });
    if places.len() > 1 {
        let routes: Vec<_> = places.iter().map(|place| format!("nats://127.0.0.1:{}", place.route)).collect();
        settings["cluster"] = json!({ "name": "switchyard-dev", "listen": format!("127.0.0.1:{route}"), "routes": routes });
    }
    let name = if n == 0 { "nats-server".to_owned() } else { format!("nats-server-{n}") };
    let file = folder.join(format!("{name}.json"));
    secret::write(&file, &format!("{settings:#}"))?;
    let launch = Launch::new(name, tools.path(Tool::NatsServer), folder).arguments(["-c".into(), file]);
    Server::start(launch, Ready::Http(format!("http://127.0.0.1:{monitor}/healthz"))).await
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

/// Every user of the table and what it may do, as a NATS server's configuration has it: the chart writes the same.
#[must_use]
pub fn nats_permissions(executors: &[String], tenants: &[String]) -> Value {
    permissions::table(executors, tenants).iter().map(|row| (row.user.clone(), row.to_json())).collect()
}

fn user(row: &permissions::Permissions, credentials: &Credentials) -> Value {
    json!({ "user": credentials.user, "password": credentials.password, "permissions": row.to_json() })
}
