//! A build that wants an executor.

use switchyard_events::{BuildKey, BuildView};
use switchyard_fleet::Wanted;

/// A build that wants an executor.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Its key.
    pub build: &'a BuildKey,
    /// What is to be run.
    pub spec: &'a BuildView<'a>,
    /// Whose it is.
    pub tenant: &'a str,
    /// The source of the event that asked for it.
    pub source: &'a str,
    /// The type of that event.
    pub event_type: &'a str,
}

impl<'a> Candidate<'a> {
    /// What exclusions look at.
    pub(crate) fn wanted(&self) -> Wanted<'a> {
        let BuildView { image, labels, pipeline, job, .. } = self.spec;
        let Self { source, event_type, .. } = *self;
        Wanted { image, labels, source, event_type, pipeline: pipeline.as_deref(), job: job.as_deref() }
    }
}
