//! A response before it is serialized.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::Value;

/// The correlation header of every response.
pub(super) const CORRELATION: HeaderName = HeaderName::from_static("inin-correlation-id");

/// A status, headers, and an optional JSON body.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Option<Value>,
}

impl Reply {
    /// 200 with a body.
    pub(super) fn ok(body: Value) -> Self {
        Self {
            status: 200,
            headers: Vec::new(),
            body: Some(body),
        }
    }

    /// 204.
    pub(super) fn no_content() -> Self {
        Self {
            status: 204,
            headers: Vec::new(),
            body: None,
        }
    }

    /// The same response with another status.
    pub(super) fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The body as bytes; empty if there is none.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.body
            .as_ref()
            .map(|body| body.to_string().into_bytes())
            .unwrap_or_default()
    }

    /// The response with this body instead of its own.
    pub(super) fn render(
        &self,
        correlation: &str,
        content_type: &'static str,
        body: Body,
    ) -> Response {
        let mut response = Response::new(body);
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        if !content_type.is_empty() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        headers.insert(
            header::CACHE_CONTROL,
            HeaderValue::from_static("no-cache, no-store, must-revalidate"),
        );
        for (name, value) in &self.headers {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        if let Ok(value) = HeaderValue::from_str(correlation) {
            headers.insert(CORRELATION, value);
        }
        response
    }

    /// The unchanged response.
    pub(super) fn into_response(self, correlation: &str) -> Response {
        let content_type = if self.body.is_some() {
            "application/json"
        } else {
            ""
        };
        self.render(correlation, content_type, Body::from(self.bytes()))
    }
}
