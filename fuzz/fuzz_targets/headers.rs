//! `grpc-timeout` and `Retry-After`: no value of them breaks anything.
#![no_main]

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use presence_gateway::deadline::DeadlinePolicy;
use presence_gateway::upstream::fault::Fault;

const MAX: Duration = Duration::from_secs(120);

fuzz_target!(|data: &[u8]| {
    let Ok(value) = HeaderValue::from_bytes(data) else {
        return;
    };
    let headers = |name| HeaderMap::from_iter([(HeaderName::from_static(name), value.clone())]);
    let policy = DeadlinePolicy {
        default: Duration::from_secs(30),
        max: MAX,
    };
    assert!(policy.of(&headers("grpc-timeout")).left() <= MAX);
    let fault = Fault::read(429, &headers("retry-after"), b"");
    assert!(fault.retry_after.is_none_or(|delay| delay <= Duration::from_secs(24 * 60 * 60)));
});
