//! A file of which a part cannot be read: the other parts are checked nevertheless, as far as nothing in them depends on it.

use std::collections::BTreeSet;

use switchyard_file::{Content, Desk, Node, Place, Problems, Read as _, parse};

use crate::{Model, check::check};

/// What stands for a part that must be there.
const SPARE: &str = "{version: 1, model: m, store: {url: 'file:///s'}, data: {source: {url: 'file:///d.csv'}, key: '-', \
                     label: {column: '--', task: binary}, features: ['---']}, train: {image: i, command: [c]}}";

/// Whether something of `part` is decided by what stands in `other`.
fn depends(part: &str, other: &str) -> bool {
    match other {
        "data" => matches!(part, "preprocess" | "evaluate" | "monitor"),
        "split" => matches!(part, "evaluate" | "monitor"),
        "preprocess" => part == "monitor",
        "monitor" => part == "policy",
        _ => false,
    }
}

/// Tells what is wrong with the parts of which nothing is told yet.
pub(crate) fn rest(tree: &Node, problems: &mut Problems) {
    let unread: BTreeSet<String> = problems.parts().map(str::to_owned).collect();
    let Some(mended) = mended(tree, &unread) else { return };
    let mut more = problems.none_yet();
    if let Some(mut model) = Model::read(&mended, &Place::root(), &mut more) {
        model.complete();
        check(&model, &mut Desk::new(&mended, &mut more));
    }
    problems.extend(more, |part| !unread.contains(part) && !unread.iter().any(|other| depends(part, other)));
}

/// The file with something that fits in the place of what cannot be read, or without it.
fn mended(tree: &Node, unread: &BTreeSet<String>) -> Option<Node> {
    let Content::Map(entries) = &tree.content else { return None };
    let Content::Map(spare) = parse(SPARE, &mut Problems::of(""))?.content else { return None };
    let kept = entries.iter().filter(|(key, _)| !unread.contains(&key.text)).cloned();
    let spare = spare.into_iter().filter(|(key, _)| unread.contains(&key.text));
    Some(Node { content: Content::Map(kept.chain(spare).collect()), ..tree.clone() })
}
