//! Memory is bounded by batches, not by data.

use std::fmt::Write;

use crate::desk::Desk;

/// Rows of about 300 bytes; most of each is a text that is a feature.
fn rows(count: u32) -> String {
    let mut text = "id,at,score,plan,bought\n".to_owned();
    let filling = "word ".repeat(48);
    for id in 0..count {
        let score = f64::from(id.wrapping_mul(2_654_435_761) >> 8 & 0xffff) / 65_536.0;
        writeln!(text, "{id},{},{score},{filling}{id},{}", 1_767_225_600 + id, u8::from(score > 0.5)).unwrap();
    }
    text
}

/// The most memory, in MiB, that the program held up to the end of its evaluation: its last command asks for it.
fn peak(count: u32) -> u64 {
    let mut desk = Desk::new();
    desk.write("rows-1.csv", &rows(count));
    desk.preprocess = "{score: [{fill: median}, {scale: zscore}], plan: [{hash: 50}]}".into();
    let script = r#"grep VmHWM "/proc/$PPID/status" | tr -dc 0-9 > kib; echo "{}" > "$SWITCHYARD_METRICS""#;
    desk.evaluate = format!("{{metrics: [auc], custom: {{command: [/bin/sh, -ec, '{script}']}}}}");
    desk.run(&[]);
    std::fs::read_to_string(desk.path("kib")).unwrap().parse::<u64>().unwrap() / 1024
}

#[test]
fn three_times_the_data_takes_no_more_memory() {
    // The training fold of the smaller is larger than what a writer holds at once, 65,536 rows: both hold as much of that.
    let (less, more) = (peak(100_000), peak(300_000));
    println!("{less} MiB for 28 MiB of rows, {more} MiB for 85 MiB");
    assert!(more < less + 16, "{less} MiB became {more} MiB");
}
