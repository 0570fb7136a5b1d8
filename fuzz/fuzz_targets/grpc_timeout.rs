//! Parses `grpc-timeout`: no value gives a call more than the longest deadline.
#![no_main]

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use presence_gateway::deadline::DeadlinePolicy;

const POLICY: DeadlinePolicy = DeadlinePolicy {
    default: Duration::from_secs(30),
    max: Duration::from_secs(120),
};

fuzz_target!(|data: &[u8]| {
    let Ok(value) = HeaderValue::from_bytes(data) else {
        return;
    };
    let name = HeaderName::from_static("grpc-timeout");
    let headers = HeaderMap::from_iter([(name, value)]);
    assert!(POLICY.for_call(&headers).remaining() <= POLICY.max);
});
