//! States add up to the same bytes, whatever the partitions, their order and their grouping.

use std::sync::Arc;

use proptest::{collection::vec, option, prelude::*, sample::Index};
use switchyard_drift::{Categories, Edges, Histogram, MergeError};

proptest! {
    #[test]
    fn numbers_merge_to_the_same_bytes_in_any_order_and_grouping(
        rows in vec((value(), 0..5usize), 0..200),
        merges in vec((any::<Index>(), any::<Index>()), 4),
    ) {
        let mut parts = vec![histogram(); 5];
        let mut whole = histogram();
        for (row, part) in rows {
            parts[part].add(row);
            whole.add(row);
        }
        let merged = together(parts, &merges, |one, other| one.merge(other).unwrap());
        prop_assert_eq!(bytes(&merged), bytes(&whole));
        let read: Histogram = serde_json::from_slice(&bytes(&whole)).unwrap();
        prop_assert_eq!(bytes(&read), bytes(&whole));
    }

    #[test]
    fn names_merge_to_the_same_bytes_in_any_order_and_grouping(
        rows in vec((option::of("[a-e]"), 0..5usize), 0..200),
        merges in vec((any::<Index>(), any::<Index>()), 4),
    ) {
        let mut parts = vec![Categories::new(["a", "b", "c"]); 5];
        let mut whole = parts[0].clone();
        for (row, part) in rows {
            parts[part].add(row.as_deref());
            whole.add(row.as_deref());
        }
        let merged = together(parts, &merges, |one, other| one.merge(other).unwrap());
        prop_assert_eq!(bytes(&merged), bytes(&whole));
    }
}

#[test]
fn states_of_different_references_are_not_added() {
    let other = Histogram::new(Arc::new(Edges::try_from(vec![0.0, 2.0]).unwrap()));
    assert_eq!(histogram().merge(&other), Err(MergeError));
    assert_eq!(Categories::new(["a"]).merge(&Categories::new(["b"])), Err(MergeError));
}

#[test]
fn what_is_no_number_is_counted_beside() {
    let mut seen = histogram();
    for value in [None, Some(f64::NAN), Some(f64::INFINITY), Some(f64::NEG_INFINITY), Some(0.5)] {
        seen.add(value);
    }
    let beside = seen.beside();
    let counted = [beside.missing, beside.nan, beside.positive_infinity, beside.negative_infinity];
    assert_eq!((counted, seen.values(), seen.rows()), ([1; 4], 1, 5));
}

#[test]
fn a_category_that_the_reference_does_not_know_costs_no_room() {
    let mut seen = Categories::new(["a"]);
    (0..10_000).for_each(|name| seen.add(Some(&name.to_string())));
    assert_eq!((seen.counts(), seen.unseen(), seen.values()), (vec![0, 10_000], 10_000, 10_000));
}

#[test]
fn a_stored_state_whose_parts_do_not_fit_is_refused() {
    let error = serde_json::from_str::<Histogram>(
        r#"{"edges":["0.0","1.0"],"counts":[1,2],"missing":0,"nan":0,"negative_infinity":0,"positive_infinity":0,"least":null,"greatest":null}"#,
    );
    assert!(error.unwrap_err().to_string().contains("2 counts for 3 slots"));
}

/// Merges two parts at a time, any of them, until one is left.
fn together<T>(mut parts: Vec<T>, order: &[(Index, Index)], merge: impl Fn(&mut T, &T)) -> T {
    for (from, into) in order {
        let part = parts.swap_remove(from.index(parts.len()));
        let at = into.index(parts.len());
        merge(&mut parts[at], &part);
    }
    parts.remove(0)
}

fn value() -> impl Strategy<Value = Option<f64>> {
    let odd = prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(0.0), Just(-0.0)];
    option::of(prop_oneof![odd, -2.0..3.0f64, any::<f64>()])
}

fn histogram() -> Histogram {
    Histogram::new(Arc::new(Edges::try_from(vec![-1.0, 0.0, 0.25, 1.0]).unwrap()))
}

fn bytes(state: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(state).unwrap()
}
