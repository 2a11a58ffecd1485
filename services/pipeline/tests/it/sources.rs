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
