//! Event types: `dev.cdevents.<subject>.<predicate>.<version>`, and those of tools in `dev.cdeventsx`.

use super::{Definition, definitions};

/// The parts of a CDEvents type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventType<'a> {
    /// Whose type it is, if it is a custom one: `dev.cdeventsx.<tool>-<subject>.…`.
    pub tool: Option<&'a str>,
    /// What the event is about: `build`.
    pub subject: &'a str,
    /// What happened to it: `queued`.
    pub predicate: &'a str,
    /// The version of the event's schema; a pre-release suffix is read over.
    pub version: Version,
}

/// The version of an event type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Changes when readers of the former cannot read the latter.
    pub major: u16,
    /// Changes when fields are added.
    pub minor: u16,
    /// Changes when neither does.
    pub patch: u16,
}

impl<'a> EventType<'a> {
    /// Reads a type; `None` if it is neither of CDEvents nor of a tool by the rules of CDEvents.
    #[must_use]
    pub fn parse(ty: &'a str) -> Option<Self> {
        match ty.strip_prefix("dev.cdevents.") {
            Some(rest) => standard(rest),
            None => custom(ty.strip_prefix("dev.cdeventsx.")?),
        }
    }

    /// Whether this is the standard event of that name, in whatever version.
    #[must_use]
    pub fn is(&self, subject: &str, predicate: &str) -> bool {
        self.tool.is_none() && self.subject == subject && self.predicate == predicate
    }

    /// What the vocabulary says about it: the same subject, predicate and major version. `None` for custom and unknown types.
    #[must_use]
    pub fn definition(&self) -> Option<&'static Definition> {
        definitions().iter().find(|known| self.is(known.subject, known.predicate) && self.version.major == known.version.major)
    }
}

fn standard(rest: &str) -> Option<EventType<'_>> {
    let mut parts = rest.splitn(3, '.');
    let (subject, predicate, version) = (parts.next()?, parts.next()?, parts.next()?);
    let version = version.split_once('-').map_or(version, |(release, _)| release);
    let mut numbers = version.split('.').map(|number| number.parse().ok().filter(|_| !number.starts_with('+')));
    let version = Version { major: numbers.next()??, minor: numbers.next()??, patch: numbers.next()?? };
    let named = is(subject, u8::is_ascii_alphanumeric) && is(predicate, u8::is_ascii_alphanumeric);
    (named && numbers.next().is_none()).then_some(EventType { tool: None, subject, predicate, version })
}

/// The specification's own rule: `^dev\.cdeventsx\.[a-zA-Z0-9]+-[a-zA-Z]+\.[a-zA-Z]+\.[0-9]\.[0-9]\.[0-9]$`.
fn custom(rest: &str) -> Option<EventType<'_>> {
    let (name, version) = rest.split_at_checked(rest.len().checked_sub(6)?)?;
    let &[b'.', major @ b'0'..=b'9', b'.', minor @ b'0'..=b'9', b'.', patch @ b'0'..=b'9'] = version.as_bytes() else {
        return None;
    };
    let (name, predicate) = name.split_once('.')?;
    let (tool, subject) = name.split_once('-')?;
    let number = |digit: u8| u16::from(digit - b'0');
    let version = Version { major: number(major), minor: number(minor), patch: number(patch) };
    let named =
        is(tool, u8::is_ascii_alphanumeric) && is(subject, u8::is_ascii_alphabetic) && is(predicate, u8::is_ascii_alphabetic);
    named.then_some(EventType { tool: Some(tool), subject, predicate, version })
}

fn is(name: &str, holds: impl Fn(&u8) -> bool) -> bool {
    !name.is_empty() && name.bytes().all(|byte| holds(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const V0_3_0: Version = Version { major: 0, minor: 3, patch: 0 };

    #[test]
    fn a_standard_type_has_subject_predicate_and_version() {
        let ty = EventType::parse("dev.cdevents.build.queued.0.3.0").unwrap();
        assert_eq!(ty, EventType { tool: None, subject: "build", predicate: "queued", version: V0_3_0 });
        assert!(ty.is("build", "queued") && ty.definition().is_some());
        assert_eq!(EventType::parse("dev.cdevents.build.queued.0.3.0-draft").unwrap(), ty);
    }

    #[test]
    fn the_same_major_version_has_the_same_definition() {
        let version = |ty| EventType::parse(ty).unwrap().definition().map(|known| known.version);
        assert_eq!(version("dev.cdevents.build.queued.0.12.4"), Some(V0_3_0));
        assert_eq!(version("dev.cdevents.build.queued.1.0.0"), None);
        assert_eq!(version("dev.cdevents.build.exploded.0.3.0"), None);
    }

    #[test]
    fn a_custom_type_names_its_tool() {
        let ty = EventType::parse("dev.cdeventsx.switchyard-build.routed.0.3.0").unwrap();
        assert_eq!(ty, EventType { tool: Some("switchyard"), subject: "build", predicate: "routed", version: V0_3_0 });
        assert!(!ty.is("build", "routed") && ty.definition().is_none());
    }

    #[test]
    fn what_breaks_the_rules_is_no_type() {
        for ty in [
            "",
            "dev.cdevents.build.queued",
            "dev.cdevents.build.queued.0.3",
            "dev.cdevents.build.queued.0.3.0.1",
            "dev.cdevents..queued.0.3.0",
            "dev.cdevents.build.*.0.3.0",
            "dev.cdevents.build.queued.+0.3.0",
            "dev.tekton.event.taskrun.unknown.v1",
            "dev.cdeventsx.build.routed.0.1.0",
            "dev.cdeventsx.tool-pod2.routed.0.1.0",
            "dev.cdeventsx.to-ol-pod.routed.0.1.0",
            "dev.cdeventsx.tool-pod.routed.0.10.0",
            "dev.cdeventsx.tool-pod.0.1.0",
            "dev.cdeventsx.0.1.0",
            "dev.cdeventsx.tool-pod.routed.0.1.é",
        ] {
            assert_eq!(EventType::parse(ty), None, "{ty}");
        }
    }
}
