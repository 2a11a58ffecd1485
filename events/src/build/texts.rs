//! Texts by their names, for builds that are read, looked at and forgotten: one piece of memory, in the order of the names.

use std::borrow::Cow;

/// Texts by their names, each name once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> FromIterator<(Cow<'a, str>, Cow<'a, str>)> for Texts<'a> {
    /// Of two texts with one name the last counts, as in JSON.
    fn from_iter<I: IntoIterator<Item = (Cow<'a, str>, Cow<'a, str>)>>(texts: I) -> Self {
        let mut texts: Vec<_> = texts.into_iter().collect();
        if !texts.is_sorted_by(|(one, _), (next, _)| one < next) {
            texts.reverse();
            texts.sort_by(|(one, _), (other, _)| one.cmp(other));
            texts.dedup_by(|(next, _), (one, _)| next == one);
        }
        Self(texts)
    }
}

impl Texts<'_> {
    /// The text of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        // There are few, and most differ in length already.
        self.iter().find(|(known, _)| *known == name).map(|(_, text)| text)
    }

    /// Names and texts.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, text)| (&**name, &**text))
    }

    /// The same, borrowing nothing.
    #[must_use]
    pub fn into_owned(self) -> Texts<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        Texts(self.0.into_iter().map(|(name, text)| (owned(name), owned(text))).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn they_are_a_map(pairs in proptest::collection::vec(("[abé]{0,2}", "[xy]"), 0..6)) {
            let map: BTreeMap<_, _> = pairs.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
            let texts: Texts<'_> = pairs.iter().map(|(name, text)| (name.into(), text.into())).collect();
            for name in ["", "a", "ab", "é", "bé", "c"] {
                prop_assert_eq!(texts.get(name), map.get(name).copied());
            }
            prop_assert!(texts.iter().eq(map));
            prop_assert_eq!(&texts.clone().into_owned(), &texts);
        }
    }
}
