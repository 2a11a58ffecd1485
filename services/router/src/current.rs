//! The rules that hold now, and how the executors are. Both are replaced as a whole; a decision that has begun ends with those it began with.

use std::sync::{Arc, PoisonError, RwLock};

use crate::{Health, Rules};

/// What everybody routes by at this moment. Clones share it.
#[derive(Clone, Debug)]
pub struct Current(Arc<RwLock<Held>>);

#[derive(Debug)]
struct Held {
    now: Now,
    /// What heartbeats say; the drained of the fleet are passed over beside these.
    felt: Health,
}

/// The rules and the health of one moment.
#[derive(Clone, Debug)]
pub struct Now {
    /// The rules.
    pub rules: Arc<Rules>,
    /// How the executors are.
    pub health: Arc<Health>,
}

impl Current {
    /// These rules and nobody unwell, until something else is given.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self(Arc::new(RwLock::new(Held::of(Arc::new(rules), Health::default()))))
    }

    /// What holds now.
    #[must_use]
    pub fn now(&self) -> Now {
        self.0.read().unwrap_or_else(PoisonError::into_inner).now.clone()
    }

    /// From now on these rules hold.
    pub fn replace(&self, rules: Rules) {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *held = Held::of(Arc::new(rules), std::mem::take(&mut held.felt));
    }

    /// From now on the executors are like this; whether that is news.
    pub fn feel(&self, health: Health) -> bool {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if held.felt == health {
            return false;
        }
        *held = Held::of(Arc::clone(&held.now.rules), health);
        true
    }
}

impl Held {
    fn of(rules: Arc<Rules>, felt: Health) -> Self {
        let health = Arc::new(felt.clone().and_drained(rules.fleet()));
        Self { now: Now { rules, health }, felt }
    }
}
