//! The body of a request, and its JSON.

use axum::body::Body;
use http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use serde_json::Value;

use super::api_error::ApiError;

/// The vendor's `request.bytes.max`.
const MAX_BYTES: usize = 512_000;

/// How much of an oversized body is read, so that its sender gets the response.
const MAX_DRAINED: usize = 8 * 1024 * 1024;

/// A received body.
#[derive(Debug)]
pub(super) enum Payload {
    Whole(Vec<u8>),
    TooLarge,
    /// The client disconnected, or violated HTTP.
    Broken,
}

/// Receives a body.
pub(super) async fn receive(mut body: Body) -> Payload {
    let mut bytes = Vec::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return Payload::Broken;
        };
        let Some(data) = frame.data_ref() else {
            continue;
        };
        length += data.len();
        if length > MAX_DRAINED {
            break;
        }
        if length <= MAX_BYTES {
            bytes.extend_from_slice(data);
        }
    }
    if length > MAX_BYTES {
        Payload::TooLarge
    } else {
        Payload::Whole(bytes)
    }
}

impl Payload {
    /// Parses the JSON body of an operation.
    pub(super) fn json(&self, headers: &HeaderMap) -> Result<Value, ApiError> {
        let bytes = self.bytes()?;
        if !is_json(headers) {
            return Err(ApiError::from_status(415));
        }
        serde_json::from_slice(bytes).map_err(|_| ApiError::from_status(400))
    }

    /// The bytes, or 413.
    pub(super) fn bytes(&self) -> Result<&[u8], ApiError> {
        match self {
            Self::Whole(bytes) => Ok(bytes),
            Self::TooLarge => Err(ApiError::from_status(413)),
            Self::Broken => Err(ApiError::from_status(400)),
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media_type = value
        .and_then(|value| value.split(';').next())
        .unwrap_or_default();
    media_type.trim().eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_type_is_json_with_any_charset() {
        for (content_type, expected) in [
            ("application/json", true),
            ("Application/JSON; charset=UTF-8", true),
            ("text/json", false),
            ("", false),
        ] {
            let pair = (header::CONTENT_TYPE, content_type.parse().unwrap());
            assert_eq!(
                is_json(&[pair].into_iter().collect()),
                expected,
                "{content_type}"
            );
        }
        assert!(!is_json(&HeaderMap::new()));
    }
}
