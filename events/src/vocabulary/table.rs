//! The 45 event types of CDEvents 0.5.1 and the fields of their content.

use Kind::{Known, NonEmpty, Object, OneOf, Text, Texts, Uri, UriReference};

use super::Version;

/// One event type of the vocabulary.
#[derive(Debug)]
pub struct Definition {
    /// What the event is about, as its type spells it: `pipelinerun`.
    pub subject: &'static str,
    /// What happened: `queued`.
    pub predicate: &'static str,
    /// The version in CDEvents 0.5.1.
    pub version: Version,
    /// The fields of `subject.content`.
    pub content: &'static [Field],
}

/// One field of a content.
#[derive(Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What its value must be.
    pub kind: Kind,
    /// Whether an event without it breaks the rules.
    pub required: bool,
}

/// What the value of a field must be.
#[derive(Debug)]
pub enum Kind {
    /// A string, perhaps empty.
    Text,
    /// A string that is not empty.
    NonEmpty,
    /// An absolute URI.
    Uri,
    /// A URI-reference that is not empty.
    UriReference,
    /// One of these strings.
    OneOf(&'static [&'static str]),
    /// A string, for which these are the usual ones.
    Known {
        /// The values that the specification names.
        values: &'static [&'static str],
        /// Whether it may be empty.
        empty: bool,
    },
    /// An array of strings.
    Texts,
    /// An object with these fields.
    Object(&'static [Field]),
}

/// Every event type of CDEvents 0.5.1.
#[must_use]
pub fn definitions() -> &'static [Definition] {
    DEFINITIONS
}

const fn is(subject: &'static str, predicate: &'static str, minor: u16, content: &'static [Field]) -> Definition {
    Definition { subject, predicate, version: Version { major: 0, minor, patch: 0 }, content }
}

const fn may(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, required: false }
}

const fn must(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, required: true }
}

const OUTCOME: Kind = OneOf(&["success", "failure", "cancel", "error"]);
const SEVERITY: Kind = OneOf(&["low", "medium", "high", "critical"]);
const OUTPUT: Kind = OneOf(&["report", "video", "image", "log", "other"]);
const TICKET_TYPE: Kind = Known { values: &["bug", "enhancement", "incident", "task", "question"], empty: true };
const PRIORITY: Kind = Known { values: &["low", "medium", "high"], empty: true };
const RESOLUTION: Kind = Known { values: &["completed", "withdrawn", "duplicate"], empty: false };
const TEST_TYPE: Kind = OneOf(&["performance", "functional", "unit", "security", "compliance", "integration", "e2e", "other"]);
const TRIGGER_TYPE: Kind = OneOf(&["manual", "pipeline", "event", "schedule", "other"]);

/// Another subject.
const REFERENCE: Kind = Object(&[must("id", NonEmpty), may("source", UriReference)]);
/// Another subject, whose source the schemas of tests leave open.
const TEST_REFERENCE: Kind = Object(&[must("id", NonEmpty), may("source", Text)]);
const SBOM: Kind = Object(&[must("uri", UriReference)]);
const TRIGGER: Kind = Object(&[may("type", TRIGGER_TYPE), may("uri", Uri)]);
const TEST_SUITE: Kind = Object(&[must("id", NonEmpty), may("version", Text), may("name", Text), may("uri", Uri)]);
const TEST_CASE: Kind =
    Object(&[must("id", NonEmpty), may("version", Text), may("name", Text), may("type", TEST_TYPE), may("uri", Uri)]);

const USER: &[Field] = &[may("user", NonEmpty)];
const REPOSITORY: &[Field] = &[may("name", Text), may("owner", Text), may("uri", Uri), may("viewUrl", Uri)];
const OF_REPOSITORY: &[Field] = &[may("repository", REFERENCE)];
const ENVIRONMENT: &[Field] = &[may("name", Text), may("uri", Uri)];
const PIPELINE: &[Field] = &[may("pipelineName", Text), may("uri", Uri)];
const DEPLOYMENT: &[Field] = &[must("environment", REFERENCE), must("artifactId", NonEmpty)];
const IN_ENVIRONMENT: &[Field] = &[may("environment", REFERENCE)];
const INCIDENT: &[Field] =
    &[must("environment", REFERENCE), may("description", Text), may("service", REFERENCE), may("artifactId", NonEmpty)];
const TEST_CASE_RUN: &[Field] =
    &[must("environment", REFERENCE), may("trigger", TRIGGER), may("testSuiteRun", TEST_REFERENCE), may("testCase", TEST_CASE)];
const TEST_SUITE_RUN: &[Field] = &[must("environment", REFERENCE), may("trigger", TRIGGER), may("testSuite", TEST_SUITE)];

const DEFINITIONS: &[Definition] = &[
    is("artifact", "deleted", 2, USER),
    is("artifact", "downloaded", 2, USER),
    is("artifact", "packaged", 3, &[must("change", REFERENCE), may("sbom", SBOM)]),
    is("artifact", "published", 3, &[may("sbom", SBOM), may("user", NonEmpty)]),
    is("artifact", "signed", 3, &[must("signature", NonEmpty)]),
    is("branch", "created", 3, OF_REPOSITORY),
    is("branch", "deleted", 3, OF_REPOSITORY),
    is("build", "queued", 3, &[]),
    is("build", "started", 3, &[]),
    is("build", "finished", 3, &[may("artifactId", Text)]),
    is("change", "abandoned", 3, OF_REPOSITORY),
    is("change", "created", 4, &[may("description", NonEmpty), may("repository", REFERENCE)]),
    is("change", "merged", 3, OF_REPOSITORY),
    is("change", "reviewed", 3, OF_REPOSITORY),
    is("change", "updated", 3, OF_REPOSITORY),
    is("environment", "created", 3, ENVIRONMENT),
    is("environment", "modified", 3, ENVIRONMENT),
    is("environment", "deleted", 3, &[may("name", Text)]),
    is("incident", "detected", 3, INCIDENT),
    is(
        "incident",
        "reported",
        3,
        &[
            must("environment", REFERENCE),
            may("description", Text),
            must("ticketURI", Uri),
            may("service", REFERENCE),
            may("artifactId", NonEmpty),
        ],
    ),
    is("incident", "resolved", 3, INCIDENT),
    is("pipelinerun", "queued", 3, PIPELINE),
    is("pipelinerun", "started", 3, &[must("pipelineName", Text), must("uri", Uri)]),
    is("pipelinerun", "finished", 3, &[may("pipelineName", Text), may("uri", Uri), may("outcome", OUTCOME), may("errors", Text)]),
    is("repository", "created", 3, &[must("name", NonEmpty), may("owner", Text), must("uri", Uri), may("viewUrl", Uri)]),
    is("repository", "modified", 3, REPOSITORY),
    is("repository", "deleted", 3, REPOSITORY),
    is("service", "deployed", 3, DEPLOYMENT),
    is("service", "upgraded", 3, DEPLOYMENT),
    is("service", "rolledback", 3, DEPLOYMENT),
    is("service", "removed", 3, IN_ENVIRONMENT),
    is("service", "published", 3, IN_ENVIRONMENT),
    is("taskrun", "started", 3, &[may("taskName", Text), may("uri", Uri), may("pipelineRun", REFERENCE)]),
    is(
        "taskrun",
        "finished",
        3,
        &[may("taskName", Text), may("uri", Uri), may("pipelineRun", REFERENCE), may("outcome", Text), may("errors", Text)],
    ),
    is("testcaserun", "queued", 3, TEST_CASE_RUN),
    is("testcaserun", "started", 3, TEST_CASE_RUN),
    is(
        "testcaserun",
        "finished",
        3,
        &[
            must("outcome", OUTCOME),
            may("severity", SEVERITY),
            may("reason", Text),
            must("environment", REFERENCE),
            may("testSuiteRun", TEST_REFERENCE),
            may("testCase", TEST_CASE),
        ],
    ),
    is(
        "testcaserun",
        "skipped",
        2,
        &[may("reason", Text), may("environment", REFERENCE), may("testSuiteRun", TEST_REFERENCE), may("testCase", TEST_CASE)],
    ),
    is(
        "testoutput",
        "published",
        3,
        &[must("outputType", OUTPUT), must("format", Text), may("uri", Uri), may("testCaseRun", TEST_REFERENCE)],
    ),
    is("testsuiterun", "queued", 3, TEST_SUITE_RUN),
    is("testsuiterun", "started", 3, TEST_SUITE_RUN),
    is(
        "testsuiterun",
        "finished",
        3,
        &[
            must("outcome", OUTCOME),
            may("severity", SEVERITY),
            may("reason", Text),
            must("environment", REFERENCE),
            may("testSuite", TEST_SUITE),
        ],
    ),
    is(
        "ticket",
        "created",
        2,
        &[
            must("summary", Text),
            may("ticketType", TICKET_TYPE),
            may("group", Text),
            must("creator", NonEmpty),
            may("assignees", Texts),
            may("priority", PRIORITY),
            may("labels", Texts),
            may("milestone", Text),
            must("uri", UriReference),
        ],
    ),
    is(
        "ticket",
        "updated",
        2,
        &[
            may("summary", Text),
            may("ticketType", TICKET_TYPE),
            may("group", Text),
            may("creator", NonEmpty),
            may("assignees", Texts),
            may("priority", PRIORITY),
            may("labels", Texts),
            may("milestone", Text),
            may("updatedBy", Text),
            must("uri", UriReference),
        ],
    ),
    is(
        "ticket",
        "closed",
        2,
        &[
            may("summary", Text),
            may("ticketType", TICKET_TYPE),
            may("group", Text),
            may("creator", NonEmpty),
            may("assignees", Texts),
            may("priority", PRIORITY),
            may("labels", Texts),
            may("milestone", Text),
            must("uri", UriReference),
            must("resolution", RESOLUTION),
            may("updatedBy", Text),
        ],
    ),
];
