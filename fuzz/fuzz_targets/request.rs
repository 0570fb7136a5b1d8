//! Encodes a caller's message as a REST request: the path always keeps to the
//! template of the operation.
#![no_main]

#[macro_use]
mod operations;

use libfuzzer_sys::fuzz_target;
use presence_gateway::operation::{Operation, Segment, encode};
use prost::Message;

fn check<O: Operation + Message + Default>(message: &[u8]) {
    let Ok(request) = O::decode(message) else {
        return;
    };
    let Ok(rest) = encode(&request) else {
        return;
    };
    let url = &rest.path_and_query;
    assert!(url.parse::<http::Uri>().is_ok(), "not a URL: {url}");
    assert!(url.bytes().all(|byte| byte.is_ascii_graphic()), "{url}");
    assert!(!url.contains('#'), "it has a fragment: {url}");
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let slashes = |text: &str| text.matches('/').count();
    let template = O::SPEC.path.iter().map(|segment| match segment {
        Segment::Literal(text) => slashes(text),
        Segment::Variable(_) => 0,
    });
    assert_eq!(slashes(path), template.sum::<usize>(), "{url}");
    assert!(
        path.split('/').skip(1).all(|segment| !["", ".", ".."].contains(&segment)),
        "{url}"
    );
    // Not even for a server that decodes the slashes of an id.
    let decoded = path.replace("%2F", "/").replace("%5C", "/");
    assert!(
        decoded.split('/').all(|segment| ![".", ".."].contains(&segment)),
        "{url}"
    );
    let parameters = query.split('&').filter(|pair| !pair.is_empty());
    assert!(parameters.count() <= O::SPEC.query.len(), "{url}");
    if let Some(body) = &rest.body {
        serde_json::from_slice::<serde_json::Value>(body).expect("a JSON body");
    }
}

fuzz_target!(|data: &[u8]| {
    if let Some((choice, message)) = data.split_first() {
        with_operation!(*choice, check(message));
    }
});
