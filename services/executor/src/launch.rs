//! What is to be created for one attempt.

use std::fmt;

use switchyard_events::{BuildKey, BuildSpec, Limits};

/// A secret text: it is written where it belongs and nowhere else.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(pub String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// One attempt of a build, as it was routed.
#[derive(Clone, Debug, PartialEq)]
pub struct Launch {
    /// Which build.
    pub build: BuildKey,
    /// Which attempt of it, from 1.
    pub attempt: u32,
    /// The executor it was routed to.
    pub executor: String,
    /// Whose build it is.
    pub tenant: String,
    /// The pipeline, if the request names one.
    pub pipeline: Option<String>,
    /// The job, if the request names one.
    pub job: Option<String>,
    /// The request's CloudEvents source.
    pub source: String,
    /// The request's subject id: what the CI system calls the build.
    pub subject: String,
    /// What is to be run.
    pub spec: BuildSpec,
    /// The build's own annotations that the fleet allows.
    pub annotations: Vec<(String, String)>,
    /// How long each phase may take.
    pub limits: Limits,
    /// Whether it was tried before, so that it may exist already.
    pub again: bool,
    /// The token of a build of Screwdriver's, made for this attempt.
    pub token: Option<Token>,
    /// The W3C trace context that the build goes on with.
    pub traceparent: String,
}
