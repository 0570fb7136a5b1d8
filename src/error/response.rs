//! An error response of the upstream: its status, its body and its retry delay.

use std::collections::HashSet;
use std::iter::once;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, header};

use crate::json;
use crate::proto;
use crate::proto::v1::ErrorBody;

/// An HTTP response of the upstream that is not a success.
#[derive(Debug, Clone, Default)]
pub struct ErrorResponse {
    /// The HTTP status.
    pub status: u16,
    /// The vendor's error body; `None` if the response has none, most likely
    /// because a proxy in front of the vendor sent it.
    pub body: Option<ErrorBody>,
    /// The retry delay that the response names; never zero.
    pub retry_after: Option<Duration>,
    /// The positions, in the caller's list, of the elements that were sent
    /// upstream; empty if the whole list was sent.
    pub positions: Vec<usize>,
}

/// The keys of `messageParams` whose value is the name of a field. The vendor
/// does not document them; this is an assumption.
const FIELD_PARAMS: [&str; 6] = [
    "field",
    "fieldName",
    "parameter",
    "parameterName",
    "property",
    "propertyName",
];

/// The longest retry delay that is passed on. More than a day is a mistake or
/// an attack.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(24);

impl ErrorResponse {
    /// Parses an error response. A body that is not the vendor's error counts as
    /// none.
    #[must_use]
    pub fn parse(status: u16, headers: &HeaderMap, body: &[u8]) -> Self {
        let in_header = headers
            .get(header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| retry_after(value, SystemTime::now()));
        let mut response = Self {
            status,
            body: error_body(body),
            ..Self::default()
        };
        let in_message = || response.message().and_then(delay_in_message);
        let delay = in_header.or_else(|| (status == 429).then(in_message).flatten());
        // Zero counts as absent: the gateway's default delay is longer.
        response.retry_after = delay.filter(|delay| !delay.is_zero());
        response
    }

    /// Removes what may name elements of the request: all of the body but the code.
    pub fn remove_texts(&mut self) {
        self.positions.clear();
        self.body = self.body.take().map(|body| ErrorBody {
            code: body.code,
            status: body.status,
            ..ErrorBody::default()
        });
    }

    /// Raises the retry delay to at least `wait`.
    pub fn wait_at_least(&mut self, wait: Duration) {
        if self.retry_after.unwrap_or_default() < wait {
            self.retry_after = Some(wait);
        }
    }

    /// The vendor's error code, for example `not.found`.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        non_empty(self.body.as_ref()?.code.as_deref())
    }

    /// The vendor's error message.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        non_empty(self.body.as_ref()?.message.as_deref())
    }

    /// The fields that the vendor rejects, in its spelling, each with an error
    /// code if there is one.
    #[must_use]
    pub fn fields(&self) -> Vec<(&str, Option<&str>)> {
        let bodies = || {
            self.body
                .iter()
                .flat_map(|body| once(body).chain(&body.errors))
        };
        let details = bodies().flat_map(|body| &body.details);
        let named = details.filter_map(|detail| {
            let name = non_empty(detail.field_name.as_deref())?;
            Some((name, non_empty(detail.error_code.as_deref())))
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

/// Parses the vendor's error body. Drops parts of an unexpected type and keeps
/// the rest.
fn error_body(body: &[u8]) -> Option<ErrorBody> {
    let model = &json::models::ERROR_BODY;
    let strict = json::message(model, &mut serde_json::Deserializer::from_slice(body));
    let body = strict.ok().flatten().or_else(|| {
        let message = proto::message("genesys.presence.v1.ErrorBody");
        let mut tree = json::parse_lossy(body).ok()?;
        json::prune_mismatched(&mut tree, &message, &mut |_, _| true)
            .then(|| json::message(model, &tree).ok())?
            .flatten()
    });
    body.filter(is_vendor_error)
}

/// Whether a body is the vendor's error. Proxies send a `message` too, so a
/// `message` alone is not enough.
fn is_vendor_error(body: &ErrorBody) -> bool {
    let has = |text: &Option<String>| non_empty(text.as_deref()).is_some();
    has(&body.code) || has(&body.message) && (has(&body.context_id) || body.status.is_some())
}

fn non_empty(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

/// Parses the delay in the message that the vendor documents for a 429:
/// `Rate limit exceeded the maximum. Retry the request in [42] seconds`.
fn delay_in_message(message: &str) -> Option<Duration> {
    let (_, rest) = message.split_once("Retry the request in [")?;
    let (seconds, _) = rest.split_once("] seconds")?;
    parse_seconds(seconds)
}

/// Parses a `Retry-After`: seconds, which the vendor sends, or a date.
fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    parse_seconds(value).or_else(|| {
        let date = httpdate::parse_http_date(value).ok()?;
        let delay = date.duration_since(now).unwrap_or_default();
        Some(delay.min(MAX_RETRY_AFTER))
    })
}

/// Parses a number of seconds.
fn parse_seconds(seconds: &str) -> Option<Duration> {
    let is_number = !seconds.is_empty() && seconds.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = is_number.then(|| seconds.parse().unwrap_or(u64::MAX))?;
    Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests;
