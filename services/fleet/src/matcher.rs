//! What an executor refuses: a regular expression over the image, as Screwdriver has it, or named parts of the request.

use std::{collections::BTreeMap, fmt};

use regex::{Regex, RegexBuilder};
use serde_json::{Value, json};
use switchyard_events::Texts;
use switchyard_file::{Content, Node, Place, Problems, Read, keys};

use crate::Glob;

/// What is known of a build when an executor is chosen for it.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The image reference, whole.
    pub image: &'a str,
    /// The build's own labels.
    pub labels: &'a Texts<'a>,
    /// The request's CloudEvents source.
    pub source: &'a str,
    /// The request's type.
    pub event_type: &'a str,
    /// The pipeline.
    pub pipeline: Option<&'a str>,
    /// The job.
    pub job: Option<&'a str>,
}

/// One thing that an executor refuses.
#[derive(Clone, Debug)]
pub enum Exclusion {
    /// A regular expression, found anywhere in the whole image reference, in any case.
    Image(Regex),
    /// All that it names.
    Parts(Parts),
}

keys! {
    /// Parts of a request, as patterns in which `*` is any text. Those that are named must all fit.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct Parts {
        /// The image's registry; `docker.io` where the reference names none.
        registry: Option<Glob> = "registry",
        /// The image's repository, without registry, tag and digest.
        repository: Option<Glob> = "repository",
        /// The image's tag; `latest` where the reference names neither tag nor digest.
        tag: Option<Glob> = "tag",
        /// The build's labels.
        label: BTreeMap<String, Glob> = "label",
        /// The request's source.
        source: Option<Glob> = "source",
        /// The build's pipeline.
        pipeline: Option<Glob> = "pipeline",
        /// The build's job.
        job: Option<Glob> = "job",
        /// The request's type, for example `dev.cdevents.testcaserun.*`.
        event_type: Option<Glob> = "eventType",
    }
}

/// The parts of an image reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image<'a> {
    /// The registry, `docker.io` where none is named.
    pub registry: &'a str,
    /// What stands between registry and tag.
    pub repository: &'a str,
    /// The tag, `latest` where neither tag nor digest is named, empty beside a digest alone.
    pub tag: &'a str,
}

/// No pattern compiles to more than this: a pattern is the operator's, but a typing error should not cost a gigabyte.
const LARGEST_PATTERN: usize = 1 << 20;

impl Exclusion {
    /// Whether it refuses what is wanted.
    #[must_use]
    pub fn matches(&self, wanted: &Wanted<'_>) -> bool {
        match self {
            Self::Image(pattern) => pattern.is_match(wanted.image),
            Self::Parts(parts) => parts.match_all(wanted),
        }
    }

    fn image(text: &str) -> Result<Self, String> {
        let built = RegexBuilder::new(text).case_insensitive(true).size_limit(LARGEST_PATTERN).build();
        built.map(Self::Image).map_err(|error| {
            // The crate draws the pattern over several lines; its last line says what is wrong.
            let words = error.to_string();
            let why = words.lines().last().unwrap_or_default().trim_start_matches("error: ");
            format!("{text:?} is not a regular expression: {why}")
        })
    }
}

impl Parts {
    fn match_all(&self, wanted: &Wanted<'_>) -> bool {
        let image = Image::of(wanted.image);
        let text = |glob: &Option<Glob>, text: &str| glob.as_ref().is_none_or(|glob| glob.matches(text));
        let known = |glob: &Option<Glob>, text: Option<&str>| {
            glob.as_ref().is_none_or(|glob| text.is_some_and(|text| glob.matches(text)))
        };
        text(&self.registry, image.registry)
            && text(&self.repository, image.repository)
            && text(&self.tag, image.tag)
            && text(&self.source, wanted.source)
            && text(&self.event_type, wanted.event_type)
            && known(&self.pipeline, wanted.pipeline)
            && known(&self.job, wanted.job)
            && self.label.iter().all(|(name, glob)| wanted.labels.get(name).is_some_and(|value| glob.matches(value)))
    }

    fn named(&self) -> Vec<String> {
        let parts = [
            ("registry", &self.registry),
            ("repository", &self.repository),
            ("tag", &self.tag),
            ("source", &self.source),
            ("pipeline", &self.pipeline),
            ("job", &self.job),
            ("eventType", &self.event_type),
        ];
        let named = parts.into_iter().filter_map(|(name, glob)| glob.as_ref().map(|glob| format!("{name} {glob}")));
        named.chain(self.label.iter().map(|(name, glob)| format!("label {name} {glob}"))).collect()
    }
}

impl<'a> Image<'a> {
    /// Takes a reference apart: `[registry/]repository[:tag][@digest]`.
    #[must_use]
    pub fn of(reference: &'a str) -> Self {
        let (named, digest) = reference.split_once('@').map_or((reference, None), |(named, digest)| (named, Some(digest)));
        let is_registry = |part: &str| part.contains(['.', ':']) || part == "localhost";
        let (registry, rest) = named.split_once('/').filter(|(first, _)| is_registry(first)).unwrap_or(("docker.io", named));
        let standard = if digest.is_some() { "" } else { "latest" };
        let (repository, tag) = rest.rsplit_once(':').unwrap_or((rest, standard));
        Self { registry, repository, tag }
    }
}

impl fmt::Display for Exclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(pattern) => write!(f, "{:?}", pattern.as_str()),
            Self::Parts(parts) => f.write_str(&parts.named().join(", ")),
        }
    }
}

impl PartialEq for Exclusion {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Image(a), Self::Image(b)) => a.as_str() == b.as_str(),
            (Self::Parts(a), Self::Parts(b)) => a == b,
            (Self::Image(_), Self::Parts(_)) | (Self::Parts(_), Self::Image(_)) => false,
        }
    }
}

impl Read for Exclusion {
    fn read(node: &Node, at: &Place, problems: &mut Problems) -> Option<Self> {
        match &node.content {
            Content::Text(text) => Self::image(text).map_err(|rule| problems.add(at, node.line, rule)).ok(),
            Content::Null | Content::List(_) => {
                problems.add(at, node.line, format!("a regular expression or parts by name are expected, not {}", node.kind()));
                None
            }
            Content::Map(_) => {
                let parts = Parts::read(node, at, problems)?;
                if parts == Parts::default() {
                    problems.add(at, node.line, "names nothing, and would refuse everything");
                    return None;
                }
                Some(Self::Parts(parts))
            }
        }
    }

    fn schema() -> Value {
        json!({"anyOf": [{"type": "string", "format": "regex"}, Parts::schema()]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exclusion(yaml: &str) -> Result<Exclusion, String> {
        let mut problems = Problems::of(crate::FILE);
        let node = switchyard_file::parse(yaml, &mut problems).unwrap();
        let read = Exclusion::read(&node, &Place::root(), &mut problems);
        problems.into_error().map_or_else(|| Ok(read.unwrap()), |error| Err(error.to_string()))
    }

    fn refuses(yaml: &str, image: &str) -> bool {
        let labels = [("gpu".into(), "true".into())].into_iter().collect();
        let wanted = Wanted {
            image,
            labels: &labels,
            source: "/jenkins/job/shop",
            event_type: "dev.cdevents.build.queued.0.3.0",
            pipeline: Some("shop"),
            job: None,
        };
        exclusion(yaml).unwrap().matches(&wanted)
    }

    #[test]
    fn a_text_is_found_anywhere_in_the_image_and_in_any_case() {
        assert!(refuses("rhel6", "registry.example.com:4443/sd/arya-RHEL6:latest"));
        assert!(refuses("'^internal/'", "internal/tool") && !refuses("'^internal/'", "x/internal/tool"));
        assert!(!refuses("rhel6", "node:20"));
    }

    #[test]
    fn a_reference_is_taken_apart_as_docker_does() {
        for (reference, parts) in [
            ("node", ("docker.io", "node", "latest")),
            ("library/node:20", ("docker.io", "library/node", "20")),
            ("reg.acme:4443/sd/arya:1", ("reg.acme:4443", "sd/arya", "1")),
            ("localhost/a", ("localhost", "a", "latest")),
            ("reg.acme/a@sha256:00", ("reg.acme", "a", "")),
            ("reg.acme/a:2@sha256:00", ("reg.acme", "a", "2")),
        ] {
            let Image { registry, repository, tag } = Image::of(reference);
            assert_eq!((registry, repository, tag), parts, "{reference}");
        }
    }

    #[test]
    fn parts_must_all_fit() {
        assert!(refuses("{registry: '*.acme', tag: latest}", "reg.acme/a"));
        assert!(!refuses("{registry: '*.acme', tag: latest}", "reg.acme/a:1"));
        assert!(refuses("{label: {gpu: 'true'}}", "a") && !refuses("{label: {gpu: 'true', arch: '*'}}", "a"));
        assert!(refuses("{source: '/jenkins/*', pipeline: shop}", "a"));
        assert!(!refuses("{pipeline: shop, job: '*'}", "a"), "what is not known fits nothing");
        assert!(refuses("{eventType: dev.cdevents.build.*}", "a") && !refuses("{eventType: build}", "a"));
    }

    #[test]
    fn what_refuses_everything_by_mistake_is_refused() {
        assert!(exclusion("{}").unwrap_err().contains("names nothing"));
        assert!(exclusion("'a(b'").unwrap_err().contains("unclosed group"));
        assert!(exclusion("{regsitry: a}").unwrap_err().contains("did you mean \"registry\"?"));
    }
}
