//! The rules that hold now. They are replaced as a whole; a decision that has begun ends with those it began with.

use std::sync::{Arc, PoisonError, RwLock};

use crate::Rules;

/// The rules that hold now, for everybody who routes by them. Clones share them.
#[derive(Clone, Debug)]
pub struct Current(Arc<RwLock<Arc<Rules>>>);

impl Current {
    /// These rules, until others are given.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(rules))))
    }

    /// The rules that hold now.
    #[must_use]
    pub fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on these hold.
    pub fn replace(&self, rules: Rules) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }
}
