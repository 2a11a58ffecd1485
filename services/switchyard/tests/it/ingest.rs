//! What models see, through the running trainer: files of rows by reference, the logger of `KServe` with labels that come later.
//! The models are really trained, and the page about one is what its trainer has judged.

use std::fs;

use crate::{
    lake::{PATIENCE, Row, SHOP, csv, row},
    training::School,
    yard::until,
};

#[tokio::test(flavor = "multi_thread")]
async fn files_by_reference_are_counted_judged_and_shown_part_by_part() {
    let monitor = "{window: {rows: 500}, minSamples: 100, segments: [plan]}";
    let school = School::shop(monitor, "{mode: auto, triggers: [{cron: '0 3 1 1 *'}]}").await;
    let calm = school.parquet("calm", &csv(0..1500, 0.0), "[score, plan]").await;
    let changed = school.parquet("changed", &csv(1500..3000, 0.2), "[score, plan]").await;
    let less = school.parquet("less", &csv(0..500, 0.0), "[score]").await;
    school.seen_file("calm", &calm).await;
    let first = school.window(1).await;
    assert_eq!((first.rows, first.unreadable, first.drifted.len()), (1500, 0, 0), "{first:?}");
    assert_eq!(first.columns.keys().collect::<Vec<_>>(), ["plan", "score"]);

    let broken = school.home.join("broken.parquet");
    fs::write(&broken, "no rows at all").unwrap();
    for (id, file) in [("gone", school.home.join("gone.parquet")), ("broken", broken), ("less", less)] {
        school.seen_file(id, &file).await;
    }
    school.seen_file("changed", &changed).await;
    school.seen_file("changed", &changed).await;
    school.seen_file("changed again", &changed).await;
    let (second, third) = (school.window(2).await, school.window(3).await);
    assert_eq!(
        [(second.rows, second.unreadable), (third.rows, third.unreadable)],
        [(1500, 3), (1500, 0)],
        "what came twice counts once"
    );
    assert_eq!((second.drifted.len(), &third.drifted), (0, &vec!["plan=gold/score".to_owned()]), "{third:?}");
    let letters = school.bus.dead_letters().await.unwrap();
    let reasons: Vec<String> = letters.into_iter().map(|kept| kept.letter.reason).collect();
    for parts in [["gone.parquet", "no such file"], ["broken.parquet", ""], ["less.parquet, column `plan`", "no such column"]] {
        assert!(reasons.iter().any(|reason| parts.iter().all(|part| reason.contains(part))), "{parts:?}: {reasons:?}");
    }
    shown(&school).await;
    school.close().await;
}

/// The page says of each part what was judged, and goes on saying it when the file asks for something else.
async fn shown(school: &School) {
    let judged = until("the last window is kept", PATIENCE, async || {
        switchyard_trainer::Judged::last(&school.bus, SHOP).await.unwrap().filter(|judged| judged.window == 3)
    })
    .await;
    let page = school.model(&["report", SHOP, "--out", "-"]).await;
    if let Some(file) = std::env::var_os("SWITCHYARD_REPORT") {
        fs::write(file, &page).unwrap();
    }
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("<tr><td class=\"name\">")).collect();
    assert_eq!(rows.len(), 3, "one for each plan");
    for plan in ["gold", "basic", "free"] {
        let (evidence, verdict) = &judged.segments[&format!("plan={plan}")]["score"];
        let told = rows.iter().find(|row| row.contains(&format!(">{plan}</td>"))).unwrap();
        assert!(told.contains(&format!(">{:.3}<", evidence.effect)) && told.contains(&verdict.why.to_string()), "{told}");
        assert_eq!(told.contains("chip bad"), plan == "gold", "{told}");
    }
    assert!(rows[0].contains(">gold<"), "what has drifted comes first");
    assert!(page.contains("In parts of the rows there is drift: score where plan is gold."), "the sentence at the top");
    assert!(page.contains("<b>score</b> where plan is <b>gold</b>: KS distance"), "it is drawn");
    assert!(page.contains("KS distance, from 0.100"));
    let lax = "{window: {rows: 500}, minSamples: 100, segments: [plan], columns: {score: {psi: 5}}}";
    school.declare(lax, "{mode: auto, triggers: [{cron: '0 3 1 1 *'}]}").await;
    let later = school.model(&["report", SHOP, "--out", "-"]).await;
    assert_eq!(later.matches("<tr><td class=\"name\">").count(), 3);
    assert!(later.contains("KS distance, from 0.100") && !later.contains("from 5"), "as it was judged");
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_that_come_later_have_a_model_that_got_worse_trained_again_and_gaps_are_told() {
    let monitor = "{input: {format: kserve-v2, partitions: 2}, labels: {wait: 1h}, window: {rows: 200}, minSamples: 60, \
                   columns: {prediction: {ks: 0.15}}, performance: {metric: auc, min: 0.65}}";
    let school = School::shop(monitor, "{mode: auto, triggers: [performance], cooldown: 0s, warmup: 0}").await;
    let before = school.champion(SHOP).await.unwrap();
    fs::write(school.home.join("rows-2.csv"), csv(2000..2600, 0.0)).unwrap();

    // What becomes of the rows of a window is known when that is closed.
    let good = serve(&school, 0..200, |row| row.score).await;
    let first = school.window(1).await;
    assert_eq!((first.rows, first.gaps, first.performance.unwrap().rows), (200, 0, 0));
    school.labelled(&good, |row| row.bought).await;
    let bad = serve(&school, 200..400, |row| row.score).await;
    let second = school.window(2).await;
    let performed = second.performance.clone().unwrap();
    assert!(performed.rows == 200 && performed.value.unwrap() > 0.7 && !performed.bad, "{performed:?}");
    assert!(second.columns["prediction"].effect < 0.15, "{second:?}");

    // The trainer is dead while the stream forgets.
    school.counted().await;
    school.trainer().kill().await;
    serve(&school, 400..430, |row| row.score).await;
    let inference = school.bus.jetstream().get_stream("INFERENCE").await.unwrap();
    let last = inference.cached_info().state.last_sequence;
    inference.purge().sequence(last + 1).await.unwrap();
    school.labelled(&bad, |row| 1 - row.bought).await;
    school.trainer().restart().await.unwrap();
    let worse = serve(&school, 430..630, |row| row.score / 2.0).await;
    let third = school.window(3).await;
    // 90 messages are gone, and nobody can say any more of which partition each was.
    assert!((180..=190).contains(&third.gaps), "{third:?}");
    let performed = third.performance.clone().unwrap();
    assert!(performed.rows == 200 && performed.value.unwrap() < 0.3 && !performed.bad, "one window is no verdict: {performed:?}");
    assert!(third.columns["prediction"].effect > 0.15, "answers are half as great: {third:?}");
    let page = school.model(&["report", SHOP, "--out", "-"]).await;
    assert!(page.contains(&format!("The last window is not whole: {} messages may have been lost", third.gaps)), "{page}");

    school.labelled(&worse, |row| 1 - row.bought).await;
    serve(&school, 630..830, |row| row.score / 2.0).await;
    let fourth = school.window(4).await;
    assert!(fourth.gaps == 0 && fourth.performance.as_ref().unwrap().bad, "{fourth:?}");
    assert_eq!(fourth.drifted, ["prediction"]);
    let asked = school.until_told(SHOP, "retraining.requested", None, 2).await;
    assert_eq!(
        (&asked["causes"][0]["trigger"], asked["causes"].as_array().unwrap().len()),
        (&"performance".into(), 1),
        "{asked}"
    );
    school.until_told(SHOP, "retraining.finished", Some("promoted"), 2).await;
    assert_ne!(school.champion(SHOP).await, Some(before));
    assert_eq!(school.count(SHOP, "retraining.requested").await, 2, "the first model, and this one");
    school.close().await;
}

/// Serves rows one by one, of which the model says `answer`.
async fn serve(school: &School, ids: std::ops::Range<u32>, answer: impl Fn(&Row) -> f64) -> Vec<Row> {
    let rows: Vec<Row> = ids.map(row).collect();
    for row in &rows {
        school.asked(row, answer(row)).await;
    }
    rows
}
