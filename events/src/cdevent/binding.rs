//! CDEvents in CloudEvents (CDEvents, cloudevents-binding.md).
//!
//! | attribute | is | read leniently |
//! |---|---|---|
//! | id | context.id | may differ: sdk-java draws its own; context.id counts |
//! | source | context.source | must agree |
//! | type | context.type | must agree |
//! | subject | subject.id | may be missing (sdk-java), else must agree |
//! | time | context.timestamp | may be missing (sdk-go) or differ (sdk-java: the time of sending); context.timestamp counts |
//! | datacontenttype | application/json | may be missing, else must be JSON |
//! | data | the whole CDEvent | |

use std::time::SystemTime;

use cloudevents::{AttributesReader as _, AttributesWriter as _, Data, Event, EventBuilder as _, EventBuilderV10};
use jiff::Timestamp;

use super::{CdEvent, CdEventError, Context, one_pass};
use crate::{
    BuildView, CloudEvent, Violation,
    cloudevent::validate_cloudevent,
    syntax,
    violation::{excerpt, rule},
};

impl<'a> CdEvent<'a> {
    /// The CloudEvent that carries this CDEvent.
    ///
    /// # Errors
    /// A field is no valid CloudEvents attribute, for example an empty `context.id`; the attribute is named.
    pub fn to_cloudevent(&self) -> Result<Event, CdEventError> {
        let mut event = self.attributes()?;
        event.set_data_unchecked(self.to_vec());
        Ok(event)
    }

    /// The attributes of the CloudEvent that carries this CDEvent.
    pub(crate) fn attributes(&self) -> Result<Event, CdEventError> {
        let Context { id, source, ty, timestamp, .. } = &self.context;
        attributes(id, source, ty, &self.subject.id, *timestamp)
    }

    /// The CDEvent that a CloudEvent carries; where the two may differ, the CDEvent counts.
    ///
    /// # Errors
    /// The data is no CDEvent, or an attribute contradicts it; the attribute is named.
    pub fn from_cloudevent(event: &'a Event) -> Result<Self, CdEventError> {
        let data = match event.data() {
            Some(Data::Binary(bytes)) => Some(bytes.as_slice()),
            Some(Data::String(text)) => Some(text.as_bytes()),
            Some(Data::Json(_)) => {
                return Err(CdEventError::Binding(Violation::new("data", "must be JSON text, not a parsed value")));
            }
            None => None,
        };
        let carrier = Carrier { ty: event.ty(), source: event.source(), subject: event.subject() };
        carrier.carries(Self::parse(json(event.datacontenttype(), data)?)?)
    }

    /// As [`Self::from_cloudevent`], out of an event that lies in its message.
    ///
    /// # Errors
    /// As there.
    pub fn of(event: &'a CloudEvent<'_>) -> Result<Self, CdEventError> {
        Carrier::of(event).carries(Self::parse(json(event.datacontenttype.as_deref(), event.data.as_deref())?)?)
    }

    /// As [`Self::of`], where the event asks for a build: that build, read and checked in the same pass, and its own words. The event
    /// is without its custom data then.
    ///
    /// `None` where there is anything wrong or unusual: [`Self::of`] and [`BuildSpec::parse`](crate::BuildSpec::parse) say what.
    #[must_use]
    pub fn asking(event: &'a CloudEvent<'_>) -> Option<(Self, (BuildView<'a>, &'a str))> {
        let data = json(event.datacontenttype.as_deref(), event.data.as_deref()).ok()?;
        let asking = one_pass::asking(data)?;
        Carrier::of(event).agree(&asking.0).ok()?;
        Some(asking)
    }
}

/// The attributes in which a CloudEvent and the CDEvent that it carries must agree.
struct Carrier<'a> {
    ty: &'a str,
    source: &'a str,
    subject: Option<&'a str>,
}

impl<'a> Carrier<'a> {
    fn of(event: &'a CloudEvent<'_>) -> Self {
        Self { ty: &event.ty, source: &event.source, subject: event.subject.as_deref() }
    }

    fn carries<'e>(&self, event: CdEvent<'e>) -> Result<CdEvent<'e>, CdEventError> {
        self.agree(&event)?;
        Ok(event)
    }

    fn agree(&self, event: &CdEvent<'_>) -> Result<(), CdEventError> {
        agree("type", self.ty, "context.type", &event.context.ty)?;
        agree("source", self.source, "context.source", &event.context.source)?;
        agree("subject", self.subject.unwrap_or(&event.subject.id), "subject.id", &event.subject.id)
    }
}

/// The data, if they are JSON.
fn json<'a>(datacontenttype: Option<&str>, data: Option<&'a [u8]>) -> Result<&'a [u8], CdEventError> {
    if !syntax::is_json(datacontenttype) {
        return Err(CdEventError::Binding(Violation::new("datacontenttype", "must be application/json for a CDEvent")));
    }
    Ok(data.ok_or_else(|| Violation::new("data", rule::REQUIRED))?)
}

/// The attributes of a CloudEvent that carries a CDEvent.
pub(crate) fn attributes(id: &str, source: &str, ty: &str, subject: &str, at: Timestamp) -> Result<Event, CdEventError> {
    if source.is_empty() {
        return Err(CdEventError::Binding(Violation::new("source", rule::NOT_EMPTY)));
    }
    let builder = EventBuilderV10::new().id(id).source(source).ty(ty).subject(subject);
    let mut event = builder.build().map_err(|_| CdEventError::Binding(Violation::new("time", rule::TIMESTAMP)))?;
    event.set_time(Some(SystemTime::from(at)));
    event.set_datacontenttype(Some("application/json"));
    validate_cloudevent(&event).map_err(CdEventError::Binding)?;
    Ok(event)
}

fn agree(attribute: &str, is: &str, field: &str, should_be: &str) -> Result<(), CdEventError> {
    if is == should_be {
        return Ok(());
    }
    let rule = format!("must be the CDEvent's {field} (`{}`), but is `{}`", excerpt(should_be), excerpt(is));
    Err(CdEventError::Binding(Violation::new(attribute, rule)))
}
