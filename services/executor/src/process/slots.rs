//! How many builds an executor has, as far as one process knows: told by a watch, so that nothing is asked for in vain.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream::BoxStream};

use crate::{Condition, Seen, Unreachable};

/// The slots of an executor.
#[derive(Debug)]
pub(crate) struct Slots {
    most: usize,
    known: Mutex<Known>,
}

/// The watch tells of what was created within so long; what it has not told of by then came and went between two looks.
const TOLD_WITHIN: Duration = Duration::from_secs(10);

/// What is known of them.
#[derive(Debug, Default)]
struct Known {
    /// The uids of what lives, or may come to live.
    living: HashSet<String>,
    /// The uids of what was created here and not told of yet.
    created: HashMap<String, Instant>,
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
        let mut known = self.known();
        known.created.retain(|_, at| at.elapsed() < TOLD_WITHIN);
        known.created.insert(uid.to_owned(), Instant::now());
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
                known.created.remove(&there.uid);
                known.living.insert(there.uid);
            }
            Ok(Seen::Present(there)) => {
                known.created.remove(&there.uid);
                known.living.remove(&there.uid);
            }
            Ok(Seen::Gone { uid, .. }) => {
                known.created.remove(&uid);
                known.living.remove(&uid);
            }
            Ok(Seen::Synced) => known.trouble = None,
            Err(Unreachable(why)) => known.trouble = Some(why),
        }
    }

    pub(crate) fn condition(&self) -> Condition {
        self.condition_at(Instant::now())
    }

    fn condition_at(&self, now: Instant) -> Condition {
        let known = self.known();
        let created = known.created.values().filter(|&&at| now.duration_since(at) < TOLD_WITHIN).count();
        let taken = known.living.len() + created;
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let full = (taken >= self.most).then(|| format!("all {} slots are taken", self.most));
        Condition {
            healthy: known.trouble.is_none(),
            why: known.trouble.clone().or(full),
            slots: Some(count(self.most)),
            free: Some(count(self.most.saturating_sub(taken))),
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
    fn what_came_and_went_between_two_looks_takes_no_slot_for_good() {
        let slots = Slots::new(1);
        slots.take("a");
        let free = |later| slots.condition_at(Instant::now() + later).free;
        assert_eq!((free(Duration::ZERO), free(TOLD_WITHIN)), (Some(0), Some(1)));
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
