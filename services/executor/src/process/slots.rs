//! How many builds an executor has, as far as one process knows: told by a watch, so that nothing is asked for in vain.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures::{StreamExt as _, stream::BoxStream};

use crate::{Condition, Seen, Unreachable};

/// The slots of an executor.
#[derive(Debug)]
pub(crate) struct Slots {
    most: usize,
    known: Mutex<Known>,
}

/// What is known of them.
#[derive(Debug, Default)]
struct Known {
    /// The uids of what lives, or may come to live.
    living: HashSet<String>,
    /// Why the folder cannot be read.
    trouble: Option<String>,
}

impl Slots {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, known: Mutex::default() }
    }

    /// How many builds may be there at once.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// Takes note of what was just created: the watch tells it a moment later.
    pub(crate) fn take(&self, uid: &str) {
        self.known().living.insert(uid.to_owned());
    }

    /// Listens for ever.
    pub(crate) async fn follow(&self, mut watch: BoxStream<'static, Result<Seen, Unreachable>>) {
        while let Some(seen) = watch.next().await {
            self.hear(seen);
        }
    }

    fn hear(&self, seen: Result<Seen, Unreachable>) {
        let mut known = self.known();
        match seen {
            Ok(Seen::Present(there)) if !there.dead => {
                known.living.insert(there.uid);
            }
            Ok(Seen::Present(there)) => {
                known.living.remove(&there.uid);
            }
            Ok(Seen::Gone { uid, .. }) => {
                known.living.remove(&uid);
            }
            Ok(Seen::Synced) => known.trouble = None,
            Err(Unreachable(why)) => known.trouble = Some(why),
        }
    }

    pub(crate) fn condition(&self) -> Condition {
        let known = self.known();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let full = (known.living.len() >= self.most).then(|| format!("all {} slots are taken", self.most));
        Condition {
            healthy: known.trouble.is_none(),
            why: known.trouble.clone().or(full),
            slots: Some(count(self.most)),
            free: Some(count(self.most.saturating_sub(known.living.len()))),
            ..Condition::default()
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Observed,
        process::{observe::Found, spec::tests::example},
    };

    fn seen(uid: &str, dead: bool) -> Seen {
        let mut spec = example();
        spec.uid = uid.to_owned();
        let found = Found { spec, deleted_at: None, released: false, supervised: true, status: None, orphaned: false };
        Seen::Present(Box::new(Observed { dead, ..found.observed() }))
    }

    #[test]
    fn a_slot_is_free_again_when_its_build_is_dead() {
        let slots = Slots::new(2);
        let free = || slots.condition().free;
        assert_eq!((free(), slots.condition().slots), (Some(2), Some(2)));
        slots.take("a");
        slots.hear(Ok(seen("a", false)));
        slots.hear(Ok(seen("b", false)));
        assert_eq!((free(), slots.condition().why.as_deref()), (Some(0), Some("all 2 slots are taken")));
        slots.hear(Ok(seen("a", true)));
        assert_eq!(free(), Some(1));
        let Seen::Present(b) = seen("b", false) else { panic!("it is there") };
        slots.hear(Ok(Seen::Gone { build: b.build, attempt: 1, uid: b.uid }));
        assert_eq!(free(), Some(2));
    }

    #[test]
    fn a_folder_that_cannot_be_read_is_no_healthy_place() {
        let slots = Slots::new(2);
        slots.hear(Err(Unreachable("no such folder".into())));
        assert_eq!((slots.condition().healthy, slots.condition().why.as_deref()), (false, Some("no such folder")));
        slots.hear(Ok(Seen::Synced));
        assert!(slots.condition().healthy);
    }
}
