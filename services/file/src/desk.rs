//! Where checks that look at several keys at once tell what they found, with the line of the value that is named.

use crate::{Content, Node, Place, Problems};

/// Where problems are told, with the lines of the tree.
#[derive(Debug)]
pub struct Desk<'a> {
    tree: &'a Node,
    problems: &'a mut Problems,
}

impl<'a> Desk<'a> {
    /// A desk for this tree.
    pub const fn new(tree: &'a Node, problems: &'a mut Problems) -> Self {
        Self { tree, problems }
    }

    /// Tells a problem of the value that stands under these keys.
    pub fn add(&mut self, keys: &[&str], rule: impl Into<String>) {
        let lines = (0..=keys.len()).rev().filter_map(|n| Some(self.find(&keys[..n])?.0));
        let line = lines.into_iter().find(|line| *line > 0).unwrap_or(0);
        self.add_at(keys, line, rule);
    }

    /// Tells a problem of what is missing under these keys, at a line that is known.
    pub fn add_at(&mut self, keys: &[&str], line: usize, rule: impl Into<String>) {
        self.problems.add(&place(keys), line, rule);
    }

    /// Warns of the value that stands under these keys, if one does.
    pub fn warn(&mut self, keys: &[&str], rule: impl Into<String>) {
        if let Some((line, _)) = self.find(keys) {
            self.problems.warn(&place(keys), line, rule);
        }
    }

    /// The line and the value of what stands under these keys.
    #[must_use]
    pub fn find(&self, keys: &[&str]) -> Option<(usize, &Node)> {
        keys.iter().try_fold((0, self.tree), |(_, node), key| {
            let Content::Map(entries) = &node.content else { return None };
            entries.iter().find(|(known, _)| known.text == *key).map(|(known, value)| (known.line, value))
        })
    }
}

fn place(keys: &[&str]) -> Place {
    keys.iter().fold(Place::root(), |place, key| place.key(key))
}
