//! What an answer of the API server that is no success means.

use kube::core::Status;

use crate::{CreateError, Unreachable};

/// An answer that is no success, by what it asks of the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Not there.
    NotFound(String),
    /// A pod of that name exists.
    AlreadyExists(String),
    /// A precondition failed, or the change makes no valid pod: 409, 422.
    Conflict(String),
    /// The request is wrong and stays wrong.
    Wrong(String),
    /// No answer, or one that may be another in a moment.
    Silence(String),
}

/// Words of a 403 that only a change of the cluster's configuration would take back. The code alone does not tell them from a
/// full quota, nor from what a restarted API server answers to everybody in its first moments.
const FOR_GOOD: [&str; 6] = [
    "pod rejected: RuntimeClass",
    "conflict: runtimeClass",
    "violates PodSecurity",
    "usage per Container is",
    "usage per Pod is",
    "limit to request ratio per Container is",
];

impl From<kube::Error> for Refusal {
    fn from(error: kube::Error) -> Self {
        if let kube::Error::Api(status) = error { Self::from(*status) } else { Self::Silence(with_causes(&error)) }
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        let said = format!("{} {}: {}", status.code, status.reason, status.message);
        match (status.code, status.reason.as_str()) {
            (404, _) if status.details.is_some_and(|about| about.kind == "namespaces") => Self::Wrong(said),
            (404, _) => Self::NotFound(said),
            (409, "AlreadyExists") => Self::AlreadyExists(said),
            (409 | 422, _) => Self::Conflict(said),
            (400 | 413, _) => Self::Wrong(said),
            (403, _) if FOR_GOOD.iter().any(|words| status.message.contains(words)) => Self::Wrong(said),
            _ => Self::Silence(said),
        }
    }
}

impl Refusal {
    /// What it means for a pod that was to be created.
    pub(crate) fn of_create(self) -> CreateError {
        match self {
            Self::Wrong(said) => CreateError::Rejected(said),
            Self::Conflict(said) if said.starts_with("422") => CreateError::Rejected(said),
            Self::Conflict(said) | Self::NotFound(said) | Self::AlreadyExists(said) | Self::Silence(said) => {
                CreateError::Later(said)
            }
        }
    }

    /// Whether a failed precondition may be the cause.
    pub(crate) const fn may_be_of_precondition(&self) -> bool {
        match self {
            Self::Conflict(_) => true,
            Self::NotFound(_) | Self::AlreadyExists(_) | Self::Wrong(_) | Self::Silence(_) => false,
        }
    }
}

impl From<Refusal> for Unreachable {
    fn from(refusal: Refusal) -> Self {
        let (Refusal::NotFound(said)
        | Refusal::AlreadyExists(said)
        | Refusal::Conflict(said)
        | Refusal::Wrong(said)
        | Refusal::Silence(said)) = refusal;
        Self(said)
    }
}

/// The whole chain in one line: the outermost words alone are only "client error", and a YAML error draws a picture.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let line = |error: &dyn std::error::Error| error.to_string().lines().next().unwrap_or_default().to_owned();
    let mut text = line(error);
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = line(error);
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(code: u16, reason: &str, message: &str) -> CreateError {
        let status = Status { code, reason: reason.to_owned(), message: message.to_owned(), ..Status::default() };
        Refusal::from(status).of_create()
    }

    #[test]
    fn what_the_cluster_will_never_take_is_rejected() {
        for (code, reason, message) in [
            (403, "Forbidden", "pods \"x1\" is forbidden: pod rejected: RuntimeClass \"nope\" not found"),
            (
                403,
                "Forbidden",
                "pods \"x\" is forbidden: conflict: runtimeClass.scheduling.nodeSelector[dedicated] = a; pod.spec.nodeSelector[dedicated] = b",
            ),
            (
                403,
                "Forbidden",
                "pods \"x\" is forbidden: violates PodSecurity \"restricted:latest\": allowPrivilegeEscalation != false",
            ),
            (403, "Forbidden", "pods \"x\" is forbidden: maximum cpu usage per Container is 1, but limit is 2"),
            (422, "Invalid", "Pod \"x\" is invalid: spec.containers[0].image: Required value"),
            (400, "BadRequest", "json: cannot unmarshal number into Go struct field"),
        ] {
            assert!(matches!(create(code, reason, message), CreateError::Rejected(_)), "{code} {message}");
        }
    }

    #[test]
    fn what_may_be_otherwise_in_a_moment_comes_later() {
        for (code, reason, message) in [
            (403, "Forbidden", "pods \"x\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=5, limited: pods=5"),
            (
                403,
                "Forbidden",
                "pods is forbidden: User \"launcher\" cannot create resource \"pods\" in API group \"\" in the namespace \"builds\"",
            ),
            (401, "Unauthorized", "Unauthorized"),
            (404, "NotFound", "the server could not find the requested resource"),
            (409, "Conflict", "Operation cannot be fulfilled on resourcequotas \"q\""),
            (429, "TooManyRequests", "the server has received too many requests"),
            (500, "", "rpc error: code = Unavailable desc = connection reset by peer"),
            (503, "ServiceUnavailable", "apiserver is shutting down"),
            (504, "Timeout", "Timeout: request did not complete within requested timeout"),
        ] {
            assert!(matches!(create(code, reason, message), CreateError::Later(_)), "{code} {message}");
        }
    }
}
