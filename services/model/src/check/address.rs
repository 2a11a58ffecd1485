//! Addresses: of a kind that can be read, of files whose format is known, and without a secret in them.

use switchyard_file::Desk;
use url::Url;

use crate::{Format, Model};

/// Parts of an address's query that are keys to it, in lower case.
const KEYS: [&str; 12] = [
    "x-amz-signature",
    "x-amz-credential",
    "x-amz-security-token",
    "awsaccesskeyid",
    "signature",
    "sig",
    "token",
    "access_token",
    "key",
    "api_key",
    "password",
    "secret",
];

pub(super) fn check(model: &Model, desk: &mut Desk<'_>) {
    let store = one(&model.store.url, &["file", "s3"]);
    let source = one(&model.data.source.url, &["file", "s3", "http", "https"]).or_else(|| files(model));
    let code = model.train.code.as_ref().and_then(|code| one(&code.repository, &["https", "ssh", "file"]));
    for (keys, problem) in
        [(&["store", "url"][..], store), (&["data", "source", "url"], source), (&["train", "code", "repository"], code)]
    {
        if let Some(rule) = problem {
            desk.add(keys, rule);
        }
    }
    for (keys, name) in
        [(&["store", "secret"][..], &model.store.secret), (&["data", "source", "secret"], &model.data.source.secret)]
    {
        if name.as_ref().is_some_and(|name| !is_secret_name(name)) {
            desk.add(keys, "must be the name of a Secret (a-z, 0-9, - and .), never what is in it");
        }
    }
}

/// What is wrong with an address. It is not repeated: it may hold a secret.
fn one(url: &str, schemes: &[&str]) -> Option<String> {
    let known = schemes.iter().map(|scheme| format!("{scheme}://…")).collect::<Vec<_>>().join(", ");
    let Ok(parsed) = Url::parse(url) else {
        return Some(format!("is no address: write one of {known}; a file of this machine is file:///path"));
    };
    if !schemes.contains(&parsed.scheme()) {
        return Some(format!("{}: cannot be read here: write one of {known}", parsed.scheme()));
    }
    let host = parsed.host_str().is_some_and(|host| !host.is_empty());
    match parsed.scheme() {
        "file" if host || !url.starts_with("file:///") => {
            return Some("a file's address has three slashes: file:///folder/name.csv".to_owned());
        }
        "s3" if !host => return Some("names no bucket: write s3://bucket/folder".to_owned()),
        _ => {}
    }
    let user = parsed.scheme() != "ssh" && !parsed.username().is_empty();
    if parsed.password().is_some() || user {
        return Some("holds a user or a password: take them out, and name a Secret under `secret` instead".to_owned());
    }
    let key = parsed.query_pairs().find(|(name, _)| KEYS.contains(&name.to_ascii_lowercase().as_str()))?;
    Some(format!("holds a key ({}): take it out, and name a Secret under `secret` instead", key.0))
}

/// What keeps files from being found or read. A part of their name that a star stands for is not known.
fn files(model: &Model) -> Option<String> {
    let url = &model.data.source.url;
    let web = url.starts_with("http");
    let path = if web { url.split(['?', '#']).next().unwrap_or(url) } else { url };
    if web && path.contains('*') {
        return Some("a server does not list its files: name one, or use a bucket or a folder".to_owned());
    }
    let name = path.rsplit('/').next().unwrap_or(path);
    let ending = name.rsplit('.').next().unwrap_or(name);
    let known = model.data.format.is_some() || ending.contains(['*', '?']) || name.contains('.') && Format::of(name).is_some();
    let rule = "does not say how the files are written: end it in .csv, .parquet or .jsonl, or write data.format";
    (!known).then(|| rule.to_owned())
}

fn is_secret_name(name: &str) -> bool {
    (1..=253).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.'))
}
