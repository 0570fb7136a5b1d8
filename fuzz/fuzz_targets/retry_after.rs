//! Parses `Retry-After`: no value delays a retry by more than a day.
#![no_main]

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use presence_gateway::error::response::ErrorResponse;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fuzz_target!(|data: &[u8]| {
    let Ok(value) = HeaderValue::from_bytes(data) else {
        return;
    };
    let headers = HeaderMap::from_iter([(RETRY_AFTER, value)]);
    let response = ErrorResponse::parse(429, &headers, b"");
    assert!(response.retry_after.is_none_or(|delay| delay <= DAY));
});
