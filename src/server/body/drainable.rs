//! Ends streams that have no end of their own when their connection or the
//! gateway drains.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::FutureExt;
use futures_util::future::Fuse;
use http::HeaderMap;
use http_body::{Frame, SizeHint};

use crate::deadline::Drain;
use crate::error::{Error, Failure};
use crate::server::connection::executor as stream;

/// Resolves to the cause when the stream is to end.
type End = Pin<Box<dyn Future<Output = Cause> + Send>>;

/// Why a stream without an end of its own ends.
#[derive(Debug, Clone, Copy)]
enum Cause {
    /// The connection is old, or another one needs its place.
    Connection,
    /// The gateway shuts down.
    Gateway,
}

/// Ends the response when its connection or the gateway drains: health watches
/// and reflection streams would last as long as their clients. Frames that are
/// ready, for example the final `NOT_SERVING`, are sent first.
///
/// A watch does not keep its connection open, as a bulk stream does: it needs no
/// token and no permit, so that clients could keep idle connections without
/// limit, each with the memory of its peak. A watch that is opened again is
/// better off, too: it watches a replica that gets the client's calls.
pub(in crate::server) async fn with_drain(
    State(drain): State<Drain>,
    request: Request,
    next: Next,
) -> Response {
    let response = next.run(request).await;
    if http_body::Body::is_end_stream(response.body()) {
        return response;
    }
    let connection = stream::connection();
    let end: End = Box::pin(async move {
        let connection_drains = async {
            match connection {
                Some(connection) => connection.draining().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            _ = drain.begun() => Cause::Gateway,
            () = connection_drains => Cause::Connection,
        }
    });
    response.map(|inner| {
        Body::new(DrainableBody {
            inner,
            end: end.fuse(),
            cause: None,
            is_over: false,
        })
    })
}

struct DrainableBody {
    inner: Body,
    end: Fuse<End>,
    /// Set once the stream is to end.
    cause: Option<Cause>,
    /// Whether the trailers were sent.
    is_over: bool,
}

impl http_body::Body for DrainableBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        // `Fuse` is ready only once.
        if let Poll::Ready(cause) = Pin::new(&mut self.end).poll(context) {
            self.cause = Some(cause);
        }
        match (Pin::new(&mut self.inner).poll_frame(context), self.cause) {
            (Poll::Pending, Some(cause)) => {
                self.is_over = true;
                Poll::Ready(Some(Ok(Frame::trailers(shutdown_trailers(cause)))))
            }
            (frame, _) => frame,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_over || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The final status of a stream that ends for this cause.
fn shutdown_trailers(cause: Cause) -> HeaderMap {
    let error = match cause {
        Cause::Connection => Error::ConnectionDraining,
        Cause::Gateway => Error::ShuttingDown,
    };
    let mut trailers = HeaderMap::new();
    let status = Failure::from(error).into_status(std::time::Duration::ZERO);
    // Cannot fail: the gateway's own statuses fit into headers.
    let _ = status.add_header(&mut trailers);
    trailers
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::Router;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use futures_util::stream::{self, StreamExt};
    use http_body_util::BodyExt;
    use tokio::time::Instant;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn frames_that_are_ready_are_sent_before_the_end() {
        let drain = Drain::default();
        let answer = async || {
            let ready = stream::iter(["one", "two"]).map(Ok::<_, Infallible>);
            Body::from_stream(ready.chain(stream::pending()))
        };
        let router = Router::new()
            .route("/", get(answer))
            .layer(from_fn_with_state(drain.clone(), with_drain));
        let call = Request::new(Body::empty());
        let answer = router.oneshot(call).await.unwrap().into_body();
        drain.begin(Instant::now());
        let answer = answer.collect().await.unwrap();
        let trailers = answer.trailers().cloned().unwrap();
        assert_eq!(trailers["grpc-status"], "14");
        assert_eq!(answer.to_bytes(), "onetwo");
    }
}
