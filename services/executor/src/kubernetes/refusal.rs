//! What an answer of the API server that is no success means. Every kind of answer has a name and an outcome of its own.

use std::{io, time::Duration};

use kube::core::Status;

use crate::{CreateError, Unreachable};

/// An answer that is no success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// What kind of answer.
    pub(crate) kind: Kind,
    /// What was said, with the code.
    pub(crate) said: String,
    /// When the API server wants to be asked again.
    pub(crate) after: Option<Duration>,
}

/// Every kind of answer that is no success, and every kind of silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// 404: not there.
    NotFound,
    /// 404: not even the namespace.
    NoNamespace,
    /// 409: an object of that name exists.
    AlreadyExists,
    /// 409: somebody else was faster, or a precondition failed.
    Conflict,
    /// 422: no valid object.
    Invalid,
    /// 400, 413: no valid request.
    BadRequest,
    /// 403: only a change of the cluster's configuration would take it back.
    Forbidden,
    /// 403: the quota is used up.
    Full,
    /// 403: a permission is missing, or an API server that has just started does not know of it yet.
    Denied,
    /// 401: the token is wrong, or over.
    Unauthorized,
    /// 429: too much at once.
    TooMany,
    /// 503: it is going, or cannot reach its own store.
    Unavailable,
    /// 500, 502, 504 and what no rule knows: whether it was done nobody says.
    Broken,
    /// No answer in time, or a connection that broke after the question: whether it was done nobody says.
    Silence,
    /// No connection: nothing was asked.
    NoConnection,
    /// A connection that cannot be trusted, or no TLS at all: nothing was asked.
    Tls,
    /// It was not asked at all, because it did not answer just before.
    NotAsked,
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

/// How long a full quota is left alone: somebody has to finish first.
pub(crate) const QUOTA_PAUSE: Duration = Duration::from_secs(5);

/// No answer keeps us away for longer.
const LONGEST_PAUSE: Duration = Duration::from_mins(2);

impl Refusal {
    /// One that the API server did not send.
    pub(crate) fn new(kind: Kind, said: impl Into<String>) -> Self {
        Self { kind, said: said.into(), after: None }
    }

    /// What the answer with this code and body says; `after` is its header `Retry-After`, in seconds.
    pub(crate) fn of_answer(code: u16, body: &[u8], after: Option<u64>) -> Self {
        let status = serde_json::from_slice::<Status>(body).unwrap_or_else(|_| {
            let text = String::from_utf8_lossy(&body[..body.len().min(1000)]).trim().to_owned();
            Status { message: text, ..Status::default() }
        });
        let advised = status.details.as_ref().map(|about| u64::from(about.retry_after_seconds)).filter(|seconds| *seconds > 0);
        let after = after.or(advised).map(|seconds| Duration::from_secs(seconds).min(LONGEST_PAUSE));
        let kind = Kind::of(code, &status);
        let words = [status.reason.as_str(), ": ", status.message.as_str()].concat();
        let words = words.trim_matches([':', ' ']);
        Self { kind, said: format!("{code} {words}"), after: after.or(kind.pause()) }
    }

    /// What it means for a pod that was to be created.
    pub(crate) fn of_create(self) -> CreateError {
        match self.kind {
            Kind::Invalid | Kind::BadRequest | Kind::Forbidden | Kind::NoNamespace => CreateError::Rejected(self.said),
            Kind::Broken | Kind::Silence => CreateError::Unknown(self.said),
            Kind::NotFound
            | Kind::AlreadyExists
            | Kind::Conflict
            | Kind::Full
            | Kind::Denied
            | Kind::Unauthorized
            | Kind::TooMany
            | Kind::Unavailable
            | Kind::NoConnection
            | Kind::Tls
            | Kind::NotAsked => match self.after {
                Some(after) => CreateError::Busy { why: self.said, after },
                None => CreateError::Later(self.said),
            },
        }
    }

    /// Whether a failed precondition may be the cause.
    pub(crate) const fn may_be_of_precondition(&self) -> bool {
        matches!(self.kind, Kind::Conflict | Kind::Invalid)
    }
}

impl Kind {
    fn of(code: u16, status: &Status) -> Self {
        let says = |words: &str| status.message.contains(words);
        match code {
            400 | 413 => Self::BadRequest,
            401 => Self::Unauthorized,
            403 if FOR_GOOD.iter().any(|words| says(words)) => Self::Forbidden,
            403 if says("exceeded quota") => Self::Full,
            403 => Self::Denied,
            404 if status.details.as_ref().is_some_and(|about| about.kind == "namespaces") => Self::NoNamespace,
            // Whoever else answers 404, such as a load balancer whose servers are away, knows nothing of any pod.
            404 if status.reason == "NotFound" => Self::NotFound,
            409 if status.reason == "AlreadyExists" => Self::AlreadyExists,
            409 => Self::Conflict,
            422 => Self::Invalid,
            429 => Self::TooMany,
            503 => Self::Unavailable,
            _ => Self::Broken,
        }
    }

    /// How long to stay away where the answer itself does not say.
    const fn pause(self) -> Option<Duration> {
        if matches!(self, Self::Full) {
            Some(QUOTA_PAUSE)
        } else if matches!(self, Self::TooMany) {
            Some(Duration::from_secs(1))
        } else {
            None
        }
    }

    /// Whether it counts against the API server: it did not answer, or not as one that works.
    pub(crate) const fn is_failure(self) -> bool {
        match self {
            Self::Unauthorized | Self::Unavailable | Self::Broken | Self::Silence | Self::NoConnection | Self::Tls => true,
            Self::NotFound
            | Self::NoNamespace
            | Self::AlreadyExists
            | Self::Conflict
            | Self::Invalid
            | Self::BadRequest
            | Self::Forbidden
            | Self::Full
            | Self::Denied
            | Self::TooMany
            | Self::NotAsked => false,
        }
    }
}

impl From<kube::Error> for Refusal {
    fn from(error: kube::Error) -> Self {
        let kind = if let kube::Error::Api(status) = &error {
            Kind::of(status.code, status)
        } else if let kube::Error::Auth(_) = &error {
            Kind::Unauthorized
        } else {
            never_sent(&error).unwrap_or(Kind::Silence)
        };
        Self::new(kind, with_causes(&error))
    }
}

/// Why there was no connection, where there was none; `None` where the question may have arrived.
fn never_sent(error: &(dyn std::error::Error + 'static)) -> Option<Kind> {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    causes.find(|cause| cause.downcast_ref().is_some_and(hyper_util::client::legacy::Error::is_connect))?;
    // What rustls refuses comes as an error of input and output: data that is not what it must be.
    let refused = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| {
            matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof)
        })
    };
    Some(if causes.any(refused) { Kind::Tls } else { Kind::NoConnection })
}

impl From<Refusal> for Unreachable {
    fn from(refusal: Refusal) -> Self {
        Self(refusal.said)
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
    use serde_json::json;

    use super::*;

    fn create(code: u16, reason: &str, message: &str) -> CreateError {
        answer(code, reason, message).of_create()
    }

    fn answer(code: u16, reason: &str, message: &str) -> Refusal {
        let body = json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message});
        Refusal::of_answer(code, body.to_string().as_bytes(), None)
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
            (
                403,
                "Forbidden",
                "pods is forbidden: User \"launcher\" cannot create resource \"pods\" in API group \"\" in the namespace \"builds\"",
            ),
            (401, "Unauthorized", "Unauthorized"),
            (404, "NotFound", "the server could not find the requested resource"),
            (409, "Conflict", "Operation cannot be fulfilled on resourcequotas \"q\""),
            (503, "ServiceUnavailable", "apiserver is shutting down"),
        ] {
            assert!(matches!(create(code, reason, message), CreateError::Later(_)), "{code} {message}");
        }
    }

    #[test]
    fn a_full_quota_is_left_alone_for_a_while() {
        let full = create(
            403,
            "Forbidden",
            "pods \"x\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=5, limited: pods=5",
        );
        assert!(matches!(full, CreateError::Busy { after: QUOTA_PAUSE, .. }), "{full:?}");
    }

    #[test]
    fn an_answer_that_does_not_say_what_was_done_is_looked_into() {
        for (code, reason, message) in [
            (500, "", "rpc error: code = Unavailable desc = connection reset by peer"),
            (502, "", "bad gateway"),
            (404, "Failed to parse error data", "default backend - 404"),
            (504, "Timeout", "Timeout: request did not complete within requested timeout"),
        ] {
            assert!(matches!(create(code, reason, message), CreateError::Unknown(_)), "{code} {message}");
        }
    }

    #[test]
    fn the_time_that_the_api_server_asks_for_is_given_but_not_for_ever() {
        let plain = Refusal::of_answer(429, b"Too many requests, please try again later.\n", Some(3));
        assert_eq!((plain.kind, plain.after), (Kind::TooMany, Some(Duration::from_secs(3))));
        assert_eq!(plain.said, "429 Too many requests, please try again later.");
        let body = br#"{"kind": "Status", "code": 503, "reason": "ServiceUnavailable", "message": "m", "details": {"retryAfterSeconds": 7}}"#;
        assert_eq!(Refusal::of_answer(503, body, None).after, Some(Duration::from_secs(7)));
        assert_eq!(Refusal::of_answer(503, b"", Some(86_400)).after, Some(LONGEST_PAUSE));
        assert_eq!(Refusal::of_answer(429, b"", None).after, Some(Duration::from_secs(1)));
    }

    #[test]
    fn only_an_api_server_that_does_not_work_counts_as_failed() {
        assert!(answer(500, "", "etcd").kind.is_failure() && answer(503, "", "").kind.is_failure());
        for (code, reason) in [(409, "AlreadyExists"), (422, "Invalid"), (403, "Forbidden"), (429, "TooManyRequests")] {
            assert!(!answer(code, reason, "").kind.is_failure(), "{code}");
        }
    }
}
