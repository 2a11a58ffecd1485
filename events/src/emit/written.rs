//! A routed build's CDEvent, written by hand: it is the one event that a fleet waits for by the thousand.
//!
//! The bytes are those that [`super::BuildRouted`] has by its `Serialize`, inside [`super::envelope`]; a test holds them equal.

use bytes::{Bytes, BytesMut};
use serde_json::value::RawValue;

use super::{BuildRouted, RoutedView, SOURCE};
use crate::{Limits, RequestView, SPECVERSION, writer::Writer};

pub(super) fn routed(id: &str, routed: &RoutedView<'_>, text: &mut BytesMut) -> Bytes {
    let RoutedView { build, attempt, executor, request, tenant, spec, limits, at, why } = routed;
    let at = at.to_string();
    let mut json = Writer::new(text, 1536 + spec.0.len() + request.content.get().len());
    json.plain("{\"context\":{\"specversion\":\"").plain(SPECVERSION);
    json.plain("\",\"id\":").quoted(id);
    json.plain(",\"source\":").quoted(SOURCE);
    json.plain(",\"type\":").quoted(BuildRouted::TYPE);
    json.plain(",\"timestamp\":").quoted(&at);
    json.plain(",\"chainId\":").quoted(&request.chain_id);
    json.plain(",\"links\":[{\"linkType\":\"PATH\",\"from\":{\"contextId\":").quoted(&request.id);
    json.plain("}}]},\"subject\":{\"id\":").quoted(build.as_str());
    json.plain(",\"content\":{}},\"customData\":{\"build\":").quoted(build.as_str());
    json.plain(",\"attempt\":").number((*attempt).into());
    json.plain(",\"executor\":").quoted(executor);
    write_request(&mut json, request);
    json.plain(",\"tenant\":").quoted(tenant);
    json.plain(",\"spec\":").plain(spec.0);
    write_limits(&mut json, limits);
    json.plain(",\"at\":").quoted(&at);
    json.plain(",\"why\":{\"rule\":").quoted(&why.rule);
    json.plain(",\"revision\":").quoted(&why.revision);
    json.plain(",\"eligible\":[");
    for (n, name) in why.eligible.iter().enumerate() {
        json.plain(if n == 0 { "" } else { "," }).quoted(name);
    }
    json.plain("],\"excluded\":[");
    for (n, (name, against)) in why.excluded.iter().enumerate() {
        json.plain(if n == 0 { "[" } else { ",[" }).quoted(name).plain(",").quoted(against).plain("]");
    }
    json.plain("]}}}");
    text.split().freeze()
}

fn write_request(json: &mut Writer<'_>, request: &RequestView<'_>) {
    let RequestView { id, source, r#type, subject, subject_source, stream, sequence, chain_id, content, trace } = request;
    json.plain(",\"request\":{\"id\":").quoted(id);
    json.plain(",\"source\":").quoted(source);
    json.plain(",\"type\":").quoted(r#type);
    json.plain(",\"subject\":").quoted(subject);
    if let Some(subject_source) = subject_source {
        json.plain(",\"subjectSource\":").quoted(subject_source);
    }
    json.plain(",\"stream\":").quoted(stream);
    json.plain(",\"sequence\":").number(*sequence);
    json.plain(",\"chainId\":").quoted(chain_id);
    json.plain(",\"content\":").plain(RawValue::get(content));
    json.plain(",\"trace\":").quoted(trace).plain("}");
}

fn write_limits(json: &mut Writer<'_>, limits: &Limits) {
    let Limits { queued, reroute_after, pending, running, running_max, teardown, grace, linger } = *limits;
    json.plain(",\"limits\":{\"queued\":").limit(queued);
    if let Some(reroute_after) = reroute_after {
        json.plain(",\"reroute_after\":").limit(reroute_after);
    }
    json.plain(",\"pending\":").limit(pending);
    json.plain(",\"running\":").limit(running);
    json.plain(",\"running_max\":").limit(running_max);
    json.plain(",\"teardown\":").limit(teardown);
    json.plain(",\"grace\":").limit(grace);
    json.plain(",\"linger\":").limit(linger).plain("}");
}

#[cfg(test)]
mod tests {
    use std::{borrow::Cow, collections::BTreeMap};

    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::{BuildKey, CloudEvent, TimeLimit, WhyOf, Words, encode, message_id};

    /// Texts with everything that JSON escapes.
    fn text() -> impl Strategy<Value = Cow<'static, str>> {
        prop_oneof![Just("plain-1".to_owned()), "[\\x00-\\x7f]{0,40}", ".{0,12}"].prop_map(Cow::Owned)
    }

    fn limit() -> impl Strategy<Value = TimeLimit> {
        prop_oneof![Just(0), 0u64..100_000_000_000].prop_map(|ms| format!("{ms}ms").parse().unwrap_or(TimeLimit::ZERO))
    }

    fn limits() -> impl Strategy<Value = Limits> {
        (proptest::array::uniform7(limit()), proptest::option::of(limit())).prop_map(
            |([queued, pending, running, running_max, teardown, grace, linger], reroute_after)| Limits {
                queued,
                reroute_after,
                pending,
                running,
                running_max,
                teardown,
                grace,
                linger,
            },
        )
    }

    fn request() -> impl Strategy<Value = RequestView<'static>> {
        let texts = proptest::array::uniform6(text());
        (texts, proptest::option::of(text()), any::<u64>()).prop_map(
            |([id, source, r#type, subject, stream, chain_id], subject_source, sequence)| RequestView {
                id,
                source,
                r#type,
                subject,
                subject_source,
                stream,
                sequence,
                chain_id,
                content: Cow::Owned(RawValue::from_string(r#"{"uri": 1.10}"#.to_owned()).unwrap()),
                trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
            },
        )
    }

    fn why() -> impl Strategy<Value = WhyOf<Cow<'static, str>>> {
        let list = |most| proptest::collection::vec(text(), 0..most);
        let pairs = proptest::collection::vec((text(), text()), 0..3);
        (text(), text(), list(3), pairs).prop_map(|(rule, revision, eligible, excluded)| WhyOf {
            rule,
            revision,
            eligible,
            excluded,
        })
    }

    proptest! {
        #[test]
        fn it_is_written_as_it_is_serialized(
            request in request(), limits in limits(), why in why(), executor in text(), tenant in text(), attempt in 1u32..200,
        ) {
            let spec = Words(r#"{"image":"a",  "cpu":2}"#);
            let build = BuildKey::of("a", "b", "c");
            let at = Timestamp::from_millisecond(1_796_000_000_123).unwrap();
            let routed = RoutedView { build, attempt, executor, request, tenant, spec, limits, at, why };
            let outgoing = routed.outgoing().unwrap();
            let answer = routed.answer(&mut BytesMut::from(&b"before"[..]).split_off(6));
            prop_assert_eq!(&answer.subject, &outgoing.subject);
            let (id, other) = (answer.message_id(), answer.clone().outgoing().unwrap());
            let published = encode(&outgoing.event).unwrap();
            let headers: BTreeMap<_, _> = answer.headers().into_iter().collect();
            let wanted = published.headers.iter().map(|(name, value)| (&**name, value.as_str().into()));
            prop_assert_eq!(String::from_utf8_lossy(&answer.data), String::from_utf8_lossy(&published.payload));
            prop_assert_eq!(&other.event, &outgoing.event);
            prop_assert_eq!(headers, wanted.collect());
            let event = CloudEvent::of(&outgoing.event);
            prop_assert_eq!(id, message_id(&event.source, &event.id, &event.ty));
        }
    }
}
