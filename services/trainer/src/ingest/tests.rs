//! What is read, and what is said of what cannot be.

use switchyard_drift::WindowCounts;

use super::{Brought, KSERVE_REQUEST, KSERVE_RESPONSE, LABELS, ROWS, Unreadable, read};
use crate::fixture::{event, watch};

#[test]
fn the_same_rows_are_the_same_counts_however_they_are_written() {
    let forms = [
        (ROWS, r#"{"rows": [{"age": 0.25, "plan": "pro", "score": 0.5}, {"plan": null, "age": 1.5, "score": null}]}"#),
        (ROWS, r#"{"columns": {"plan": ["pro", null], "score": [0.5, null], "age": [0.25, 1.5], "other": [1, 2]}}"#),
        (KSERVE_REQUEST, r#"{"instances": [[0.25, 0.5, "pro"], [1.5, null, null]]}"#),
        (KSERVE_REQUEST, r#"{"instances": [{"age": 0.25, "score": 5e-1, "plan": "p\u0072o"}, {"age": 1.5}]}"#),
        (
            KSERVE_REQUEST,
            r#"{"id": "a", "inputs": [{"name": "age", "shape": [2], "datatype": "FP64", "data": [0.25, 1.5]},
                {"name": "plan", "shape": [2, 1], "datatype": "BYTES", "data": [["pro"], [null]]},
                {"name": "score", "shape": [2], "datatype": "FP32", "data": [0.5, null]}]}"#,
        ),
        (
            KSERVE_REQUEST,
            r#"{"inputs": [{"name": "input", "shape": [2, 3], "datatype": "FP64", "data": [0.25, 0.5, "pro", 1.5, null, null]}]}"#,
        ),
    ];
    let counted = forms.map(|(ty, data)| counts(ty, data));
    for (form, counts) in forms.iter().zip(&counted) {
        assert_eq!(counts.rows(), 2, "{}", form.1);
        assert_eq!(counts, &counted[0], "{}", form.1);
    }
}

#[test]
fn numbers_are_read_to_the_last_bit_and_what_json_cannot_say_is_said_in_words() {
    for text in ["0.30000000000000004", "1e-310", "-0.0", "123456789012345678", "0.1", "2.2250738585072011e-308"] {
        assert_eq!(super::value::number(text).unwrap().to_bits(), text.parse::<f64>().unwrap().to_bits(), "{text}");
    }
    assert!(super::value::number("\"NaN\"").unwrap().is_nan());
    assert_eq!(super::value::number("\"-Infinity\""), Some(f64::NEG_INFINITY));
    assert_eq!((super::value::number("true"), super::value::number("\"12\"")), (Some(1.0), None));
}

#[test]
fn answers_are_one_for_each_row() {
    let answers = |data: &str| match read(&watch("{}").schema, &event("a", KSERVE_RESPONSE, data)).unwrap() {
        Brought::Answers(answers) => answers.into_iter().map(Option::unwrap).collect::<Vec<_>>(),
        other @ (Brought::Rows(_) | Brought::Labels(_) | Brought::Files(_)) => panic!("{other:?}"),
    };
    assert_eq!(answers(r#"{"predictions": [0.25, 1]}"#), ["0.25", "1"]);
    assert_eq!(answers(r#"{"predictions": [[0.75, 0.25], [0.1, 0.9]]}"#), ["0.25", "0.9"]);
    assert_eq!(answers(r#"{"predictions": [[0.1, 0.7, 0.2]]}"#), ["1"], "the place of the greatest");
    let outputs = r#"{"outputs": [{"name": "p", "shape": [2, 2], "datatype": "FP32", "data": [0.9, 0.1, 0.4, 0.6]}]}"#;
    assert_eq!(answers(outputs), ["0.1", "0.6"]);
}

#[test]
fn what_cannot_be_read_says_where_and_what_is_expected() {
    let cases = [
        (ROWS, r#"{"rows": [{"age": 1, "score": 1}, {"age": "old"}]}"#, r#"row 1, column "age": a number"#),
        (ROWS, r#"{"rows": [{"plan": {"a": 1}}]}"#, r#"row 0, column "plan": a text"#),
        (ROWS, r#"{"rows": [{"weight": 1}]}"#, "none of the model's features"),
        (ROWS, r#"{"rows": [{"age": 1, "age": 2}]}"#, r#"row 0 holds column "age" twice"#),
        (ROWS, r#"{"columns": {"age": [1, 2], "score": [1]}}"#, r#"column "score" has 1 values where 2"#),
        (ROWS, r#"{"row": []}"#, "rows (an array of objects) or columns"),
        (ROWS, r#"{"rows": [{"age": 1}"#, "data: EOF"),
        (ROWS, r#"{"rows": [{"age": 1, "ts": "yesterday"}]}"#, "is no time"),
        (KSERVE_REQUEST, r#"{"instances": [[1, 2]]}"#, "row 0 has 2 values; the model's features are 3"),
        (
            KSERVE_REQUEST,
            r#"{"inputs": [{"name": "age", "shape": [3], "datatype": "FP64", "data": [1]}]}"#,
            "has 1 values where 3",
        ),
        (KSERVE_REQUEST, r#"{"inputs": [{"name": "age", "shape": [3], "datatype": "FP64"}]}"#, "binary tensors are not read"),
        (KSERVE_RESPONSE, r#"{"error": "boom"}"#, "predictions (protocol version 1) or outputs"),
        (LABELS, r#"{"labels": [{"id": "a"}]}"#, "label 0: label is missing"),
        ("com.example.other", "{}", r#"type "com.example.other" is not read"#),
    ];
    for (ty, data, says) in cases {
        let error = read(&watch("{}").schema, &event("a", ty, data)).unwrap_err().to_string();
        assert!(error.contains(says), "{data}: {error}");
    }
    let mut binary = event("a", ROWS, "");
    binary.set_data_unchecked(vec![0xff]);
    assert!(matches!(read(&watch("{}").schema, &binary), Err(Unreadable::Shape(_))));
}

#[test]
fn files_are_named_and_labels_keep_their_ids() {
    let mut files = event("a", ROWS, "");
    files.set_extension("dataref", "s3://lake/a.parquet");
    assert!(matches!(read(&watch("{}").schema, &files).unwrap(), Brought::Files(urls) if urls == ["s3://lake/a.parquet"]));
    let labels = event("a", LABELS, r#"{"labels": [{"id": 7, "label": true}, {"label": "no", "id": "b/1"}]}"#);
    let Brought::Labels(labels) = read(&watch("{}").schema, &labels).unwrap() else { panic!("labels") };
    let labels: Vec<_> = labels.iter().map(|label| (label.id.as_str(), label.label.as_str())).collect();
    assert_eq!(labels, [("7", "true"), ("b/1", "no")]);
}

fn counts(ty: &str, data: &str) -> WindowCounts {
    let watch = watch("{}");
    let Brought::Rows(batch) = read(&watch.schema, &event("a", ty, data)).unwrap() else { panic!("rows") };
    let mut window = watch.schema.fold().window();
    watch.schema.fold().count(&mut window, &batch.slices(&watch.schema, 0..batch.rows), batch.rows).unwrap();
    window
}
