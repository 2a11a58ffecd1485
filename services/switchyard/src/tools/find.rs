//! Which build somebody means by an id: its key, or the beginning of one that no other build shares.

use anyhow::bail;
use switchyard_bus::{Bus, Ledger as _};
use switchyard_events::{BuildKey, Record};

/// The build of that id; `None` where it is a whole key that the ledger does not have.
pub(super) async fn find(bus: &Bus, id: &str) -> anyhow::Result<Option<(BuildKey, Record)>> {
    if let Ok(build) = id.parse::<BuildKey>() {
        return Ok(bus.read(&build).await?.map(|(record, _)| (build, record)));
    }
    only(id, bus.records().await?).map(Some)
}

/// The build of that id, which must be in the ledger.
pub(super) async fn existing(bus: &Bus, id: &str) -> anyhow::Result<(BuildKey, Record)> {
    match find(bus, id).await? {
        Some(found) => Ok(found),
        None => bail!("no build {id} in the ledger"),
    }
}

fn only(id: &str, records: Vec<(BuildKey, Record)>) -> anyhow::Result<(BuildKey, Record)> {
    const NAMED: usize = 5;
    let mut begin: Vec<_> = records.into_iter().filter(|(build, _)| build.as_str().starts_with(id)).collect();
    match (begin.pop(), begin.len()) {
        _ if id.is_empty() => bail!("an empty id names no build"),
        (None, _) => bail!("no build in the ledger begins with {id:?}"),
        (Some(found), 0) => Ok(found),
        (Some(last), more) => {
            begin.push(last);
            let names: Vec<_> = begin.iter().take(NAMED).map(|(build, _)| build.as_str()).collect();
            let others = (more + 1).checked_sub(NAMED).filter(|n| *n > 0).map_or(String::new(), |n| format!(" and {n} more"));
            bail!("{} builds begin with {id:?}: {}{others}", more + 1, names.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use switchyard_events::{Attempt, Request};

    use super::*;

    fn records(keys: &[&str]) -> Vec<(BuildKey, Record)> {
        let record = || Record::open(Request::default(), "default".into(), Attempt::default());
        keys.iter().map(|key| (format!("{key:a<26}").parse().unwrap(), record())).collect()
    }

    #[test]
    fn a_beginning_must_be_one_builds_alone() {
        let found = |id: &str| only(id, records(&["bc", "bd", "x"])).map(|(build, _)| build.to_string());
        assert!(found("x").unwrap().starts_with("xaaa"));
        assert!(found("bc").unwrap().starts_with("bca"));
        assert!(found("b").unwrap_err().to_string().starts_with("2 builds begin with \"b\": bca"));
        assert_eq!(found("z").unwrap_err().to_string(), "no build in the ledger begins with \"z\"");
        assert!(found("").is_err());
    }

    #[test]
    fn many_builds_are_counted_and_not_all_named() {
        let keys: Vec<_> = ('b'..='i').map(|c| format!("z{c}")).collect();
        let keys: Vec<_> = keys.iter().map(String::as_str).collect();
        assert!(only("z", records(&keys)).unwrap_err().to_string().ends_with(" and 3 more"));
    }
}
