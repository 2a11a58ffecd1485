//! Every way to split, through a whole run.

use std::collections::BTreeMap;

use crate::desk::{Desk, text};

/// The fold of each key.
fn split(by: &str) -> BTreeMap<u32, &'static str> {
    let mut desk = Desk::new();
    desk.write("rows-1.csv", &Desk::rows(0, 1000));
    desk.split = format!("{{seed: 7, folds: {{train: 0.7, eval: 0.15, test: 0.15}}, by: {by}}}");
    desk.run(&[]);
    let kept = desk.kept("cache");
    let keys = |fold: &'static str| {
        let (_, bytes) = kept.iter().find(|(path, _)| path.ends_with(format!("{fold}.csv"))).unwrap();
        let text = text(bytes);
        text.lines().skip(1).map(|line| (line.split(',').next().unwrap().parse().unwrap(), fold)).collect::<Vec<_>>()
    };
    ["train", "eval", "test"].into_iter().flat_map(keys).collect()
}

fn plan(id: u32) -> &'static str {
    ["free", "basic", "gold"][(id % 7 % 3) as usize]
}

#[test]
fn a_split_by_index_trains_on_the_first_rows_and_tests_on_the_last() {
    let folds = split("{index: {column: at}}");
    assert_eq!(folds.len(), 1000);
    for (id, fold) in folds {
        assert_eq!(
            fold,
            if id < 700 {
                "train"
            } else if id < 850 {
                "eval"
            } else {
                "test"
            },
            "{id}"
        );
    }
}

#[test]
fn a_split_by_category_sends_values_where_they_are_sent_and_others_as_it_says() {
    let folds = split("{category: {column: plan, folds: {free: train, gold: test}, unknown: eval}}");
    for (id, fold) in folds {
        let expected = match plan(id) {
            "free" => "train",
            "gold" => "test",
            _ => "eval",
        };
        assert_eq!(fold, expected, "{id}");
    }
}

#[test]
fn a_hybrid_split_cuts_what_categories_leave_by_its_order_within_each() {
    let folds = split("{hybrid: {category: {column: plan, folds: {gold: test}}, index: {column: at}}}");
    assert_eq!(folds.len(), 1000, "a category that is not listed is left to the order, not left out");
    assert!(folds.iter().filter(|(id, _)| plan(**id) == "gold").all(|(_, fold)| *fold == "test"));
    for rest in ["free", "basic"] {
        let of_plan: Vec<&str> = folds.iter().filter(|(id, _)| plan(**id) == rest).map(|(_, fold)| *fold).collect();
        let share = |fold| of_plan.iter().filter(|it| **it == fold).count() * 100 / of_plan.len();
        assert!((69..=71).contains(&share("train")) && (14..=16).contains(&share("test")), "{rest}");
        assert!(of_plan.is_sorted_by_key(|fold| ["train", "eval", "test"].iter().position(|it| it == fold)), "{rest}");
    }
}
