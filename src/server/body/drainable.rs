//! Streams without an end of their own, ended with their connection or with
//! the gateway.

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

/// Gives why the stream ends, when it does.
type End = Pin<Box<dyn Future<Output = Cause> + Send>>;

/// Why a stream without an end of its own ends.
#[derive(Debug, Clone, Copy)]
enum Cause {
    /// Its connection has reached its age, or makes room.
    Connection,
    /// The gateway shuts down.
    Gateway,
}

/// Ends the answer when its connection or the gateway drains: watches of health
/// and streams of reflection would last as long as their clients. What is
/// ready to be sent before, such as `NOT_SERVING`, is still sent.
///
/// A watch does not make its connection last, as a stream of ids does: it needs
/// no token and no permit, so that idle connections, each with what its busiest
/// moment took, could be kept for ever; and where it is opened again, it is of a
/// replica that gets the client's calls too.
pub(in crate::server) async fn with_drain(
    State(drain): State<Drain>,
    request: Request,
    next: Next,
) -> Response {
    let answer = next.run(request).await;
    if http_body::Body::is_end_stream(answer.body()) {
        return answer;
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
    answer.map(|answer| {
        Body::new(DrainableBody {
            answer,
            end: end.fuse(),
            cause: None,
            is_over: false,
        })
    })
}

struct DrainableBody {
    answer: Body,
    end: Fuse<End>,
    /// Why it ends, once it is to.
    cause: Option<Cause>,
    /// Whether the end was told.
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
        // Noticed once, and true from then on.
        if let Poll::Ready(cause) = Pin::new(&mut self.end).poll(context) {
            self.cause = Some(cause);
        }
        match (Pin::new(&mut self.answer).poll_frame(context), self.cause) {
            (Poll::Pending, Some(cause)) => {
                self.is_over = true;
                Poll::Ready(Some(Ok(Frame::trailers(shutdown_trailers(cause)))))
            }
            (frame, _) => frame,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_over || self.answer.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.answer.size_hint()
    }
}

/// The status of a stream that ends for this cause.
fn shutdown_trailers(cause: Cause) -> HeaderMap {
    let error = match cause {
        Cause::Connection => Error::ConnectionDraining,
        Cause::Gateway => Error::ShuttingDown,
    };
    let mut trailers = HeaderMap::new();
    let status = Failure::from(error).into_status(std::time::Duration::ZERO);
    // A status of ours is one that headers can hold.
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
    async fn what_is_there_to_be_told_is_told_before_the_end() {
        let drain = Drain::default();
        let answer = async || {
            let told = stream::iter(["one", "two"]).map(Ok::<_, Infallible>);
            Body::from_stream(told.chain(stream::pending()))
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
