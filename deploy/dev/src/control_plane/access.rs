//! Users of the API server, their tokens and kubeconfigs, and the server's own keys. All made here: no openssl, no kubectl.

use std::fs;
use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use kube::config::Kubeconfig;
use kube::{Client, Config};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::json;
use uuid::Uuid;

use super::ControlPlane;
use crate::StartError;
use crate::secret;

/// What stands before the point in the DER of a public P-256 key (RFC 5480, section 2: id-ecPublicKey, secp256r1).
const P256_PUBLIC_KEY: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03,
    0x01, 0x07, 0x03, 0x42, 0x00,
];

/// A user of the development control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterUser {
    /// May do everything.
    Admin,
    /// What a launcher may do: create and ungate pods.
    Launcher,
    /// What a reaper may do: watch, release and delete pods.
    Reaper,
}

impl ClusterUser {
    const ALL: [Self; 3] = [Self::Admin, Self::Launcher, Self::Reaper];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Launcher => "launcher",
            Self::Reaper => "reaper",
        }
    }

    fn group(self) -> &'static str {
        match self {
            Self::Admin => "system:masters",
            Self::Launcher | Self::Reaper => "switchyard",
        }
    }
}

/// Where the API server is, and who may speak to it.
#[derive(Debug)]
pub(crate) struct Access {
    folder: PathBuf,
    port: u16,
    tokens: [(ClusterUser, String); 3],
}

impl Access {
    /// Draws tokens and keys and writes what the API server reads of them.
    pub(crate) fn new(folder: &Path, port: u16) -> Result<Self, StartError> {
        let tokens = ClusterUser::ALL.map(|user| (user, Uuid::new_v4().simple().to_string()));
        let rows = tokens.iter().map(|(user, token)| format!("{token},{0},{0},{1}\n", user.name(), user.group()));
        secret::write(&folder.join("tokens.csv"), &rows.collect::<String>())?;
        let (private, public) = key_pair().map_err(StartError::control_plane("make the key for service accounts"))?;
        secret::write(&folder.join("service-account.key"), &private)?;
        secret::write(&folder.join("service-account.pub"), &public)?;
        Ok(Self { folder: folder.to_owned(), port, tokens })
    }

    /// The flags of the API server that speak of addresses, keys and users. File names are relative to its folder.
    pub(crate) fn flags(&self) -> Vec<String> {
        let mut flags = vec![format!("--secure-port={}", self.port)];
        flags.extend(
            [
                "--bind-address=127.0.0.1",
                "--cert-dir=certificates",
                // Of a simulated node, the name means nothing.
                "--kubelet-preferred-address-types=InternalIP",
                "--token-auth-file=tokens.csv",
                "--service-account-issuer=https://dev.switchyard",
                "--service-account-key-file=service-account.pub",
                "--service-account-signing-key-file=service-account.key",
            ]
            .map(str::to_owned),
        );
        flags
    }

    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    pub(crate) fn kubeconfig(&self, user: ClusterUser) -> PathBuf {
        self.folder.join(format!("{}.kubeconfig", user.name()))
    }

    /// Writes one kubeconfig per user; the API server has made its certificate by now.
    pub(crate) fn write_kubeconfigs(&self) -> Result<(), StartError> {
        let certificate = self.folder.join("certificates").join("apiserver.crt");
        let authority = fs::read(&certificate).map_err(StartError::file(certificate))?;
        for (user, token) in &self.tokens {
            let name = user.name();
            let config = json!({
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{ "name": "switchyard", "cluster": {
                    "server": self.url(), "certificate-authority-data": BASE64.encode(&authority),
                } }],
                "users": [{ "name": name, "user": { "token": token } }],
                "contexts": [{ "name": "switchyard", "context": {
                    "cluster": "switchyard", "user": name, "namespace": ControlPlane::NAMESPACE,
                } }],
                "current-context": "switchyard",
            });
            secret::write(&self.kubeconfig(*user), &format!("{config:#}\n"))?;
        }
        Ok(())
    }

    pub(crate) fn client(&self, user: ClusterUser) -> Result<Client, StartError> {
        client(&self.kubeconfig(user)).map_err(StartError::control_plane(format!("make a client of {}", user.name())))
    }
}

/// A client from a kubeconfig file that was written here.
pub(crate) fn client(kubeconfig: &Path) -> Result<Client, String> {
    let read = Kubeconfig::read_from(kubeconfig).map_err(|error| error.to_string())?;
    let mut config = Config::try_from(read).map_err(|error| error.to_string())?;
    // The server is on this machine, whatever the environment says of proxies.
    config.proxy_url = None;
    Client::try_from(config).map_err(|error| error.to_string())
}

/// A fresh P-256 key pair in PEM: private (PKCS 8) and public (SPKI).
fn key_pair() -> Result<(String, String), ring::error::Unspecified> {
    let random = SystemRandom::new();
    let private = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random)?;
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, private.as_ref(), &random)
        .map_err(|_| ring::error::Unspecified)?;
    let public = [P256_PUBLIC_KEY.as_slice(), pair.public_key().as_ref()].concat();
    Ok((pem("PRIVATE KEY", private.as_ref()), pem("PUBLIC KEY", &public)))
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64.encode(der);
    let lines: Vec<&str> = (0..text.len()).step_by(64).map(|from| &text[from..text.len().min(from + 64)]).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
