//! The model files that were applied, as they are followed.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use futures::StreamExt as _;
use switchyard_bus::{Applied, Bus, ConfigError};
use switchyard_model::Model;
use tracing::{info, warn};

/// The models by name. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Models(Arc<RwLock<BTreeMap<String, Arc<Model>>>>);

impl Models {
    pub(crate) fn get(&self, name: &str) -> Option<Arc<Model>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).map(Arc::clone)
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// Reads every file that is there, the newest of each model that can be read.
    pub(crate) async fn load(&self, bus: &Bus) -> Result<(), ConfigError> {
        for name in bus.model_names().await? {
            for applied in bus.models(&name).await? {
                self.take(&name, &applied);
            }
        }
        Ok(())
    }

    /// Takes every file that is applied from now on, and says of which model; it never ends.
    pub(crate) async fn follow(&self, bus: &Bus, mut changed: impl FnMut(String)) {
        let mut files = std::pin::pin!(bus.follow_models());
        while let Some((name, applied)) = files.next().await {
            if self.take(&name, &applied) {
                changed(name);
            }
        }
        std::future::pending::<()>().await;
    }

    /// A file that cannot be read leaves the one before.
    fn take(&self, name: &str, applied: &Applied) -> bool {
        match switchyard_model::read(&applied.text) {
            Ok((model, _)) => {
                let mut models = self.0.write().unwrap_or_else(PoisonError::into_inner);
                let is_other = models.get(name).is_none_or(|before| **before != model);
                if is_other {
                    info!(model = name, number = applied.number, "working by another model file");
                    models.insert(name.to_owned(), Arc::new(model));
                }
                is_other
            }
            Err(wrong) => {
                warn!(model = name, number = applied.number, "the old model file stays: {wrong}");
                false
            }
        }
    }
}
