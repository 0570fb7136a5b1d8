//! Wrong bytes, slow bytes and no bytes.

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

/// Marks an answer in whose place the connection is to be closed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cut;

/// Bytes that are neither JSON nor UTF-8.
const GARBAGE: &[u8] = b"\x00\xff\xfe{\x80\"\x9f]garbage\xc3\x28\x1b\x07\xf5";

const JSON: &str = "application/json";

const PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Error</title></head>\
    <body><h1>The request could not be satisfied</h1></body></html>\n";

/// One of the items that a body without an end consists of.
const ITEM: &str = "{\"userId\":\"00000000-0000-4000-8000-000000000001\",\"message\":\"\"},";

impl Plan {
    /// The answer, ended in the way that was asked for.
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

/// An answer for `serve` to put a closed connection in the place of.
fn cut() -> Response {
    let mut response = Response::new(cut_after(Bytes::new()));
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response.extensions_mut().insert(Cut);
    response
}

/// A body that breaks off.
fn cut_after(start: Bytes) -> Body {
    let end = stream::once(async {
        // What came before is sent when the body has nothing more at the moment,
        // and would be forgotten if it broke off at once.
        yield_now().await;
        Err(io::Error::other("cut on request"))
    });
    Body::from_stream(stream::iter([Ok(start)]).chain(end))
}

/// A body of which each byte comes alone.
fn drip(bytes: Vec<u8>, pause: Duration) -> Body {
    Body::from_stream(stream::iter(bytes).then(move |byte| async move {
        sleep(pause).await;
        Ok::<_, Infallible>(Bytes::copy_from_slice(&[byte]))
    }))
}

/// A list that goes on until its reader has had enough.
fn endless() -> Body {
    let block = Bytes::from(ITEM.repeat(500));
    let blocks = stream::iter(std::iter::repeat(block));
    let start = stream::iter([Bytes::from_static(b"[")]);
    Body::from_stream(start.chain(blocks).map(Ok::<_, Infallible>))
}
