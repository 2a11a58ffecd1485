//! When a server counts as ready.

/// A condition that can be looked at from outside.
#[derive(Clone, Debug)]
pub(crate) enum Ready {
    /// A GET of this plain HTTP address answers with success.
    Http(String),
}

impl Ready {
    /// Looks once; the error says what is missing.
    pub(crate) async fn look(&self) -> Result<(), String> {
        match self {
            Self::Http(url) => get(url).await,
        }
    }
}

async fn get(url: &str) -> Result<(), String> {
    let client = reqwest::Client::builder().no_proxy().build().map_err(|error| error.to_string())?;
    let answer = client.get(url).send().await.map_err(|error| error.to_string())?;
    answer.error_for_status().map(drop).map_err(|error| error.to_string())
}
