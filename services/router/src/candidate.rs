//! A build that wants an executor.

use switchyard_events::{BuildKey, BuildSpec, Request};
use switchyard_fleet::Wanted;

/// A build that wants an executor.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Its key.
    pub build: &'a BuildKey,
    /// What is to be run.
    pub spec: &'a BuildSpec,
    /// Whose it is.
    pub tenant: &'a str,
    /// The request that asked for it.
    pub request: &'a Request,
}

impl<'a> Candidate<'a> {
    /// What exclusions look at.
    pub(crate) fn wanted(&self) -> Wanted<'a> {
        let BuildSpec { image, labels, pipeline, job, .. } = self.spec;
        let (source, event_type) = (self.request.source.as_str(), self.request.r#type.as_str());
        Wanted { image, labels, source, event_type, pipeline: pipeline.as_deref(), job: job.as_deref() }
    }
}
