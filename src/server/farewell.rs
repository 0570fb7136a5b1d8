//! Streams without an end of their own, ended with the gateway.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::FutureExt;
use futures_util::future::{Fuse, FusedFuture};
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use tonic::Code;

use crate::deadline::Drain;
use crate::error::{Error, Failure, Reason};

type Begun = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Ends the answer when the drain begins: watches of health and streams of
/// reflection would last as long as their clients. What is there to be told
/// before, such as that the gateway no longer serves, still is.
pub(super) async fn with_drain(
    State(drain): State<Drain>,
    request: Request,
    next: Next,
) -> Response {
    let answer = next.run(request).await;
    if http_body::Body::is_end_stream(answer.body()) {
        return answer;
    }
    let begun: Begun = Box::pin(async move {
        drain.begun().await;
    });
    answer.map(|answer| {
        Body::new(Ending {
            answer,
            drain: begun.fuse(),
            is_over: false,
        })
    })
}

struct Ending {
    answer: Body,
    drain: Fuse<Begun>,
    /// Whether the end was told.
    is_over: bool,
}

impl http_body::Body for Ending {
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
        let has_begun =
            Pin::new(&mut self.drain).poll(context).is_ready() || self.drain.is_terminated();
        match Pin::new(&mut self.answer).poll_frame(context) {
            Poll::Pending if has_begun => {
                self.is_over = true;
                Poll::Ready(Some(Ok(Frame::trailers(farewell()))))
            }
            other => other,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_over || self.answer.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.answer.size_hint()
    }
}

/// The status of a stream that ends because the gateway does.
fn farewell() -> HeaderMap {
    let error = Error::Protocol(
        Reason::ShuttingDown,
        Code::Unavailable,
        "the gateway is shutting down; open the stream again, which another replica will answer"
            .to_owned(),
    );
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
