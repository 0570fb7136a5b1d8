//! Streams without an end of their own, ended with the gateway.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
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
            drain: Some(begun),
        })
    })
}

struct Ending {
    answer: Body,
    /// `None` once the end was told.
    drain: Option<Begun>,
}

impl http_body::Body for Ending {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(drain) = &mut self.drain else {
            return Poll::Ready(None);
        };
        let has_begun = drain.as_mut().poll(context).is_ready();
        match Pin::new(&mut self.answer).poll_frame(context) {
            Poll::Pending if has_begun => {
                self.drain = None;
                Poll::Ready(Some(Ok(Frame::trailers(farewell()))))
            }
            other => other,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.drain.is_none() || self.answer.is_end_stream()
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
