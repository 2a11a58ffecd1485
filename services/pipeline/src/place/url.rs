//! What a URL of a source or a store means.

use std::path::PathBuf;

use crate::error::{Error, Result};

/// What credentials are for: a source may be another account's than the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Reading data.
    Source,
    /// Keeping what runs make.
    Store,
}

impl Use {
    /// The variables of this use begin with this; those without it serve where there is none with it.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Self::Source => "SOURCE_",
            Self::Store => "STORE_",
        }
    }
}

/// Where a URL leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Located {
    /// A path of this machine.
    File(PathBuf),
    /// A key of a bucket.
    S3 { bucket: String, key: String },
    /// An address.
    Http(String),
}

/// Where a URL leads; a text without a scheme is a path.
pub(super) fn locate(url: &str) -> Result<Located> {
    let Some((scheme, rest)) = url.split_once("://") else { return Ok(Located::File(absolute(url)?)) };
    match scheme {
        "file" if rest.starts_with('/') => Ok(Located::File(PathBuf::from(rest))),
        "file" => Err(Error::new("a file's URL has three slashes: file:///folder/name.csv").file(url)),
        "s3" | "s3a" => match rest.split_once('/').unwrap_or((rest, "")) {
            ("", _) => Err(Error::new("names no bucket; write s3://bucket/key").file(url)),
            (bucket, key) => Ok(Located::S3 { bucket: bucket.to_owned(), key: key.trim_matches('/').to_owned() }),
        },
        "http" | "https" => Ok(Located::Http(url.to_owned())),
        _ => Err(Error::new(format!("`{scheme}` is not a kind of place; there are file, s3, http and https")).file(url)),
    }
}

fn absolute(path: &str) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|error| Error::new(format!("not a path: {error}")).file(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_it_leads() {
        assert_eq!(locate("file:///a/b.csv").unwrap(), Located::File("/a/b.csv".into()));
        assert_eq!(
            locate("s3://lake/churn/*.parquet").unwrap(),
            Located::S3 { bucket: "lake".into(), key: "churn/*.parquet".into() }
        );
        assert_eq!(locate("https://h/a.csv?x=1").unwrap(), Located::Http("https://h/a.csv?x=1".into()));
        assert!(locate("file://a.csv").unwrap_err().to_string().contains("three slashes"));
        assert!(locate("ftp://h/a").unwrap_err().to_string().contains("`ftp`"));
    }
}
