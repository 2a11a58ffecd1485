//! What the SDK does not check: it accepts 8 of the 25 invalid official samples.

use cloudevents::{AttributesReader as _, Event, event::SpecVersion};
use jiff::Timestamp;

use super::CloudEvent;
use crate::{Violation, json::Scalar, syntax, violation::rule};

const MEDIA_TYPE: &str = "must be a media type (RFC 2046), as in application/json";
const YEARS: &str = "must lie in the years 0 to 9999";
const CHARACTERS: &str = "must not hold control characters or noncharacters";

/// Checks an event against CloudEvents 1.0 (context attributes, type system); data is not looked at.
///
/// # Errors
/// The first attribute that breaks a rule.
pub fn validate(event: &Event) -> Result<(), Violation> {
    if event.specversion() != SpecVersion::V10 {
        return Err(Violation::new("specversion", "must be 1.0"));
    }
    if event.time().is_some() && event_time(event).is_none() {
        return Err(Violation::new("time", YEARS));
    }
    CloudEvent::of(event).check()
}

impl CloudEvent<'_> {
    /// Checks the attributes.
    pub(super) fn check(&self) -> Result<(), Violation> {
        let Self { subject, datacontenttype, dataschema, .. } = self;
        check("id", &self.id, |_| true, "")?;
        check("source", &self.source, syntax::is_uri_reference, rule::URI_REFERENCE)?;
        check("type", &self.ty, |_| true, "")?;
        subject.as_deref().map_or(Ok(()), |subject| check("subject", subject, |_| true, ""))?;
        datacontenttype.as_deref().map_or(Ok(()), |value| check("datacontenttype", value, syntax::is_media_type, MEDIA_TYPE))?;
        dataschema.as_deref().map_or(Ok(()), |value| check("dataschema", value, is_schema, rule::URI))?;
        if self.time.is_some_and(|time| time < YEAR_ZERO) {
            return Err(Violation::new("time", YEARS));
        }
        self.extensions.iter().try_for_each(|(name, value)| {
            check_extension_name(name)?;
            check_extension_value(name, value)
        })
    }
}

/// What the SDK takes for the address of a schema too.
fn is_schema(text: &str) -> bool {
    text.parse::<url::Url>().is_ok_and(|schema| syntax::is_uri(schema.as_str()))
}

/// The event's time, in the type that the rest of the project uses.
#[must_use]
pub fn event_time(event: &Event) -> Option<Timestamp> {
    let time = event.time()?;
    // A leap second is a whole second of nanoseconds too many.
    let nanosecond = time.timestamp_subsec_nanos().min(999_999_999);
    let timestamp = Timestamp::new(time.timestamp(), nanosecond.try_into().ok()?).ok()?;
    (timestamp >= YEAR_ZERO).then_some(timestamp)
}

/// RFC 3339 has four digits for the year and no sign: 0000-01-01T00:00:00Z.
const YEAR_ZERO: Timestamp = Timestamp::constant(-62_167_219_200, 0);

fn check(name: &str, value: &str, holds: impl Fn(&str) -> bool, rule: &'static str) -> Result<(), Violation> {
    if value.is_empty() {
        return Err(Violation::new(name, rule::NOT_EMPTY));
    }
    if syntax::has_forbidden(value) {
        return Err(Violation::new(name, CHARACTERS));
    }
    if holds(value) { Ok(()) } else { Err(Violation::new(name, rule)) }
}

/// Lower-case letters and digits; `data` would be the event's data in the JSON format.
pub(crate) fn check_extension_name(name: &str) -> Result<(), Violation> {
    let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if plain && !name.is_empty() && name != "data" {
        return Ok(());
    }
    Err(Violation::named(name, "an attribute's name is lower-case letters and digits, and not `data`"))
}

/// An integer has 32 bits; a string may be empty.
fn check_extension_value(name: &str, value: &Scalar<'_>) -> Result<(), Violation> {
    match value {
        Scalar::Integer(value) if i32::try_from(*value).is_err() => Err(Violation::new(name, "must be an integer of 32 bits")),
        Scalar::String(value) if syntax::has_forbidden(value) => Err(Violation::new(name, CHARACTERS)),
        Scalar::Boolean(_) | Scalar::Integer(_) | Scalar::String(_) | Scalar::Other => Ok(()),
    }
}
