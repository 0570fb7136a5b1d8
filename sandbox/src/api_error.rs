//! The vendor's error body.

use serde_json::{Map, Value, json};

use super::reply::Reply;

/// An error response in the vendor's format.
#[derive(Debug)]
pub(super) struct ApiError {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Map<String, Value>,
}

impl ApiError {
    /// An error with a status, a code and a message.
    pub(super) fn new(status: u16, code: &str, message: &str) -> Self {
        let body = [
            ("message".to_owned(), json!(message)),
            ("code".to_owned(), json!(code)),
            ("status".to_owned(), json!(status)),
            ("details".to_owned(), json!([])),
            ("errors".to_owned(), json!([])),
        ];
        Self {
            status,
            headers: Vec::new(),
            body: body.into_iter().collect(),
        }
    }

    /// The usual error of a status.
    pub(super) fn from_status(status: u16) -> Self {
        let (code, message) = words(status);
        Self::new(status, code, message)
    }

    /// 401 for a token that was revoked.
    pub(super) fn bad_credentials() -> Self {
        Self::new(401, "bad.credentials", "Invalid login credentials.")
    }

    /// 400 for one wrong field or parameter.
    pub(super) fn field(code: &str, field: &str, message: &str) -> Self {
        Self::new(400, code, message).detail(code, field)
    }

    /// 400 for a value outside an enumeration.
    pub(super) fn parameter_value(name: &str, value: &str, allowed: &str) -> Self {
        let template = "Value [{value}] is not valid for parameter [{parameter}]. \
                        Allowable values are: {allowed}";
        Self::templated(
            400,
            "invalid.query.param.value",
            template,
            // The caller's value is substituted last, because it may look like a placeholder.
            &[("parameter", name), ("allowed", allowed), ("value", value)],
        )
        .detail("invalid.query.param.value", name)
    }

    /// 404 for a missing entity.
    pub(super) fn not_found(entity: &str, id: &str) -> Self {
        let mut api_error = Self::from_status(404);
        api_error.body.insert("entityName".into(), json!(entity));
        api_error.body.insert("entityId".into(), json!(id));
        api_error
    }

    /// What it says.
    pub(super) fn message(&self) -> &str {
        let message = self.body.get("message").and_then(Value::as_str);
        message.unwrap_or_default()
    }

    /// Whether this is a 404.
    pub(super) fn is_not_found(&self) -> bool {
        self.status == 404
    }

    /// An error with a message template and its parameters.
    pub(super) fn templated(
        status: u16,
        code: &str,
        template: &str,
        params: &[(&str, &str)],
    ) -> Self {
        let message = params
            .iter()
            .fold(template.to_owned(), |text, (name, value)| {
                text.replace(&format!("{{{name}}}"), value)
            });
        let mut api_error = Self::new(status, code, &message);
        let params: Map<String, Value> = params
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect();
        api_error
            .body
            .insert("messageWithParams".into(), json!(template));
        api_error
            .body
            .insert("messageParams".into(), Value::Object(params));
        api_error
    }

    /// Adds the detail of one field.
    pub(super) fn detail(mut self, code: &str, field: &str) -> Self {
        if let Some(Value::Array(details)) = self.body.get_mut("details") {
            details.push(json!({"errorCode": code, "fieldName": field}));
        }
        self
    }

    /// Names the entity of the last detail.
    pub(super) fn about(mut self, entity: &str, id: &str) -> Self {
        let last = self
            .body
            .get_mut("details")
            .and_then(Value::as_array_mut)
            .and_then(|d| d.last_mut());
        if let Some(detail) = last {
            detail["entityName"] = json!(entity);
            detail["entityId"] = json!(id);
        }
        self
    }

    /// Adds a header.
    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Replaces the code.
    pub(super) fn code(mut self, code: &str) -> Self {
        self.body.insert("code".into(), json!(code));
        self
    }

    /// The response; its context id is the correlation id.
    pub(super) fn into_reply(mut self, correlation: &str) -> Reply {
        self.body.insert("contextId".into(), json!(correlation));
        Reply {
            status: self.status,
            headers: self.headers,
            body: Some(Value::Object(self.body)),
        }
    }
}

/// The documented code and message of each status, or of the nearest one.
fn words(status: u16) -> (&'static str, &'static str) {
    match status {
        401 => (
            "authentication.required",
            "No authentication bearer token specified in authorization header.",
        ),
        403 => (
            "not.authorized",
            "You are not authorized to perform the requested action.",
        ),
        404 => ("not.found", "The requested resource was not found."),
        405 => (
            "method.not.allowed",
            "The requested method is not allowed for this resource.",
        ),
        408 => (
            "client.timeout",
            "The client did not produce a request within the server timeout limit. This can be caused by a slow network connection and/or large payloads.",
        ),
        409 => (
            "general.conflict",
            "The request conflicts with the current state of the target resource.",
        ),
        413 => (
            "request.entity.too.large",
            "The request is over the size limit. Maximum bytes: 512000",
        ),
        415 => (
            "unsupported.media.type",
            "Unsupported Media Type - Unsupported or incorrect media type, such as an incorrect Content-Type value in the header.",
        ),
        429 => (
            "too.many.requests.retry.after",
            "Rate limit exceeded the maximum.",
        ),
        501 => (
            "not.implemented",
            "The server does not support the requested operation.",
        ),
        502 => (
            "bad.gateway",
            "The server received an invalid answer from another server.",
        ),
        503 => (
            "service.unavailable",
            "Service Unavailable - The server is currently unavailable (because it is overloaded or down for maintenance).",
        ),
        504 => ("request.timeout", "The request timed out."),
        500.. => (
            "internal.server.error",
            "The server encountered an unexpected condition which prevented it from fulfilling the request.",
        ),
        _ => (
            "bad.request",
            "The request could not be understood by the server due to malformed syntax.",
        ),
    }
}

/// 429 with the documented body.
pub(super) fn too_many_requests(seconds: u64) -> ApiError {
    let message =
        format!("Rate limit exceeded the maximum. Retry the request in [{seconds}] seconds");
    ApiError::new(429, "too.many.requests.retry.after", &message)
        .header("retry-after", seconds.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_429_has_the_documented_body() {
        let reply = too_many_requests(42).into_reply("the-context");
        assert_eq!(
            reply.body.unwrap(),
            json!({
                "message": "Rate limit exceeded the maximum. Retry the request in [42] seconds",
                "code": "too.many.requests.retry.after",
                "status": 429,
                "contextId": "the-context",
                "details": [],
                "errors": [],
            })
        );
        assert_eq!(reply.headers, [("retry-after", "42".to_owned())]);
    }

    #[test]
    fn a_templated_message_includes_its_parameters() {
        let reply = ApiError::parameter_value("deleted", "maybe", "TRUE, FALSE").into_reply("c");
        let body = reply.body.unwrap();
        assert_eq!(
            body["message"],
            "Value [maybe] is not valid for parameter [deleted]. Allowable values are: TRUE, FALSE"
        );
        assert_eq!(body["messageParams"]["value"], "maybe");
        assert_eq!(body["details"][0]["fieldName"], "deleted");
    }
}
