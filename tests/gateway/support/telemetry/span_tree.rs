//! Formats spans as a tree of text, for comparison with an expected tree.

use std::collections::BTreeMap;
use std::fmt::Write;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;

use crate::support::CORRELATION_ID;

/// Attributes that differ from run to run; their value is shown as `*`.
const VARYING: [&str; 3] = ["server.port", "presence_gateway.wait.duration", "url.full"];

/// Formats the spans below a parent, recursively. Siblings are sorted by text.
pub fn tree(spans: &[Span], parent: &[u8]) -> String {
    let mut texts: Vec<String> = spans
        .iter()
        .filter(|span| span.parent_span_id == parent)
        .map(|span| {
            let mut text = format_span(span);
            for line in tree(spans, &span.span_id).lines() {
                let _ = writeln!(text, "  {line}");
            }
            text
        })
        .collect();
    texts.sort();
    texts.concat()
}

fn format_span(span: &Span) -> String {
    let kind = match span.kind {
        1 => "INTERNAL",
        2 => "SERVER",
        3 => "CLIENT",
        other => panic!("unexpected span kind {other}"),
    };
    let status = span.status.clone().unwrap_or_default();
    let status = match status.code {
        0 => String::new(),
        2 => format!(" ERROR({})", status.message),
        other => panic!("unexpected span status {other}"),
    };
    let mut text = format!("{} [{kind}]{status}\n", span.name);
    let mut shown = attributes(&span.attributes);
    for (name, value) in checked_attributes(span) {
        let actual = shown.remove(name);
        assert_eq!(actual.as_deref(), Some(value), "{name} of {}", span.name);
    }
    for (name, value) in shown {
        let _ = writeln!(text, "  . {name}={value}");
    }
    for event in &span.events {
        let fields: Vec<String> = attributes(&event.attributes)
            .into_iter()
            .map(|(name, value)| format!(" {name}={value}"))
            .collect();
        let _ = writeln!(text, "  ! {}{}", event.name, fields.concat());
    }
    assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
    text
}

/// The attributes that every span of a kind has. They are asserted, and left
/// out of the tree.
fn checked_attributes(span: &Span) -> Vec<(&'static str, &str)> {
    match (span.kind, span.name.split_once(' ')) {
        (2, _) => vec![("rpc.method", &span.name), ("rpc.system.name", "grpc")],
        (3, Some((method, template))) => vec![
            ("http.request.method", method),
            ("network.protocol.version", "1.1"),
            ("presence_gateway.vendor.correlation_id", CORRELATION_ID),
            ("server.address", "127.0.0.1"),
            ("server.port", "*"),
            ("url.full", "*"),
            ("url.template", template),
        ],
        _ => vec![],
    }
}

/// Returns the attributes by name.
pub fn attributes(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let read = attributes.iter().map(|attribute| {
        let value = match attribute.value.as_ref().unwrap().value.as_ref().unwrap() {
            _ if VARYING.contains(&attribute.key.as_str()) => "*".to_owned(),
            Value::StringValue(text) => text.clone(),
            Value::IntValue(number) => number.to_string(),
            Value::DoubleValue(number) => number.to_string(),
            Value::BoolValue(truth) => truth.to_string(),
            other => panic!("unexpected attribute value {other:?}"),
        };
        (attribute.key.clone(), value)
    });
    let read: BTreeMap<_, _> = read.collect();
    assert_eq!(
        read.len(),
        attributes.len(),
        "duplicate attribute: {attributes:?}"
    );
    read
}
