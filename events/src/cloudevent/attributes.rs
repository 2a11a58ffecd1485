//! The attributes of one event as they are read, before they are known to be right.

use std::borrow::Cow;

use super::{CloudEvent, validate::check_extension_name};
use crate::{Violation, json::Scalar, syntax, violation::rule};

/// Attributes by name; a value keeps the form it was read in until [`Attributes::build`].
#[derive(Debug, Default)]
pub(crate) struct Attributes<'a> {
    specversion: Option<Cow<'a, str>>,
    pub(crate) id: Option<Cow<'a, str>>,
    pub(crate) source: Option<Cow<'a, str>>,
    pub(crate) ty: Option<Cow<'a, str>>,
    pub(crate) datacontenttype: Option<Cow<'a, str>>,
    dataschema: Option<Cow<'a, str>>,
    subject: Option<Cow<'a, str>>,
    time: Option<Cow<'a, str>>,
    extensions: Vec<(Cow<'a, str>, Scalar<'a>)>,
}

impl<'a> Attributes<'a> {
    /// Takes an attribute; the same one twice is refused unless both say the same.
    pub(crate) fn set(&mut self, name: Cow<'a, str>, value: Scalar<'a>) -> Result<(), Violation> {
        let slot = match &*name {
            "specversion" => &mut self.specversion,
            "id" => &mut self.id,
            "source" => &mut self.source,
            "type" => &mut self.ty,
            "datacontenttype" => &mut self.datacontenttype,
            "dataschema" => &mut self.dataschema,
            "subject" => &mut self.subject,
            "time" => &mut self.time,
            _ => return self.set_extension(name, value),
        };
        let Scalar::String(value) = value else { return Err(Violation::new(name, rule::STRING)) };
        if slot.replace(value).is_some_and(|before| slot.as_ref() != Some(&before)) {
            return Err(Violation::new(name, rule::TWICE));
        }
        Ok(())
    }

    fn set_extension(&mut self, name: Cow<'a, str>, value: Scalar<'a>) -> Result<(), Violation> {
        check_extension_name(&name)?;
        if value == Scalar::Other {
            return Err(Violation::new(&*name, "must be a string, a boolean or an integer"));
        }
        match self.extensions.iter().find(|(known, _)| *known == name) {
            Some((_, before)) if *before != value => return Err(Violation::new(name, rule::TWICE)),
            Some(_) => {}
            None => self.extensions.push((name, value)),
        }
        Ok(())
    }

    /// The event without its data, once every rule holds.
    pub(crate) fn build(self) -> Result<CloudEvent<'a>, Violation> {
        if required("specversion", self.specversion)? != "1.0" {
            return Err(Violation::new("specversion", "must be 1.0"));
        }
        let timestamp = |text: Cow<'_, str>| syntax::timestamp(&text).ok_or_else(|| Violation::new("time", rule::TIMESTAMP));
        let event = CloudEvent {
            id: required("id", self.id)?,
            source: required("source", self.source)?,
            ty: required("type", self.ty)?,
            subject: self.subject,
            time: self.time.map(timestamp).transpose()?,
            datacontenttype: self.datacontenttype,
            data: None,
            dataschema: self.dataschema,
            extensions: self.extensions,
        };
        event.check()?;
        Ok(event)
    }
}

fn required<'a>(name: &str, value: Option<Cow<'a, str>>) -> Result<Cow<'a, str>, Violation> {
    match value {
        None => Err(Violation::new(name, rule::REQUIRED)),
        Some(value) if value.is_empty() => Err(Violation::new(name, rule::NOT_EMPTY)),
        Some(value) => Ok(value),
    }
}
