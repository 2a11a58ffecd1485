//! Data and commands that cannot be used, through the running trainer: how the training ended says why, and the champion stays as
//! it is, to the last byte.

use std::fs;

use crate::{
    lake::{SHOP, csv},
    training::School,
};

/// What is wrong with the data, or what the training command does before its work; and what is said of it.
struct Case {
    what: &'static str,
    rows: String,
    before: &'static str,
    told: &'static [&'static str],
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_trained_on_says_where_and_leaves_the_champion() {
    let school = School::shop("{window: {rows: 500}}", "{mode: auto, triggers: [{cron: '0 3 1 1 *'}]}").await;
    let (champion, handed_over) = (school.champion(SHOP).await, school.handed_over());
    assert!(champion.is_some() && !handed_over.is_empty());
    for (n, Case { what, rows, before, told }) in cases().into_iter().enumerate() {
        fs::write(school.home.join("rows-2.csv"), rows).unwrap();
        fs::write(school.home.join("before.sh"), before).unwrap();
        school.retrain(SHOP, true).await;
        let ended = school.until_told(SHOP, "retraining.finished", Some("failed"), n + 1).await;
        let reason = ended["reason"].as_str().unwrap();
        assert!(told.iter().all(|part| reason.contains(part)), "{what}: {told:?} in {reason}");
        assert_eq!(school.champion(SHOP).await, champion, "{what}");
        assert!(school.handed_over() == handed_over, "{what}: something was handed over");
    }
    let status = school.model(&["status", SHOP]).await;
    assert!(status.contains("failed"), "{status}");
    school.close().await;
}

fn cases() -> Vec<Case> {
    let row = |row: &str| format!("{}{row}\n", csv(2000..2400, 0.0));
    let data = |what, rows, told| Case { what, rows, before: "", told };
    let command = |what, n: u32, before, told| Case { what, rows: csv(3000 + n..3400 + n, 0.0), before, told };
    let bare = |text: &str| text.replace(",plan", "").replace(",free", "").replace(",basic", "").replace(",gold", "");
    vec![
        data(
            "wrong type",
            row("9,1767300000,lots,free,1"),
            &["fetch: ", "rows-2.csv, row 401, column `score`: `lots` is not a number"],
        ),
        data("missing column", bare(&csv(2000..2400, 0.0)), &["fetch: ", "rows-2.csv, column `plan`: there is no such column"]),
        data("NaN", row("9,1767300000,NaN,free,1"), &["fetch: ", "rows-2.csv, row 401, column `score`: NaN"]),
        data("infinity", row("9,1767300000,inf,free,1"), &["fetch: ", "rows-2.csv, row 401, column `score`: inf"]),
        command("fails", 1, "echo out of luck >&2; exit 3", &["train: ", "exit code 3"]),
        command("prints garbage", 2, "echo '{}%'; exit 0", &["train: SWITCHYARD_MODEL_OUT: ", "wrote no model"]),
        command("hangs", 3, "sleep 600 & sleep 600", &["train: ", "took longer than"]),
    ]
}
