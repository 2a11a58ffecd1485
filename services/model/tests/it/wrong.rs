//! What is wrong is named, with its line and what to do; all of it at once.

use switchyard_model::read;

use crate::{LEAST, WHOLE};

fn errors(yaml: &str) -> String {
    read(yaml).unwrap_err().to_string()
}

/// What is said when `from` in the whole file is `to`.
fn changed(from: &str, to: &str) -> String {
    assert!(WHOLE.contains(from), "{from}");
    match read(&WHOLE.replacen(from, to, 1)) {
        Ok((_, warnings)) => warnings.iter().map(|warning| format!("warning: {warning}")).collect::<Vec<_>>().join("\n"),
        Err(invalid) => invalid.to_string(),
    }
}

#[test]
fn everything_that_is_wrong_is_said_at_once_in_the_files_order() {
    let wrong = "
version: 2
model: Churn
store: {url: /var/ml}
data: {source: {url: 'file:///lake/*.csv'}, kye: id, label: {column: churned, task: binary}, features: [age, plan, churned]}
split: {folds: {train: 0.8, test: 0.3}}
train: {image: r/churn, command: [python3, train.py]}
policy: {triggers: [drfit]}
";
    let error = errors(wrong);
    for part in [
        "model file, line 2, version: version 2 is not known here: this release reads 1",
        "model file, line 5, data.kye: unknown key \"kye\": did you mean \"key\"?",
        "model file, line 5, data.key: the key \"key\" is missing",
        "model file, line 8, policy.triggers[0]: \"drfit\" is none of drift, performance",
    ] {
        assert!(error.contains(part), "{part}\n{error}");
    }
    let error = errors(&wrong.replace("kye", "key").replace("drfit", "drift"));
    for part in [
        "line 3, model: a name is 1 to 40 of a-z, 0-9 and -",
        "line 4, store.url: is no address: write one of file://…, s3://…; a file of this machine is file:///path",
        "line 5, data.features: \"churned\" is the label: a model that sees it learns nothing else; take it out",
        "line 6, split.folds: the shares add up to 1.1: they must add up to 1",
        "line 6, split.folds: the folds must be train; train and eval; or train, eval and test",
        "line 8, policy.triggers: drift is never found where nothing is watched: write `monitor`",
    ] {
        assert!(error.contains(part), "{part}\n{error}");
    }
    let lines: Vec<usize> =
        error.lines().filter_map(|line| line.split("line ").nth(1)?.split(',').next()?.parse().ok()).collect();
    assert!(lines.is_sorted(), "{error}");
}

#[test]
fn what_cannot_be_read_hides_nothing_that_does_not_depend_on_it() {
    let wrong = WHOLE
        .replace("key: customer_id", "kye: customer_id")
        .replace("eval: 0.15", "eval: 0.25")
        .replace("s3://ml/churn", "ml/churn")
        .replace("command: [python, train.py]", "command: []")
        .replace("slices: [plan]", "slices: [plna]")
        .replace("runs: 5, podHours: 40, ", "");
    let error = errors(&wrong);
    for (part, is) in [
        ("data.kye: unknown key \"kye\": did you mean \"key\"?", true),
        ("split.folds: the shares add up to 1.1", true),
        ("store.url: is no address", true),
        ("train.command: a program is expected", true),
        ("policy.budget: limits nothing", true),
        // Which features there are is not known.
        ("evaluate", false),
        ("preprocess", false),
        ("monitor", false),
    ] {
        assert_eq!(error.contains(part), is, "{part}: {error}");
    }
    let error = errors(&wrong.replace("kye", "key"));
    assert!(error.contains("evaluate.slices: there is no feature \"plna\"") && error.contains("split.folds"), "{error}");
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines.iter().collect::<std::collections::BTreeSet<_>>().len(), lines.len(), "nothing is said twice: {error}");
}

#[test]
fn a_secret_in_an_address_is_refused_and_not_repeated() {
    for (address, kind) in [
        ("s3://AKIAABCDEFGH:hunter2@ml/churn", "holds a user or a password"),
        ("s3://ml/churn?X-Amz-Signature=hunter2", "holds a key (X-Amz-Signature)"),
        ("s3://ml/churn?access_token=hunter2", "holds a key (access_token)"),
    ] {
        let error = changed("s3://ml/churn", address);
        assert!(error.contains(&format!("store.url: {kind}")) && error.contains("name a Secret under `secret`"), "{error}");
        assert!(!error.contains("hunter2") && !error.contains("AKIA"), "{error}");
    }
    assert!(changed("secret: ml-rw", "secret: 'AKIA/abc='").contains("store.secret: must be the name of a Secret"));
    assert!(
        changed("{depth: 6}", "{api_key: abc}")
            .contains("warning: model file, line 8, train.params.api_key: looks like a secret")
    );
    assert!(changed("s3://ml/churn", "https://ml/churn").contains("https: cannot be read here: write one of file://…, s3://…"));
}

#[test]
fn names_without_anything_behind_them_are_refused() {
    for (from, to, wanted) in [
        (
            "slices: [plan]",
            "slices: [plna]",
            "evaluate.slices: there is no feature \"plna\" in data.features: did you mean \"plan\"?",
        ),
        ("columns: {age:", "columns: {agee:", "monitor.columns.agee: there is no feature \"agee\""),
        ("preprocess: {age:", "preprocess: {churned:", "preprocess.churned: \"churned\" is the label"),
        ("fold: test", "fold: tset", "evaluate.fold: \"tset\" is none of train, eval, test"),
        ("features: [age, plan]", "features: [age, plan, customer_id]", "\"customer_id\" identifies the row"),
        ("features: [age, plan]", "features: [age, plan, age]", "\"age\" is named twice"),
        ("features: [age, plan]", "features: [age, plan, prediction]", "\"prediction\" is what the model's answers are called"),
    ] {
        let error = changed(from, to);
        assert!(error.contains(wanted), "{from} -> {to}: {error}");
    }
    let error = errors(&format!("{LEAST}evaluate: {{gate: {{metric: acu}}}}\n"));
    assert!(
        error.contains("evaluate.gate.metric: there is no metric \"acu\" in evaluate.metrics: did you mean \"auc\"?"),
        "{error}"
    );
}

#[test]
fn answers_are_watched_by_what_they_are() {
    assert_eq!(changed("columns: {age:", "columns: {prediction: {ks: 0.2}, age:"), "");
    let classes = |statistic: &str| {
        format!(
            "{}monitor: {{columns: {{prediction: {{{statistic}: 0.2}}}}}}\n",
            LEAST.replace("task: binary", "task: multiclass")
        )
    };
    let error = errors(&classes("ks"));
    let wanted = "monitor.columns.prediction: ks needs numbers, and the model answers with classes: use js";
    assert!(error.contains(wanted), "{error}");
    assert!(read(&classes("js")).is_ok());
}

#[test]
fn what_contradicts_itself_is_refused() {
    for (from, to, wanted) in [
        (
            "metrics: [auc, logloss]",
            "metrics: [auc, rmse]",
            "evaluate.metrics: rmse says nothing about a binary task: use auc, logloss",
        ),
        ("task: binary", "task: regression", "evaluate.metrics: auc says nothing about a regression task: use rmse, mae"),
        ("min: 0.8", "min: 0.8, max: 0.7", "evaluate.gate.min: nothing is at least min and at most max"),
        ("slices: [plan], ", "", "evaluate.gate.maxSliceDrop: there are no slices"),
        ("eventTime: ts, ", "", "data.select: rows have no time: name the column under data.eventTime"),
        ("{windows: 2, of: 3}", "{windows: 4, of: 3}", "monitor.raise.windows: must be at most `of`"),
        (
            "{every: 1h, lateness: 10m}",
            "{rows: 100}",
            "monitor.window.rows: a window of 100 rows never has the 500 of minSamples",
        ),
        (
            "{every: 1h, lateness: 10m}",
            "{rows: 1000, every: 1h}",
            "monitor.window: exactly one of these is expected: rows, every",
        ),
        (
            "{every: 1h, lateness: 10m}",
            "{rows: 5000, lateness: 10m}",
            "warning: model file, line 12, monitor.window.lateness: has no effect",
        ),
        ("alpha: 0.01", "alpha: 1", "monitor.test.alpha: must be more than 0 and less than 1"),
        ("{ks: 0.1}", "{ks: 1.5}", "monitor.columns.age.ks: the threshold 1.5 must be more than 0 and at most 1"),
        ("{ks: 0.1}", "{ks: 0.1, psi: 0.2}", "monitor.columns.age: exactly one of these is expected: ks, psi, js"),
        ("budget: {runs: 5, podHours: 40, per: 7d}", "budget: {per: 7d}", "policy.budget: limits nothing"),
        ("cooldown: 24h", "cooldown: 48h", "warning: model file, line 13, policy.budget.runs: is never reached"),
        ("'0 3 * * 0'", "'0 25 * * 0'", "policy.triggers[2].cron: \"25\" is no hour: 0 to 23"),
        ("[drift, {new", "[performance, {new", "policy.triggers: performance is never known where it is not watched"),
        (
            "{newRows: 1000000}",
            "{atLeast: 3, of: [drift, drift]}",
            "policy.triggers: atLeast asks for more triggers than `of` names",
        ),
        ("{newRows: 1000000}", "{all: []}", "policy.triggers[1].all: an empty list of triggers"),
        ("commit: 4f1c4f1c4f1c", "commit: main4f1c", "train.code.commit: must be a whole commit"),
        ("[python, train.py]", "[]", "train.command: a program is expected, and its arguments"),
        ("timeout: 6h", "timeout: soon", "train.timeout: \"soon\" is not a time limit"),
        (
            "plan != 'test'",
            "plan != 'test' and age",
            "model file, line 5, data.where: `plan != 'test' and age` is no CEL expression at its character 16",
        ),
        ("plan != 'test'", "lower(plan)", "data.where: `lower(plan)`: there is no function lower"),
        ("r/churn@sha256:0f", "r/churn:latest", "warning: model file, line 8, train.image: a tag can be moved"),
    ] {
        let said = changed(from, to);
        assert!(said.contains(wanted), "{from} -> {to}: {said}");
    }
}

#[test]
fn rows_that_have_no_time_are_neither_new_nor_recent() {
    let select = |select: &str, more: &str| {
        read(&LEAST.replace("key: id", &format!("key: id, select: {select}{more}"))).map_err(|invalid| invalid.to_string())
    };
    for part in ["new", "{new: true}", "{tail: 9d}", "{mix: {new: 0.8, rest: 0.2}}", "{mix: {new: 1, rest: 0}, limit: 9}"] {
        let error = select(part, "").unwrap_err();
        let wanted = "data.select: rows have no time: name the column under data.eventTime, or select all";
        assert!(error.contains(wanted), "{part}: {error}");
        assert!(select(part, ", eventTime: ts").is_ok(), "{part}");
    }
    assert!(select("{limit: 9}", "").is_ok() && select("all", "").is_ok());
}

#[test]
fn transforms_are_told_what_they_need_and_what_is_not_there() {
    for (to, wanted) in [
        ("[{pca: 3}]", "preprocess.age[0].pca: principal components are not fitted here: compute them in the training command"),
        ("[image_reshape]", "preprocess.age[0]: images are no columns here"),
        ("[load_binary_image]", "preprocess.age[0]: images are no columns here: let the training command load them"),
        ("[{scael: zscore}]", "preprocess.age[0].scael: unknown key \"scael\": did you mean \"scale\"?"),
        ("[onehto]", "preprocess.age[0]: \"onehto\" is no transform: did you mean {onehot: …}?"),
        ("[{scale: zscore}, {fill: mean}]", "preprocess.age: [1] fill: must come first"),
        ("[{onehot: {}}]", "preprocess.age: [0] onehot: needs vocabulary, bucketize or hash right before it"),
        ("[{vocabulary: 3}, {scale: max}]", "preprocess.age: [1] scale: needs the column's own numbers"),
        ("[none, {scale: max}]", "preprocess.age: [1] scale: nothing can follow what comes before it"),
        ("[{bucketize: [3, 2]}]", "preprocess.age[0].bucketize: edges must rise"),
        ("[{fill: {value: [1]}}]", "must be a text, a number or a truth value"),
        ("[]", "preprocess.age: says nothing: write [none]"),
        (
            "[{ngrams: {n: 2, size: 9}}, {hash: 8}]",
            "preprocess.age: [1] hash: needs the column's own values before it; after ngrams",
        ),
        ("[{ngrams: {n: 2, size: 9}}, {vocabulary: 8}, onehot]", "preprocess.age: [2] onehot: nothing can follow"),
        (
            "[{fill: median}, {hash: 8}]",
            "preprocess.age: [0] fill: needs numbers, and the column is read as text for what follows",
        ),
        (
            "[{fill: {value: none}}, {scale: max}]",
            "preprocess.age: [0] fill: \"none\" does not fit: the column holds numbers, or true",
        ),
        ("[{hash: 1001}, onehot]", "preprocess.age: [1] onehot: the column would become 1001 columns, and 1000 are the most"),
        ("[{ngrams: {n: 2, size: 2000}}]", "preprocess.age: the column would become 2000 columns"),
        ("[{ngrams: {n: 2, size: 2000}}, {tfidf: 1500}]", "preprocess.age: [1] tfidf: the column would become 1500 columns"),
        ("[{bucketize: 20000}]", "preprocess.age: [0] bucketize: at most 10000 ranges"),
    ] {
        let said = changed("[{fill: median}, {scale: zscore}]", to);
        assert!(said.contains(wanted), "{to}: {said}");
    }
    let error = errors(&format!("{LEAST}preprocess: {{age: [{{fill: forward}}]}}\n"));
    assert!(error.contains("preprocess.age: [0] fill: rows have no order"), "{error}");
}

#[test]
fn defaults_are_for_a_type_that_is_known() {
    for (defaults, wanted) in [
        ("{string: [{scale: zscore}]}", "preprocess.defaults.string: [0] scale: needs numbers, and the column holds texts"),
        ("{string: [{fill: mean}]}", "preprocess.defaults.string: [0] fill: needs numbers, and the column is read as text"),
        ("{boolean: [{fill: median}]}", "preprocess.defaults.boolean: [0] fill: has no meaning for true and false: use mode"),
        (
            "{boolean: [{fill: {value: 1}}]}",
            "preprocess.defaults.boolean: [0] fill: \"1\" does not fit: the column holds true and false",
        ),
        (
            "{integer: [{fill: {value: ''}}]}",
            "preprocess.defaults.integer: [0] fill: \"\" does not fit: the column holds numbers",
        ),
        ("{float: [{fill: {value: NaN}}]}", "preprocess.defaults.float: [0] fill: \"NaN\" does not fit"),
    ] {
        let error = errors(&format!("{LEAST}preprocess: {{defaults: {defaults}}}\n"));
        assert!(error.contains(wanted), "{defaults}: {error}");
    }
    let fitting =
        "{float: [{fill: mean}, {vocabulary: 3}], integer: [{fill: {value: 0.5}}], boolean: [{fill: min}, {scale: max}]}";
    assert!(read(&format!("{LEAST}preprocess: {{defaults: {fitting}}}\n")).is_ok());
}

#[test]
fn what_no_run_could_find_read_or_ask_for_is_refused() {
    let source = |url: &str| read(&LEAST.replace("file:///lake/*.csv", url)).map_err(|invalid| invalid.to_string());
    for (url, wanted) in [
        ("file://lake/rows.csv", "data.source.url: a file's address has three slashes"),
        ("s3:///rows.csv", "data.source.url: names no bucket"),
        ("https://lake/*.csv", "data.source.url: a server does not list its files"),
        ("file:///lake/rows.txt", "data.source.url: does not say how the files are written"),
        ("file:///lake/rows", "data.source.url: does not say how the files are written"),
        ("s3://lake/2026.01/", "data.source.url: does not say how the files are written"),
    ] {
        let error = source(url).unwrap_err();
        assert!(error.contains(wanted), "{url}: {error}");
    }
    for url in ["https://lake/rows.csv?day=1", "file:///lake/**/*", "s3://lake/rows.PARQUET", "file:///lake/rows.csv*"] {
        assert!(source(url).is_ok(), "{url}: {:?}", source(url));
    }
    assert!(source("file:///lake/rows.txt'}, format: csv, select: {all: 'true").is_ok());
    for (from, to, wanted) in [
        ("cpu: 8", "cpu: lots", "train.cpu: \"lots\" is neither a class"),
        ("ram: 32Gi", "ram: 32 GB", "train.ram: \"32 GB\" is neither a class"),
        ("r/churn@sha256:0f", "r/churn @sha256:0f", "train.image: must be an image reference"),
        ("key: customer_id", "key: prediction", "data.key: is what commands write their predictions under"),
        ("plan: {js: 0.1}", "plan: {ks: 0.1}", "monitor.columns.plan: ks needs numbers, and the column is read as text"),
    ] {
        let said = changed(from, to);
        assert!(said.contains(wanted), "{from} -> {to}: {said}");
    }
}

#[test]
fn splits_that_do_not_fit_are_refused() {
    let split = |split: &str| errors(&format!("{LEAST}split: {split}\n"));
    for (text, wanted) in [
        ("{by: random}", "split.by: \"random\" is neither ratio nor one of {category: …}"),
        ("{folds: {train: 0.5, valid: 0.5}}", "split.folds.valid: unknown fold: \"valid\" is none of train, eval, test"),
        ("{folds: {train: 1, eval: 0}}", "split.folds.eval: the share 0 must be more than 0"),
        (
            "{by: {category: {column: plan, folds: {a: train, b: test}}}}",
            "split.by.category.folds: the folds must be train; train and eval",
        ),
        (
            "{folds: {train: 0.5, eval: 0.5}, by: {category: {column: plan, folds: {a: train}}}}",
            "split.folds: has no effect where split.by.category.folds",
        ),
        (
            "{folds: {train: 1}, by: {hybrid: {category: {column: plan, folds: {a: test}}, index: {column: age}}}}",
            "there is no fold test in split.folds: the names must be the same everywhere",
        ),
        ("{by: {category: {column: churned}}}", "split.by: \"churned\" is the label: a fold must not depend on the answer"),
        (
            "{by: {category: {column: plan}, index: {column: age}}}",
            "split.by: exactly one of these is expected: category, index, hybrid",
        ),
    ] {
        let error = split(text);
        assert!(error.contains(wanted), "{text}: {error}");
    }
}

#[test]
fn nothing_at_all_is_said_to_be_nothing() {
    assert!(errors("").contains("model file"));
    assert!(errors("[]").contains("keys and values are expected, not a list"));
}
