//! The rules that hold now, and how the executors are. Both are replaced as a whole; a decision that has begun ends with those it began with.

use std::sync::{Arc, PoisonError, RwLock};

use crate::{Health, Rules};

/// What everybody routes by at this moment. Clones share it.
#[derive(Clone, Debug)]
pub struct Current(Arc<RwLock<Now>>);

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
        Self(Arc::new(RwLock::new(Now { rules: Arc::new(rules), health: Arc::default() })))
    }

    /// What holds now.
    #[must_use]
    pub fn now(&self) -> Now {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on these rules hold.
    pub fn replace(&self, rules: Rules) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).rules = Arc::new(rules);
    }

    /// From now on the executors are like this; whether that is news.
    pub fn feel(&self, health: Health) -> bool {
        if *self.now().health == health {
            return false;
        }
        self.0.write().unwrap_or_else(PoisonError::into_inner).health = Arc::new(health);
        true
    }
}
