//! What the process says of itself.

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use percent_encoding::percent_decode_str;

use super::variables::Variables;
use crate::telemetry::names;

const SERVICE_NAME: &str = "service.name";
const ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";

/// Reads what the variables say.
pub(super) fn read(variables: &mut Variables<'_>) -> Vec<KeyValue> {
    let mut attributes = variables.read(ATTRIBUTES, attributes).unwrap_or_default();
    if let Some(name) = variables.text("OTEL_SERVICE_NAME") {
        // It stands above one among the attributes.
        attributes.retain(|attribute| attribute.key.as_str() != SERVICE_NAME);
        attributes.push(KeyValue::new(SERVICE_NAME, name));
    }
    attributes
}

/// A resource with these attributes, above those that are known anyway.
pub(super) fn of(attributes: &[KeyValue]) -> Resource {
    // Its own for each process, so that replicas are told apart.
    let instance = format!("{:032x}", fastrand::u128(..));
    Resource::builder_empty()
        .with_attributes([
            KeyValue::new(SERVICE_NAME, names::SCOPE),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", instance),
            KeyValue::new("telemetry.sdk.language", "rust"),
            KeyValue::new("telemetry.sdk.name", "opentelemetry"),
        ])
        .with_attributes(attributes.iter().cloned())
        .build()
}

/// Reads a list of attributes, `key=value,key=value`, percent-encoded.
fn attributes(raw: &str) -> Result<Vec<KeyValue>, String> {
    let entries = raw
        .split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty());
    entries
        .map(|entry| {
            let read = entry.split_once('=').and_then(|(key, value)| {
                let decode = |text: &str| {
                    let text = percent_decode_str(text.trim()).decode_utf8();
                    text.ok().map(std::borrow::Cow::into_owned)
                };
                let key = decode(key).filter(|key| !key.is_empty())?;
                Some(KeyValue::new(key, decode(value)?))
            });
            read.ok_or_else(|| {
                format!(
                    "is no list such as `deployment.environment.name=production,team=presence`, \
                     because of its entry `{entry}`"
                )
            })
        })
        .collect()
}
