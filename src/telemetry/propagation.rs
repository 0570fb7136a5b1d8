//! Propagates traces from callers and to the vendor: W3C Trace Context.

use http::{HeaderMap, HeaderValue};
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{SpanContext, TraceContextExt, TraceFlags};
use opentelemetry_sdk::propagation::TraceContextPropagator;

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// The longest `tracestate` of a caller that is kept, in bytes: the least that
/// W3C Trace Context demands. Each span carries it, and collectors reject a batch
/// of spans with many long ones.
const MAX_TRACESTATE: usize = 512;

/// The length of a `traceparent` of version 00, and the least length of later
/// versions.
const TRACEPARENT_LENGTH: usize = 55;

/// The flags of W3C Trace Context, Level 2: sampled and random. The SDK knows
/// only the first.
const KNOWN_FLAGS: TraceFlags = TraceFlags::new(0b11);

/// The caller's span from the headers of a call; `None` if it is malformed.
pub(super) fn extract(headers: &HeaderMap) -> Option<Context> {
    let parent = headers.get(TRACEPARENT)?.to_str().ok()?.trim();
    let flags = flags(parent)?;
    let states: Vec<&str> = headers
        .get_all(TRACESTATE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    let is_long = states.iter().map(|state| state.len()).sum::<usize>() > MAX_TRACESTATE;
    let state = (!is_long).then(|| states.join(","));
    let received = Received { parent, state };
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &received);
    let span = context.span().span_context().clone();
    span.is_valid().then(|| {
        let (trace, id) = (span.trace_id(), span.span_id());
        let span = SpanContext::new(trace, id, flags, true, span.trace_state().clone());
        Context::new().with_remote_span_context(span)
    })
}

/// The flags of a well-formed `traceparent`.
fn flags(parent: &str) -> Option<TraceFlags> {
    let is_whole = parent.len() == TRACEPARENT_LENGTH;
    let is_later = !parent.starts_with("00") && parent.get(TRACEPARENT_LENGTH..)?.starts_with('-');
    let flags = u8::from_str_radix(parent.get(53..TRACEPARENT_LENGTH)?, 16);
    let has_form = (is_whole || is_later) && parent.as_bytes().get(52) == Some(&b'-');
    has_form.then_some(TraceFlags::new(flags.ok()?) & KNOWN_FLAGS)
}

/// The headers that propagate a span.
pub(super) fn headers(span: &SpanContext) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let parent = format!(
        "00-{}-{}-{:02x}",
        span.trace_id(),
        span.span_id(),
        span.trace_flags()
    );
    // An empty `tracestate` is left out.
    let state = Some(span.trace_state().header()).filter(|state| !state.is_empty());
    for (name, value) in [(TRACEPARENT, Some(parent)), (TRACESTATE, state)] {
        if let Some(Ok(value)) = value.map(HeaderValue::try_from) {
            headers.insert(name, value);
        }
    }
    headers
}

/// The trace context of a caller.
struct Received<'a> {
    parent: &'a str,
    state: Option<String>,
}

impl Extractor for Received<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            TRACEPARENT => Some(self.parent),
            TRACESTATE => self.state.as_deref(),
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT, TRACESTATE]
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn received(headers: &[(&'static str, &str)]) -> HeaderMap {
        let headers = headers.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            )
        });
        headers.collect()
    }

    #[test]
    fn a_trace_context_is_forwarded_unchanged() {
        let incoming = received(&[("traceparent", PARENT), ("tracestate", "a=1,b=2")]);
        let context = extract(&incoming).unwrap();
        assert_eq!(headers(context.span().span_context()), incoming);
        // Not sampled; with a random trace id; both.
        for flags in ["-00", "-02", "-03"] {
            let parent = PARENT.replace("-01", flags);
            let incoming = received(&[("traceparent", &parent)]);
            let context = extract(&incoming).unwrap();
            assert_eq!(headers(context.span().span_context()), incoming);
        }
    }

    #[test]
    fn unknown_parts_of_a_trace_context_are_dropped() {
        // Flags and a version of the future, and a state in two headers.
        let parent = PARENT.replace("00-", "01-").replace("-01", "-f5-more");
        let mut incoming = received(&[("traceparent", &parent), ("tracestate", "a=1")]);
        incoming.append("tracestate", HeaderValue::from_static("b=2"));
        let context = extract(&incoming).unwrap();
        let expected = received(&[("traceparent", PARENT), ("tracestate", "a=1,b=2")]);
        assert_eq!(headers(context.span().span_context()), expected);
    }

    #[test]
    fn a_trace_state_that_is_too_long_is_dropped_and_the_trace_continued() {
        let entry = |name: &str, length| format!("{name}={}", "x".repeat(length));
        let fits = entry("a", MAX_TRACESTATE / 2 - 2);
        for (states, is_kept) in [
            (vec![fits.clone(), entry("b", MAX_TRACESTATE / 2 - 2)], true),
            (vec![fits, entry("b", MAX_TRACESTATE / 2 - 1)], false),
        ] {
            let mut incoming = received(&[("traceparent", PARENT)]);
            for state in states {
                incoming.append("tracestate", HeaderValue::try_from(state).unwrap());
            }
            let context = extract(&incoming).unwrap();
            let span = context.span().span_context().clone();
            assert_eq!(span.trace_state().header().is_empty(), !is_kept);
        }
    }

    #[test]
    fn a_malformed_traceparent_is_ignored() {
        for malformed in [
            "",
            "00",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-1-1-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01more",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g",
        ] {
            assert!(
                extract(&received(&[("traceparent", malformed)])).is_none(),
                "{malformed}"
            );
        }
        assert!(extract(&HeaderMap::new()).is_none());
    }
}
