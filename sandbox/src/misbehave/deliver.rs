//! Response bodies with injected faults.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::StatusCode;
use tokio::task::yield_now;
use tokio::time::sleep;

use super::{End, Plan};
use crate::reply::Reply;

/// Response extension: close the connection instead of responding.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cut;

/// Bytes that are neither JSON nor UTF-8.
const GARBAGE: &[u8] = b"\x00\xff\xfe{\x80\"\x9f]garbage\xc3\x28\x1b\x07\xf5";

const JSON: &str = "application/json";

const PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Error</title></head>\
    <body><h1>The request could not be satisfied</h1></body></html>\n";

/// An item of an endless body.
const ITEM: &str = "{\"userId\":\"00000000-0000-4000-8000-000000000001\",\"message\":\"\"},";

impl Plan {
    /// Renders the response with its injected ending.
    pub(crate) async fn deliver(&self, reply: Reply, correlation: &str) -> Response {
        let Some(end) = self.end else {
            return reply.into_response(correlation);
        };
        let bytes = reply.bytes();
        let half = Bytes::copy_from_slice(&bytes[..bytes.len() / 2]);
        let json = |body: Body| reply.render(correlation, JSON, body);
        match end {
            End::Never => std::future::pending().await,
            End::Cut => cut(),
            End::CutBody => json(cut_after(half)),
            End::HalfJson => json(Body::from(half)),
            End::Drip(pause) => json(drip(bytes, pause)),
            End::Garbage => json(Body::from(GARBAGE)),
            End::Html => reply.render(correlation, "text/html; charset=utf-8", Body::from(PAGE)),
            End::Empty | End::Redirect => reply.render(correlation, "", Body::empty()),
            End::Huge => json(endless()),
        }
    }
}

/// A response that `serve` replaces by closing the connection.
fn cut() -> Response {
    let mut response = Response::new(cut_after(Bytes::new()));
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response.extensions_mut().insert(Cut);
    response
}

/// A truncated body.
fn cut_after(start: Bytes) -> Body {
    let end = stream::once(async {
        // hyper flushes what came before when the body is pending, and drops it
        // if the body fails at once.
        yield_now().await;
        Err(io::Error::other("cut on request"))
    });
    Body::from_stream(stream::iter([Ok(start)]).chain(end))
}

/// A body sent byte by byte.
fn drip(bytes: Vec<u8>, pause: Duration) -> Body {
    Body::from_stream(stream::iter(bytes).then(move |byte| async move {
        sleep(pause).await;
        Ok::<_, Infallible>(Bytes::copy_from_slice(&[byte]))
    }))
}

/// A list without an end.
fn endless() -> Body {
    let block = Bytes::from(ITEM.repeat(500));
    let blocks = stream::iter(std::iter::repeat(block));
    let start = stream::iter([Bytes::from_static(b"[")]);
    Body::from_stream(start.chain(blocks).map(Ok::<_, Infallible>))
}
