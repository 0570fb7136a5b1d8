//! Turns an error body of the vendor into a status: it fits into clients' limits.
#![no_main]

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use presence_gateway::error::response::ErrorResponse;
use presence_gateway::error::{Error, Failure, MAX_STATUS_BYTES};
use presence_gateway::operation::Operation;
use presence_gateway::proto::v1::PutPresenceDefinitionRequest;

fuzz_target!(|data: &[u8]| {
    let Some((status, body)) = data.split_first() else {
        return;
    };
    let status = 400 + u16::from(*status) % 200;
    let headers = HeaderMap::from_iter([(
        http::header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    )]);
    let response = Box::new(ErrorResponse::parse(status, &headers, body));
    let error = Error::UpstreamStatus(PutPresenceDefinitionRequest::SPEC, response);
    let status = Failure::from(error).into_status(Duration::from_secs(1));
    let headers = status.into_http::<()>().into_parts().0.headers;
    let size = ["grpc-message", "grpc-status-details-bin"]
        .iter()
        .filter_map(|name| headers.get(*name))
        .map(HeaderValue::len)
        .sum::<usize>();
    assert!(size <= MAX_STATUS_BYTES, "{size} bytes");
});
