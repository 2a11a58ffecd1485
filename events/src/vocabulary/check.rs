//! Checks an event against the specification's schemas: the envelope of every event, the content of the types we know.

use data_encoding::BASE64;
use serde_json::value::RawValue;

use super::{EventType, Field, Kind};
use crate::{
    CdEvent, Violation,
    json::{self, Members},
    syntax,
    violation::{excerpt, rule},
};

/// Checks an event against CDEvents 0.5.1, or 0.4.x where its type's version is of that time.
///
/// Unknown fields and unknown types are fine. The content of a type older than 0.4.x is not looked at; of a newer minor version,
/// an enum may have values that we do not know.
///
/// # Errors
/// Every rule that is broken, with the path of the field: `subject.content.outcome: must be one of success, failure, …`.
pub fn validate(event: &CdEvent<'_>) -> Result<(), Vec<Violation>> {
    let mut check = Check { spelling: Spelling::Current, violations: Vec::new() };
    let ty = EventType::parse(&event.context.ty);
    check.context(event, ty.is_some());
    check.subject(event, ty);
    check.custom_data(event.custom_data.as_deref());
    if check.violations.is_empty() { Ok(()) } else { Err(check.violations) }
}

/// Which version of the vocabulary an event is written in.
#[derive(Clone, Copy, PartialEq)]
enum Spelling {
    /// CDEvents 0.4.x: `url`, and tests `pass` or `fail`.
    Old,
    /// CDEvents 0.5.x.
    Current,
    /// A newer minor version.
    New,
}

struct Check {
    spelling: Spelling,
    violations: Vec<Violation>,
}

impl Check {
    fn require(&mut self, holds: bool, path: &str, rule: &'static str) {
        if !holds {
            self.violations.push(Violation::new(path, rule));
        }
    }

    fn context(&mut self, event: &CdEvent<'_>, is_typed: bool) {
        let context = &event.context;
        self.require(!context.specversion.is_empty(), "context.specversion", rule::NOT_EMPTY);
        self.require(!context.id.is_empty(), "context.id", rule::NOT_EMPTY);
        self.require(syntax::is_uri_reference(&context.source), "context.source", rule::URI_REFERENCE);
        self.require(is_typed, "context.type", TYPE);
        self.require(context.schema_uri.as_deref().is_none_or(syntax::is_uri), "context.schemaUri", rule::URI);
        self.require(context.chain_id.as_deref() != Some(""), "context.chainId", rule::NOT_EMPTY);
        let Some(links) = context.links.as_deref() else { return };
        let Some(links) = json::items(links) else { return self.require(false, "context.links", "must be an array") };
        for (n, link) in links.into_iter().enumerate() {
            if let Err(rule) = check_link(link) {
                self.violations.push(Violation::new(format!("context.links[{n}]"), rule));
            }
        }
    }

    fn subject(&mut self, event: &CdEvent<'_>, ty: Option<EventType<'_>>) {
        let subject = &event.subject;
        self.require(!subject.id.is_empty(), "subject.id", rule::NOT_EMPTY);
        self.require(subject.source.as_deref().is_none_or(syntax::is_uri_reference), "subject.source", rule::URI_REFERENCE);
        let Some(content) = subject.content.raw() else { return self.require(false, CONTENT, rule::REQUIRED) };
        let Some(members) = Members::of(content) else { return self.require(false, CONTENT, rule::OBJECT) };
        let Some(ty) = ty else { return };
        let Some(definition) = ty.definition() else { return };
        self.spelling = match ty.version.minor.cmp(&definition.version.minor) {
            std::cmp::Ordering::Greater => Spelling::New,
            std::cmp::Ordering::Equal => Spelling::Current,
            std::cmp::Ordering::Less if ty.version.minor + 1 == definition.version.minor => Spelling::Old,
            std::cmp::Ordering::Less => return,
        };
        self.fields(CONTENT, &members, definition.content);
    }

    fn fields(&mut self, path: &str, members: &Members<'_>, fields: &[Field]) {
        for field in fields {
            let old = (self.spelling == Spelling::Old && field.name == "uri").then_some("url");
            let name = old.filter(|old| members.get(old).is_some()).unwrap_or(field.name);
            match members.get(name) {
                Some(value) => self.value((path, name), value, field),
                None if field.required => self.violations.push(Violation::new(format!("{path}.{name}"), rule::REQUIRED)),
                None => {}
            }
        }
    }

    fn value(&mut self, (outer, name): (&str, &str), value: &RawValue, field: &Field) {
        let path = || format!("{outer}.{name}");
        let text = json::string(value);
        let broken = match (&field.kind, text.as_deref()) {
            (Kind::Object(fields), _) => {
                return match Members::of(value) {
                    Some(members) => self.fields(&path(), &members, fields),
                    None => self.require(false, &path(), rule::OBJECT),
                };
            }
            (Kind::Texts, _) if is_texts(value) => None,
            (Kind::Texts, _) => Some("must be an array of strings".into()),
            (_, None) => Some(rule::STRING.into()),
            (Kind::NonEmpty | Kind::Known { empty: false, .. }, Some("")) => Some(rule::NOT_EMPTY.into()),
            (Kind::Uri, Some(text)) if !syntax::is_uri(text) => Some(rule::URI.into()),
            (Kind::UriReference, Some(text)) if !syntax::is_uri_reference(text) => Some(rule::URI_REFERENCE.into()),
            (Kind::OneOf(values), Some(text)) => self.one_of(values, text, field).map(Into::into),
            (Kind::Text | Kind::NonEmpty | Kind::Uri | Kind::UriReference | Kind::Known { .. }, Some(_)) => None,
        };
        self.violations.extend(broken.map(|rule: std::borrow::Cow<'static, str>| Violation { path: path(), rule }));
    }

    fn one_of(&self, values: &[&str], text: &str, field: &Field) -> Option<String> {
        // A pipelineRun's outcome, the only one that may be missing, was any string then.
        let (values, open) = match (self.spelling, field.name) {
            (Spelling::New, _) => (values, true),
            (Spelling::Old, "outcome") => (OLD_OUTCOMES, !field.required),
            (Spelling::Old | Spelling::Current, _) => (values, false),
        };
        (!open && !values.contains(&text)).then(|| format!("must be one of {}, not `{}`", values.join(", "), excerpt(text)))
    }

    fn custom_data(&mut self, custom_data: Option<&RawValue>) {
        let Some(raw) = custom_data else { return };
        let base64 = || json::string(raw).is_some_and(|text| BASE64.decode(text.as_bytes()).is_ok());
        self.require(raw.get().starts_with('{') || base64(), "customData", "must be an object or a string in base64");
    }
}

const CONTENT: &str = "subject.content";
const TYPE: &str = "must be dev.cdevents.<subject>.<predicate>.<version> or dev.cdeventsx.<tool>-<subject>.<predicate>.<version>";
const OLD_OUTCOMES: &[&str] = &["pass", "fail", "cancel", "error"];

fn is_texts(value: &RawValue) -> bool {
    json::items(value).is_some_and(|items| items.into_iter().all(|item| json::string(item).is_some()))
}

/// One of the three embedded links (links.md): PATH and END name where they come `from`, RELATION its kind and target.
fn check_link(link: &RawValue) -> Result<(), &'static str> {
    let link = Members::of(link).ok_or(rule::OBJECT)?;
    let text = |name| link.get(name).and_then(json::string);
    let linked = |name| link.get(name).and_then(Members::of).map(|other| other.get("contextId").and_then(json::string));
    let named = |name| linked(name).flatten().is_some_and(|id| !id.is_empty());
    if link.get("tags").is_some_and(|tags| Members::of(tags).is_none()) {
        return Err("`tags` must be an object");
    }
    match text("linkType").as_deref() {
        Some("PATH") if !named("from") => Err("a PATH link must have `from.contextId`"),
        Some("END") if link.get("from").is_some() && !named("from") => Err("an END link's `from` must have `contextId`"),
        Some("RELATION") if text("linkKind").is_none_or(|kind| kind.is_empty()) => Err("a RELATION link must have `linkKind`"),
        Some("RELATION") if linked("target").is_none() => Err("a RELATION link must have `target`"),
        Some("PATH" | "END" | "RELATION") => Ok(()),
        _ => Err("`linkType` must be one of PATH, END, RELATION"),
    }
}
