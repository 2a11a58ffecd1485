//! Where NATS is and who we are there, as settings.
use std::io;
use std::path::{Path, PathBuf};

use async_nats::{ConnectOptions, ServerAddr};

use crate::ConnectError;

/// Where NATS is, and who we are there. No secret is an argument: others could read it in the list of processes.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "NATS", about = None, long_about = None)]
pub struct NatsSettings {
    /// Servers, comma-separated; `tls://` asks for TLS.
    #[arg(
        long = "nats-url",
        env = "NATS_URL",
        default_value = "nats://127.0.0.1:4222",
        value_delimiter = ',',
        value_name = "URL",
        hide_env_values = true
    )]
    pub nats_urls: Vec<String>,
    /// User name; its password is in `NATS_PASSWORD` or in --nats-password-file. Replies come on `_INBOX_<user>.>`.
    #[arg(long, env = "NATS_USER", value_name = "NAME")]
    pub nats_user: Option<String>,
    /// The password; set by the environment variable `NATS_PASSWORD` only.
    #[arg(skip = Secret::from_environment())]
    pub nats_password: Secret,
    /// File that holds the password.
    #[arg(long, env = "NATS_PASSWORD_FILE", value_name = "FILE", requires = "nats_user")]
    pub nats_password_file: Option<PathBuf>,
    /// Credentials file (JWT and seed).
    #[arg(long, env = "NATS_CREDS", value_name = "FILE", conflicts_with = "nats_user")]
    pub nats_creds: Option<PathBuf>,
    /// File that holds an nkey seed.
    #[arg(long, env = "NATS_NKEY_FILE", value_name = "FILE", conflicts_with_all = ["nats_user", "nats_creds"])]
    pub nats_nkey_file: Option<PathBuf>,
    /// Certificates (PEM) of the authorities that may vouch for the server, instead of the system's; asks for TLS.
    #[arg(long, env = "NATS_CA", value_name = "FILE")]
    pub nats_ca: Option<PathBuf>,
    /// Our certificate (PEM), if the server wants one; asks for TLS.
    #[arg(long, env = "NATS_CERT", value_name = "FILE", requires = "nats_key")]
    pub nats_cert: Option<PathBuf>,
    /// The key (PEM) of our certificate.
    #[arg(long, env = "NATS_KEY", value_name = "FILE", requires = "nats_cert")]
    pub nats_key: Option<PathBuf>,
}

/// A secret, not shown in debug output.
#[derive(Clone, Default)]
pub struct Secret(pub Option<String>);

impl Secret {
    fn from_environment() -> Self {
        Self(std::env::var("NATS_PASSWORD").ok().filter(|password| !password.is_empty()))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "set" } else { "none" })
    }
}

impl NatsSettings {
    /// The servers without anything secret, for messages.
    pub(crate) fn place(&self) -> String {
        let host = |url: &String| url.rsplit_once('@').map_or(url.as_str(), |(_, host)| host).to_owned();
        self.nats_urls.iter().map(host).collect::<Vec<_>>().join(", ")
    }

    /// The servers as the client wants them.
    pub(crate) fn servers(&self) -> Result<Vec<ServerAddr>, ConnectError> {
        let wrong = |why: &str| ConnectError::Settings(format!("the URL of NATS ({}) {why}", self.place()));
        let server = |url: &String| {
            let server: ServerAddr = url.parse().map_err(|error: io::Error| wrong(&format!("is wrong: {error}")))?;
            if server.username().is_some() || server.password().is_some() {
                return Err(wrong("must not hold credentials: use NATS_USER and NATS_PASSWORD, or a file"));
            }
            if !server.clone().into_inner().has_host() {
                return Err(wrong("names no host"));
            }
            Ok(server)
        };
        self.nats_urls.iter().map(server).collect()
    }

    /// Adds who we are, and how to trust each other.
    pub(crate) fn apply(&self, options: ConnectOptions) -> Result<ConnectOptions, ConnectError> {
        self.tls(self.identity(options)?)
    }

    fn identity(&self, options: ConnectOptions) -> Result<ConnectOptions, ConnectError> {
        if let Some(file) = &self.nats_creds {
            return options
                .credentials(&read(file)?)
                .map_err(|error| ConnectError::Settings(format!("{}: {error}", file.display())));
        }
        if let Some(file) = &self.nats_nkey_file {
            return Ok(options.nkey(read(file)?));
        }
        let Some(user) = &self.nats_user else { return Ok(options) };
        if user.is_empty() || user.contains(|c: char| c.is_whitespace() || matches!(c, '*' | '>')) || user.ends_with('.') {
            return Err(ConnectError::Settings(format!(
                "the NATS user {user:?} cannot be part of a subject, and its inbox is one"
            )));
        }
        Ok(options.user_and_password(user.clone(), self.password()?).custom_inbox_prefix(format!("_INBOX_{user}")))
    }

    fn password(&self) -> Result<String, ConnectError> {
        let wrong = |why: &str| Err(ConnectError::Settings(why.to_owned()));
        match (&self.nats_password.0, &self.nats_password_file) {
            (Some(password), None) => Ok(password.clone()),
            (None, Some(file)) => read(file),
            (None, None) => wrong("a NATS user needs a password, in NATS_PASSWORD or in --nats-password-file"),
            (Some(_), Some(_)) => wrong("the NATS password is given twice, by NATS_PASSWORD and by --nats-password-file"),
        }
    }

    fn tls(&self, mut options: ConnectOptions) -> Result<ConnectOptions, ConnectError> {
        if let Some(authorities) = &self.nats_ca {
            options = options.require_tls(true).add_root_certificates(pem(authorities, "CERTIFICATE")?);
        }
        if let (Some(certificate), Some(key)) = (&self.nats_cert, &self.nats_key) {
            options =
                options.require_tls(true).add_client_certificate(pem(certificate, "CERTIFICATE")?, pem(key, "PRIVATE KEY")?);
        }
        Ok(options)
    }
}

/// The file's text without white space around it.
fn read(file: &Path) -> Result<String, ConnectError> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| ConnectError::Settings(format!("cannot read {}: {error}", file.display())))?;
    Ok(text.trim().to_owned())
}

/// The file, if it can be read and holds what it should: the client would not say which file is wrong.
fn pem(file: &Path, label: &str) -> Result<PathBuf, ConnectError> {
    if !read(file)?.contains(&format!("{label}-----")) {
        return Err(ConnectError::Settings(format!("{} holds no {label} in PEM", file.display())));
    }
    Ok(file.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        nats: NatsSettings,
    }

    #[test]
    fn a_password_is_needed_once_and_never_shown() {
        let mut nats = settings(&["--nats-user", "router"]);
        nats.nats_password = Secret(None);
        assert_eq!(error(&nats), "a NATS user needs a password, in NATS_PASSWORD or in --nats-password-file");
        nats.nats_password = Secret(Some("hunter2".to_owned()));
        assert!(nats.apply(ConnectOptions::new()).is_ok());
        assert!(!format!("{nats:?}").contains("hunter2"));
        nats.nats_password_file = Some("/dev/null".into());
        assert_eq!(error(&nats), "the NATS password is given twice, by NATS_PASSWORD and by --nats-password-file");
    }

    #[test]
    fn a_user_that_cannot_be_part_of_a_subject_is_refused() {
        for user in ["", "a b", "a*", ">", "a."] {
            let mut nats = settings(&[]);
            nats.nats_user = Some(user.to_owned());
            assert!(error(&nats).contains("cannot be part of a subject"), "{user}");
        }
    }

    #[test]
    fn a_file_that_does_not_hold_what_it_should_is_named() {
        assert_eq!(error(&settings(&["--nats-ca", "Cargo.toml"])), "Cargo.toml holds no CERTIFICATE in PEM");
        assert!(error(&settings(&["--nats-creds", "no-such-file"])).starts_with("cannot read no-such-file: "));
    }

    #[test]
    fn servers_are_a_list_without_credentials() {
        let nats = settings(&["--nats-url", "nats://a:4222,tls://b"]);
        assert_eq!((nats.servers().unwrap().len(), nats.place()), (2, "nats://a:4222, tls://b".to_owned()));
        for wrong in ["nats://u:hunter2@a", "nats://hunter2@a", "http://a", ""] {
            let error = settings(&["--nats-url", wrong]).servers().unwrap_err().to_string();
            assert!(error.starts_with("the URL of NATS (") && !error.contains("hunter2"), "{error}");
        }
    }

    fn settings(arguments: &[&str]) -> NatsSettings {
        Arguments::parse_from(["test"].iter().chain(arguments)).nats
    }

    fn error(nats: &NatsSettings) -> String {
        nats.apply(ConnectOptions::new()).err().unwrap().to_string()
    }
}
