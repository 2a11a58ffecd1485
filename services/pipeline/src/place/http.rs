//! One file of an HTTP server.

use std::{io::Write, path::Path, sync::Once, time::Duration};

use tokio::runtime::Builder;

use super::folder::place;
use crate::error::{Error, Result, Tried};

/// How long a server may take to answer, and may then be silent.
const PATIENCE: Duration = Duration::from_mins(1);

/// Brings a file here, showing its bytes to `see` on the way.
pub(super) fn fetch(url: &str, to: &Path, see: &mut dyn FnMut(&[u8])) -> Result<u64> {
    choose_cryptography();
    let runtime = Builder::new_current_thread().enable_all().build().tried("start", "the network")?;
    let unanswered = |error: reqwest::Error| Error::new(format!("cannot read: {}", whole(&error))).file(bare(url));
    let client = reqwest::Client::builder().connect_timeout(PATIENCE).read_timeout(PATIENCE).build().map_err(unanswered)?;
    let answer = runtime.block_on(async { client.get(url).send().await?.error_for_status() });
    let mut answer = answer.map_err(|error| unanswered(error.without_url()))?;
    let mut size = 0;
    place(to, |file| {
        while let Some(bytes) = runtime.block_on(answer.chunk()).map_err(std::io::Error::other)? {
            see(&bytes);
            size += bytes.len() as u64;
            file.write_all(&bytes)?;
        }
        Ok(())
    })
    .map_err(|error| error.file(bare(url)))?;
    Ok(size)
}

/// An address without what may be a credential in it.
pub(super) fn bare(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url)
}

/// An error with what caused it.
fn whole(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// TLS by ring, once per process.
pub(super) fn choose_cryptography() {
    static CHOSEN: Once = Once::new();
    CHOSEN.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}
