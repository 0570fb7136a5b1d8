//! Spans as a tree of text, which a test can hold against what it expects.

use std::collections::BTreeMap;
use std::fmt::Write;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;

/// Attributes that differ from run to run, shown as their names alone.
const VARYING: [&str; 3] = ["server.port", "presence_gateway.wait.duration", "url.full"];

/// The spans below a parent, each with what is below itself. Siblings are in
/// the order of their texts.
pub fn tree(spans: &[Span], parent: &[u8]) -> String {
    let mut texts: Vec<String> = spans
        .iter()
        .filter(|span| span.parent_span_id == parent)
        .map(|span| {
            let mut text = own(span);
            for line in tree(spans, &span.span_id).lines() {
                let _ = writeln!(text, "  {line}");
            }
            text
        })
        .collect();
    texts.sort();
    texts.concat()
}

fn own(span: &Span) -> String {
    let kind = match span.kind {
        1 => "INTERNAL",
        2 => "SERVER",
        3 => "CLIENT",
        other => panic!("a span of the kind {other}"),
    };
    let status = span.status.clone().unwrap_or_default();
    let status = match status.code {
        0 => String::new(),
        2 => format!(" ERROR({})", status.message),
        other => panic!("a span with the status {other}"),
    };
    let mut text = format!("{} [{kind}]{status}\n", span.name);
    for (name, value) in attributes(&span.attributes) {
        let _ = writeln!(text, "  . {name}={value}");
    }
    for event in &span.events {
        let told: Vec<String> = attributes(&event.attributes)
            .into_iter()
            .map(|(name, value)| format!(" {name}={value}"))
            .collect();
        let _ = writeln!(text, "  ! {}{}", event.name, told.concat());
    }
    assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
    text
}

/// Attributes by name.
pub fn attributes(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let read = attributes.iter().map(|attribute| {
        let value = match attribute.value.as_ref().unwrap().value.as_ref().unwrap() {
            _ if VARYING.contains(&attribute.key.as_str()) => "*".to_owned(),
            Value::StringValue(text) => text.clone(),
            Value::IntValue(number) => number.to_string(),
            Value::DoubleValue(number) => number.to_string(),
            Value::BoolValue(truth) => truth.to_string(),
            other => panic!("an attribute with the value {other:?}"),
        };
        (attribute.key.clone(), value)
    });
    let read: BTreeMap<_, _> = read.collect();
    assert_eq!(
        read.len(),
        attributes.len(),
        "one is there twice: {attributes:?}"
    );
    read
}
