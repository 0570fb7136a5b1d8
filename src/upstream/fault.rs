//! The vendor's error body, and what a refusal tells besides.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, header};
use serde_json::{Map, Value};

/// What the upstream said when it refused.
#[derive(Debug, Clone, Default)]
pub struct Fault {
    /// The HTTP status.
    pub status: u16,
    /// Whether the body is an error of the vendor's, and not of something before it.
    pub is_vendors: bool,
    /// The vendor's code, such as `not.found`.
    pub code: Option<String>,
    /// The vendor's words.
    pub message: Option<String>,
    /// The correlation id, as the body repeats it.
    pub context_id: Option<String>,
    /// The fields that the vendor found wrong, in the vendor's spelling, each
    /// with a code where there is one.
    pub fields: Vec<(String, Option<String>)>,
    /// The limit that was reached, where the vendor names it.
    pub limit: Option<Limit>,
    /// How long to wait, where the answer says.
    pub retry_after: Option<Duration>,
}

/// A limit of the vendor's.
#[derive(Debug, Clone)]
pub struct Limit {
    /// Its name, such as `token.rate.per.minute`.
    pub key: String,
    /// The name space of its name, such as `platform.api`.
    pub namespace: String,
    /// Its value.
    pub value: Option<i64>,
}

/// The keys of `messageParams` whose value is the name of a field. That the
/// vendor uses them so is an assumption.
const FIELD_PARAMS: [&str; 6] =
    ["field", "fieldName", "parameter", "parameterName", "property", "propertyName"];

/// The longest wait that is passed on: a day. More is a mistake or an attack.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

impl Fault {
    /// Reads a refusal. A body that is not the vendor's error is as good as none.
    #[must_use]
    pub fn read(status: u16, headers: &HeaderMap, body: &[u8]) -> Self {
        let retry_after = headers
            .get(header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| retry_after(value, SystemTime::now()));
        let fault = Self { status, retry_after, ..Self::default() };
        match serde_json::from_slice(body) {
            Ok(Value::Object(error)) if is_vendors(&error) => fault.with(&error),
            _ => fault,
        }
    }

    fn with(self, error: &Map<String, Value>) -> Self {
        let details = error.get("details").and_then(Value::as_array).into_iter().flatten();
        let mut fields: Vec<(String, Option<String>)> = details
            .filter_map(|detail| {
                let detail = detail.as_object()?;
                Some((text(detail, "fieldName")?, text(detail, "errorCode")))
            })
            .collect();
        let params = error.get("messageParams").and_then(Value::as_object);
        for name in params.iter().flat_map(|params| FIELD_PARAMS.map(|key| text(params, key))) {
            if let Some(name) = name.filter(|name| fields.iter().all(|(field, _)| field != name)) {
                fields.push((name, None));
            }
        }
        let limit = error.get("limit").and_then(Value::as_object).and_then(|limit| {
            Some(Limit {
                key: text(limit, "key")?,
                namespace: text(limit, "namespace").unwrap_or_default(),
                value: limit.get("value").and_then(Value::as_i64),
            })
        });
        Self {
            is_vendors: true,
            code: text(error, "code"),
            message: text(error, "message"),
            context_id: text(error, "contextId"),
            fields,
            limit,
            ..self
        }
    }
}

/// Whether an object has the marks of the vendor's `ErrorBody`. A `message`
/// alone is what any proxy says.
fn is_vendors(error: &Map<String, Value>) -> bool {
    text(error, "code").is_some()
        || text(error, "message").is_some()
            && (text(error, "contextId").is_some() || error.get("status").is_some_and(Value::is_u64))
}

fn text(object: &Map<String, Value>, key: &str) -> Option<String> {
    object.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Reads a `Retry-After`: seconds, which is what the vendor sends, or a date.
fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    let delay = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        Duration::from_secs(value.parse().unwrap_or(u64::MAX))
    } else {
        httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or_default()
    };
    Some(delay.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Fault {
        Fault::read(400, &HeaderMap::new(), body.as_bytes())
    }

    #[test]
    fn what_is_no_error_of_the_vendors_counts_as_none() {
        for body in ["", "null", "[]", "\"x\"", "<html>", "{", "{}", r#"{"message":"no route"}"#] {
            assert!(!read(body).is_vendors, "{body}");
        }
        for body in [
            r#"{"code":"not.found"}"#,
            r#"{"message":"m","status":404}"#,
            r#"{"message":"m","contextId":"c"}"#,
        ] {
            assert!(read(body).is_vendors, "{body}");
        }
    }

    #[test]
    fn a_part_of_another_shape_does_not_cost_the_rest() {
        let fault = read(
            r#"{"code":"bad.request","message":7,"details":[null,{"fieldName":"a"},3],
                "messageParams":{"field":"b","property":["x"]},"limit":[]}"#,
        );
        assert_eq!(fault.code.as_deref(), Some("bad.request"));
        assert_eq!(fault.message, None);
        assert_eq!(fault.fields, [("a".to_owned(), None), ("b".to_owned(), None)]);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Mon, 23 Nov 2026 10:00:00 GMT").unwrap();
        let read = |value| retry_after(value, now).map(|delay| delay.as_secs());
        assert_eq!(read("42"), Some(42));
        assert_eq!(read(" 0 "), Some(0));
        assert_eq!(read("Mon, 23 Nov 2026 10:01:30 GMT"), Some(90));
        assert_eq!(read("Mon, 23 Nov 2026 09:00:00 GMT"), Some(0));
        assert_eq!(read("99999999999999999999999"), Some(86_400));
        for malformed in ["", "-1", "+1", "1.5", "soon", "1s"] {
            assert_eq!(read(malformed), None, "{malformed}");
        }
    }
}
