//! The vendor's error body, and what a refusal tells besides.

use std::collections::HashSet;
use std::iter::once;
use std::time::{Duration, SystemTime};

use crate::json;
use crate::proto;
use crate::proto::v1::{ErrorBody, Limit};
use http::{HeaderMap, header};

/// What the upstream said when it refused.
#[derive(Debug, Clone, Default)]
pub struct Fault {
    /// The HTTP status.
    pub status: u16,
    /// The vendor's error; `None` where something before the vendor answered.
    pub body: Option<ErrorBody>,
    /// How long to wait, where the answer says; never nothing.
    pub retry_after: Option<Duration>,
    /// The positions in the caller's list of the elements that the upstream
    /// was sent; none where it was sent the list itself.
    pub positions: Vec<usize>,
    /// Whether the connection had carried another request before.
    pub is_on_kept_connection: bool,
}

/// The keys of `messageParams` whose value is the name of a field. That the
/// vendor uses them so is an assumption.
const FIELD_PARAMS: [&str; 6] = [
    "field",
    "fieldName",
    "parameter",
    "parameterName",
    "property",
    "propertyName",
];

/// The longest wait that is passed on: a day. More is a mistake or an attack.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(24);

impl Fault {
    /// Reads a refusal. A body that is not the vendor's error is as good as none.
    #[must_use]
    pub fn read(status: u16, headers: &HeaderMap, body: &[u8]) -> Self {
        let named = headers
            .get(header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| retry_after(value, SystemTime::now()));
        let mut fault = Self {
            status,
            body: error_body(body),
            retry_after: None,
            positions: Vec::new(),
            is_on_kept_connection: false,
        };
        let in_words = || fault.message().and_then(retry_in_words);
        let delay = named.or_else(|| (status == 429).then(in_words).flatten());
        // None at all is no delay: the gateway's own is longer.
        fault.retry_after = delay.filter(|delay| !delay.is_zero());
        fault
    }

    /// Notes that a repetition has to wait for so long for another reason.
    pub fn wait_at_least(&mut self, wait: Duration) {
        if self.retry_after.unwrap_or_default() < wait {
            self.retry_after = Some(wait);
        }
    }

    /// The vendor's code, such as `not.found`.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.body
            .as_ref()?
            .code
            .as_deref()
            .filter(|code| !code.is_empty())
    }

    /// The vendor's words.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.body
            .as_ref()?
            .message
            .as_deref()
            .filter(|message| !message.is_empty())
    }

    /// The limit that was reached, where the vendor names it.
    #[must_use]
    pub fn limit(&self) -> Option<&Limit> {
        self.body.as_ref()?.limit.as_ref()
    }

    /// The fields that the vendor found wrong, in its spelling, each with a
    /// code where there is one.
    #[must_use]
    pub fn fields(&self) -> Vec<(&str, Option<&str>)> {
        let bodies = || {
            self.body
                .iter()
                .flat_map(|body| once(body).chain(&body.errors))
        };
        let details = bodies().flat_map(|body| &body.details);
        let named = details.filter_map(|detail| {
            let name = detail
                .field_name
                .as_deref()
                .filter(|name| !name.is_empty())?;
            Some((
                name,
                detail.error_code.as_deref().filter(|code| !code.is_empty()),
            ))
        });
        let mut fields: Vec<_> = named.collect();
        let mut seen: HashSet<&str> = fields.iter().map(|(field, _)| *field).collect();
        for params in bodies().map(|body| &body.message_params) {
            for name in FIELD_PARAMS.iter().filter_map(|key| params.get(*key)) {
                if !name.is_empty() && seen.insert(name) {
                    fields.push((name, None));
                }
            }
        }
        fields
    }
}

/// Reads the vendor's error; a part of it that is not of its type is left out,
/// so that it does not cost the rest.
fn error_body(body: &[u8]) -> Option<ErrorBody> {
    let straight = json::object(&mut serde_json::Deserializer::from_slice(body));
    let body = straight.ok().flatten().or_else(|| {
        let model = proto::pool().get_message_by_name("genesys.presence.v1.ErrorBody")?;
        let mut tree = json::parse_lossy(body).ok()?;
        json::prune_mismatched(&mut tree, &model, &mut |_| true)
            .then(|| serde_json::from_value(tree).ok())?
    });
    body.filter(is_vendors)
}

/// Whether a body has the marks of the vendor's error. A `message` alone is
/// what any proxy says.
fn is_vendors(body: &ErrorBody) -> bool {
    let is_given = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    is_given(&body.code)
        || is_given(&body.message) && (is_given(&body.context_id) || body.status.is_some())
}

/// Reads a delay in the vendor's documented words of a 429: "Rate limit
/// exceeded the maximum. Retry the request in [42] seconds".
fn retry_in_words(message: &str) -> Option<Duration> {
    let (_, rest) = message.split_once("Retry the request in [")?;
    let (seconds, _) = rest.split_once("] seconds")?;
    delay(seconds)
}

/// Reads a `Retry-After`: seconds, which is what the vendor sends, or a date.
fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    delay(value).or_else(|| {
        let date = httpdate::parse_http_date(value).ok()?;
        let delay = date.duration_since(now).unwrap_or_default();
        Some(delay.min(MAX_RETRY_AFTER))
    })
}

/// Reads a number of seconds.
fn delay(seconds: &str) -> Option<Duration> {
    let is_number = !seconds.is_empty() && seconds.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = is_number.then(|| seconds.parse().unwrap_or(u64::MAX))?;
    Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Fault {
        Fault::read(400, &HeaderMap::new(), body.as_bytes())
    }

    #[test]
    fn what_is_no_error_of_the_vendors_counts_as_none() {
        for body in [
            "",
            "null",
            "[]",
            "\"x\"",
            "<html>",
            "{",
            "{}",
            r#"{"message":"no route"}"#,
        ] {
            assert!(read(body).body.is_none(), "{body}");
        }
        for body in [
            r#"{"code":"not.found"}"#,
            r#"{"message":"m","status":404}"#,
            r#"{"message":"m","contextId":"c"}"#,
        ] {
            assert!(read(body).body.is_some(), "{body}");
        }
    }

    #[test]
    fn a_part_of_another_shape_does_not_cost_the_rest() {
        let fault = read(
            r#"{"code":"bad.request","message":7,"details":[null,{"fieldName":"a","x":1},3],
                "messageParams":{"field":"b","property":["x"]},"limit":[],"errors":[4,
                {"details":[{"fieldName":"c","errorCode":"e"}]}]}"#,
        );
        assert_eq!(fault.code(), Some("bad.request"));
        assert_eq!(fault.message(), None);
        assert_eq!(fault.limit(), None);
        assert_eq!(fault.fields(), [("a", None), ("c", Some("e")), ("b", None)]);
    }

    #[test]
    fn a_body_that_is_not_quite_json_does_not_cost_the_rest() {
        let deep = "[".repeat(10_000) + &"]".repeat(10_000);
        for odd in [
            b"\"message\":\"a\xff\"".to_vec(),
            br#""message":"\ud83d""#.to_vec(),
            br#""code":"first","x":1,"x":2"#.to_vec(),
            format!("\"unknown\":{deep}").into_bytes(),
        ] {
            let body = [
                b"\xef\xbb\xbf{",
                odd.as_slice(),
                b",\"code\":\"not.found\"}",
            ]
            .concat();
            for body in [&body[..], &body[3..]] {
                let fault = Fault::read(404, &HeaderMap::new(), body);
                if body.starts_with(b"{") || odd.len() < 10_000 {
                    let odd = String::from_utf8_lossy(&odd[..odd.len().min(20)]);
                    assert_eq!(fault.code(), Some("not.found"), "{odd}");
                }
            }
        }
    }

    #[test]
    fn many_parts_of_another_shape_are_left_out_in_one_pass() {
        // One pass for each of them would take minutes.
        let parts = |part: &str| format!("{part},").repeat(100_000) + "null";
        let params: Vec<_> = (0..20_000).map(|n| format!("\"k{n}\":1")).collect();
        let fault = read(&format!(
            r#"{{"code":"bad.request","details":[{},{}],"messageParams":{{{}}}}}"#,
            parts("3"),
            parts(r#"{"fieldName":"a"}"#),
            params.join(",")
        ));
        assert_eq!(fault.code(), Some("bad.request"));
        assert!(fault.fields().len() > 20_000);
    }

    #[test]
    fn a_429_without_the_header_is_taken_at_its_documented_word() {
        let read = |status, header: Option<&'static str>, message: &str| {
            let mut headers = HeaderMap::new();
            headers.extend(
                header.map(|value| (header::RETRY_AFTER, http::HeaderValue::from_static(value))),
            );
            let body =
                serde_json::json!({"code": "too.many.requests.retry.after", "message": message});
            let fault = Fault::read(status, &headers, body.to_string().as_bytes());
            fault.retry_after.map(|delay| delay.as_secs())
        };
        let words = "Rate limit exceeded the maximum. Retry the request in [42] seconds";
        assert_eq!(read(429, None, words), Some(42));
        assert_eq!(read(429, Some("soon"), words), Some(42));
        // The header counts where it can be read.
        assert_eq!(read(429, Some("7"), words), Some(7));
        assert_eq!(read(429, Some("0"), words), None);
        assert_eq!(read(503, None, words), None);
        let long = words.replace("42", "99999999999999999999");
        assert_eq!(read(429, None, &long), Some(86_400));
        for other in [
            words.replace("42", "0"),
            words.replace("42", "-1"),
            words.replace("42", "1.5"),
            words.replace("42", ""),
            words.replace("[42]", "42"),
            "Retry the request in [".to_owned(),
            String::new(),
        ] {
            assert_eq!(read(429, None, &other), None, "{other}");
        }
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
