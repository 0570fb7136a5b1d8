//! Traces across the network: W3C Trace Context.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, TraceContextExt};
use opentelemetry_sdk::propagation::TraceContextPropagator;

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// The most of a caller's `tracestate` that is kept, in bytes: what W3C Trace
/// Context asks for. Each span carries it, and a batch of spans with many long
/// ones is more than a collector takes.
const MAX_TRACESTATE: usize = 512;

/// The span that a call is a part of, as its headers say it. What is
/// malformed counts as none.
pub(super) fn extract(headers: &HeaderMap) -> Option<Context> {
    if !headers.contains_key(TRACEPARENT) {
        return None;
    }
    let states = headers.get_all(TRACESTATE).iter();
    let is_long = states.map(HeaderValue::len).sum::<usize>() > MAX_TRACESTATE;
    let received = Received { headers, is_long };
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &received);
    let is_valid = context.span().span_context().is_valid();
    is_valid.then_some(context)
}

/// The headers that make what they are sent with a part of a span.
pub(super) fn headers(span: &SpanContext) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let context = Context::new().with_remote_span_context(span.clone());
    TraceContextPropagator::new().inject_context(&context, &mut Sent(&mut headers));
    headers
}

struct Received<'a> {
    headers: &'a HeaderMap,
    /// Whether its `tracestate` is longer than what is kept.
    is_long: bool,
}

impl Extractor for Received<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        if key == TRACESTATE && self.is_long {
            return None;
        }
        self.headers.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.headers.keys().map(HeaderName::as_str).collect()
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        let values = self.headers.get_all(key).iter();
        let values: Vec<_> = values.filter_map(|value| value.to_str().ok()).collect();
        (!values.is_empty()).then_some(values)
    }
}

struct Sent<'a>(&'a mut HeaderMap);

impl Injector for Sent<'_> {
    fn set(&mut self, key: &str, value: String) {
        // An empty `tracestate` is none.
        if value.is_empty() {
            return;
        }
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
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
    fn a_trace_is_passed_on_as_it_came() {
        let came = received(&[("traceparent", PARENT), ("tracestate", "a=1,b=2")]);
        let context = extract(&came).unwrap();
        assert_eq!(headers(context.span().span_context()), came);
        let unsampled = PARENT.replace("-01", "-00");
        let came = received(&[("traceparent", &unsampled)]);
        let context = extract(&came).unwrap();
        assert_eq!(headers(context.span().span_context()), came);
    }

    #[test]
    fn a_state_that_is_too_long_is_left_out_and_the_trace_joined() {
        let entry = |name: &str, length| format!("{name}={}", "x".repeat(length));
        let fits = entry("a", MAX_TRACESTATE / 2 - 2);
        for (states, is_kept) in [
            (vec![fits.clone(), entry("b", MAX_TRACESTATE / 2 - 2)], true),
            (vec![fits, entry("b", MAX_TRACESTATE / 2 - 1)], false),
        ] {
            let mut came = received(&[("traceparent", PARENT)]);
            for state in states {
                came.append("tracestate", HeaderValue::try_from(state).unwrap());
            }
            let context = extract(&came).unwrap();
            let span = context.span().span_context().clone();
            assert_eq!(span.trace_state().header().is_empty(), !is_kept);
        }
    }

    #[test]
    fn what_is_no_trace_counts_as_none() {
        for malformed in [
            "",
            "00",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        ] {
            assert!(
                extract(&received(&[("traceparent", malformed)])).is_none(),
                "{malformed}"
            );
        }
        assert!(extract(&HeaderMap::new()).is_none());
    }
}
