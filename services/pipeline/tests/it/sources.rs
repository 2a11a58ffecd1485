//! Where data comes from, in which formats, and how much of it.

use std::{collections::BTreeSet, fmt::Write, fs};

use crate::{
    desk::{Desk, text},
    server::Server,
};

/// The keys of every row that was fetched.
fn fetched(desk: &Desk) -> BTreeSet<u32> {
    let kept = desk.kept("cache");
    let rows = kept.iter().filter(|(path, _)| ["train.csv", "eval.csv", "test.csv"].iter().any(|name| path.ends_with(name)));
    rows.flat_map(|(_, bytes)| {
        let text = text(bytes);
        text.lines().skip(1).map(|line| line.split(',').next().unwrap().parse().unwrap()).collect::<Vec<u32>>()
    })
    .collect()
}

fn ran(change: impl FnOnce(&mut Desk)) -> BTreeSet<u32> {
    let mut desk = Desk::new();
    desk.write("rows-1.csv", &Desk::rows(0, 1000));
    change(&mut desk);
    desk.run(&[]);
    fetched(&desk)
}

#[test]
fn csv_parquet_and_json_lines_give_the_same_folds() {
    let desk = Desk::new();
    desk.write("rows-1.csv", &Desk::rows(0, 800));
    let first = desk.run(&[]);
    let kept = desk.kept("cache");
    let (_, rows) = kept.iter().find(|(path, _)| path.ends_with("rows.parquet")).unwrap();
    let lines = Desk::rows(0, 800).lines().skip(1).fold(String::new(), |mut lines, line| {
        let cells: Vec<&str> = line.split(',').collect();
        let [id, at, score, plan, bought] = cells[..] else { panic!("{line}") };
        writeln!(lines, "{{\"bought\":{bought},\"id\":{id},\"at\":{at},\"score\":{score},\"plan\":\"{plan}\"}}").unwrap();
        lines
    });
    for (name, bytes) in [("same.parquet", rows.as_slice()), ("same.jsonl", lines.as_bytes())] {
        let mut other = Desk::new();
        fs::write(other.path(name), bytes).unwrap();
        other.source = name.into();
        let result = other.run(&[]);
        for artifact in ["preprocessing", "profile", "model"] {
            assert_eq!(result[artifact]["sha256"], first[artifact]["sha256"], "{artifact} of {name}");
        }
        assert_eq!(result["metrics"], first["metrics"], "{name}");
    }
}

#[test]
fn patterns_find_files_in_folders_below() {
    let keys = ran(|desk| {
        fs::create_dir_all(desk.path("lake/a/b")).unwrap();
        desk.write("lake/a/b/x.csv", &Desk::rows(0, 100));
        desk.write("lake/a/y.csv", &Desk::rows(100, 200));
        desk.write("lake/a/y.txt", "no rows");
        desk.source = "lake/**/*.csv".into();
    });
    assert_eq!(keys, (0..200).collect());
}

#[test]
fn where_chooses_rows_by_any_column() {
    let keys = ran(|desk| desk.data = ", where: \"plan != 'free' && at < 1767250000\"".into());
    assert!(!keys.is_empty() && keys.iter().all(|id| 1_767_225_600 + id * 60 < 1_767_250_000 && id % 7 % 3 != 0));
}

#[test]
fn the_tail_counts_back_from_the_newest_row() {
    assert_eq!(ran(|desk| desk.data = ", select: {tail: 1h}".into()), (939..1000).collect());
}

#[test]
fn a_limit_takes_the_newest_rows() {
    assert_eq!(ran(|desk| desk.data = ", select: {all: true, limit: 300}".into()), (700..1000).collect());
}

#[test]
fn new_rows_are_those_after_the_champions_newest_and_a_mix_adds_a_sample_of_the_rest() {
    for (select, new, old) in [
        ("{new: true}", 500, 0),
        ("{mix: {new: 0.8, rest: 0.2}}", 500, 125),
        ("{mix: {new: 0.8, rest: 0.2}, limit: 100}", 80, 20),
    ] {
        let mut desk = Desk::new();
        desk.write("rows-1.csv", &Desk::rows(0, 1000));
        desk.data = format!(", select: {select}");
        let champion = desk.run(&[])["run"].as_str().unwrap().to_owned();
        fs::remove_dir_all(desk.path("store/cache")).unwrap();
        desk.write("rows-2.csv", &Desk::rows(1000, 1500));
        desk.run(&["--champion", &champion]);
        let keys = fetched(&desk);
        let of_new = keys.iter().filter(|id| **id >= 1000).count();
        assert_eq!((of_new, keys.len() - of_new), (new, old), "{select}");
    }
}

#[test]
fn a_file_is_read_over_http_and_what_is_not_there_is_told() {
    let server = Server::start();
    server.put("/lake/rows.csv", Desk::rows(0, 500).into_bytes());
    let source = format!("{}/lake/rows.csv?token=hunter2", server.url());
    let mut desk = Desk::new();
    desk.source = source;
    desk.format.clear();
    let output = desk.output(&[]);
    // A key in an address is refused by the model file itself.
    assert!(!output.status.success() && !text(&output.stderr).contains("hunter2"), "{}", text(&output.stderr));
    desk.source = format!("{}/lake/rows.csv", server.url());
    assert_eq!(desk.run(&[])["outcome"], "passed");
    desk.source = format!("{}/lake/none.csv", server.url());
    let said = text(&desk.output(&[]).stderr);
    assert!(said.contains("manifest: ") && said.contains("/lake/none.csv") && said.contains("404"), "{said}");
    desk.source = format!("{}/lake/*.csv", server.url());
    assert!(text(&desk.output(&[]).stderr).contains("does not list"));
}

#[test]
fn a_bucket_holds_the_data_the_cache_and_the_runs() {
    let server = Server::start();
    server.put("/lake/shop/1.csv", Desk::rows(0, 300).into_bytes());
    server.put("/lake/shop/2.csv", Desk::rows(300, 600).into_bytes());
    server.put("/lake/shop/readme.txt", b"no rows".to_vec());
    let mut desk = Desk::new();
    desk.source = "s3://lake/shop/*.csv".into();
    // Larger than one part of an upload.
    desk.train =
        r#"head -c 20000000 /dev/zero > "$SWITCHYARD_MODEL_OUT"; cat "$SWITCHYARD_PARAMS" >> "$SWITCHYARD_MODEL_OUT""#.into();
    let file = desk.file();
    let declared = fs::read_to_string(&file).unwrap();
    let (before, after) = declared.split_once("store: {url: '").unwrap();
    let declared = format!("{before}store: {{url: 's3://ml/churn{}", &after[after.find('\'').unwrap()..]);
    fs::write(&file, declared).unwrap();
    let run = |secret: &str| {
        let mut command = desk.command(&["run", file.to_str().unwrap(), "--json"]);
        let output = command
            .env("AWS_ACCESS_KEY_ID", "reader")
            .env("AWS_SECRET_ACCESS_KEY", "r")
            .env("STORE_AWS_ACCESS_KEY_ID", "writer")
            .env("STORE_AWS_SECRET_ACCESS_KEY", secret)
            .env("AWS_ENDPOINT_URL", server.url())
            .env("AWS_REGION", "here")
            .output()
            .unwrap();
        (output.status.success(), text(&output.stdout), text(&output.stderr))
    };
    let (well, first, said) = run("w");
    assert!(well, "{said}");
    let first: serde_json::Value = serde_json::from_str(&first).unwrap();
    let model = server.get(&format!("/ml/churn/{}", first["model"]["path"].as_str().unwrap())).unwrap();
    assert_eq!(model.len(), 20_000_000 + "{\n  \"depth\": 6\n}".len());
    assert!(server.users("/lake/") == ["reader"] && server.users("/ml/") == ["writer"]);
    let (well, second, said) = run("w");
    assert!(well && said.contains("fetch: 600 of 600 rows, 5 columns (kept from before)"), "{said}");
    let second: serde_json::Value = serde_json::from_str(&second).unwrap();
    assert_eq!((&second["run"], &second["model"]), (&first["run"], &first["model"]));
    // A model that was damaged in the bucket is not taken for whole.
    let kept: Vec<String> = server.paths("/ml/churn/cache/").into_iter().filter(|path| path.ends_with("/model")).collect();
    server.put(&kept[0], b"half".to_vec());
    let (well, _, said) = run("w");
    assert!(!well && said.contains("is damaged in the store"), "{said}");
}

/// Rows that take a while to read, all of one plan.
fn many(plan: &str) -> String {
    let mut rows = "id,at,score,plan,bought\n".to_owned();
    for id in 0..120_000 {
        writeln!(rows, "{id},{},0.{:03},{plan},{}", 1_767_225_600 + id, id % 997, id % 2).unwrap();
    }
    rows
}

/// A half-made step that rows are written into: the source has been digested, and is being read.
fn is_reading(store: &std::path::Path) -> bool {
    let Ok(entries) = fs::read_dir(store.join("cache")) else { return false };
    entries
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().starts_with(".half-") && entry.path().join("rows.parquet").exists())
}

#[test]
fn a_file_that_is_overwritten_while_it_is_read_fails_the_fetch() {
    let (before, after) = (many("free"), many("gold"));
    assert_eq!(before.len(), after.len());
    // Who writes may come too late, on a busy machine: then the run has seen nothing of it.
    let noticed = (0..10).any(|_| {
        let desk = Desk::new();
        desk.write("rows-1.csv", &before);
        let file = desk.file();
        let mut run = desk.command(&["run", file.to_str().unwrap(), "--json"]);
        let mut run = run.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped()).spawn().unwrap();
        while run.try_wait().unwrap().is_none() && !is_reading(&desk.path("store")) {
            std::thread::yield_now();
        }
        desk.write("rows-1.csv", &after);
        let output = run.wait_with_output().unwrap();
        let said = text(&output.stderr);
        if output.status.success() {
            return false;
        }
        let wanted = "has changed while it was read: somebody writes into the source; run again";
        assert!(said.contains("fetch: file://") && said.contains("rows-1.csv: ") && said.contains(wanted), "{said}");
        assert!(!desk.path("store/runs").exists(), "nothing was handed over");
        true
    });
    assert!(noticed, "the writer never came in time");
}

#[test]
fn an_object_that_was_overwritten_since_it_was_listed_fails_the_fetch() {
    let server = Server::start();
    server.put("/lake/shop/1.csv", Desk::rows(0, 300).into_bytes());
    let mut desk = Desk::new();
    desk.source = "s3://lake/shop/*.csv".into();
    let file = desk.file();
    let with = |mut command: std::process::Command| {
        let keys = [("AWS_ACCESS_KEY_ID", "r"), ("AWS_SECRET_ACCESS_KEY", "r"), ("AWS_REGION", "here")];
        command.envs(keys).env("AWS_ENDPOINT_URL", server.url()).output().unwrap()
    };
    let listed = with(desk.command(&["manifest", file.to_str().unwrap()]));
    assert!(listed.status.success(), "{}", text(&listed.stderr));
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    server.put("/lake/shop/1.csv", Desk::rows(300, 600).into_bytes());
    let asked = serde_json::json!({"run": "abc", "manifest": {"path": listed["path"], "sha256": listed["sha256"]}});
    let declared = switchyard_model::read(&fs::read_to_string(&file).unwrap()).unwrap().0.canonical();
    let mut run = desk.command(&["run"]);
    run.env("SWITCHYARD_MODEL", declared).env("SWITCHYARD_RUN", asked.to_string());
    let output = with(run);
    let said = text(&output.stderr);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("fetch: s3://lake/shop/1.csv: has changed since the manifest was made; run again"), "{said}");
}
