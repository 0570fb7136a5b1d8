//! The calls in flight, counted so that the end can wait for the last one.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http_body::{Frame, SizeHint};
use tokio::sync::watch;

/// How many calls are in flight, from their headers until their callers have
/// taken the last of their answers. A clone is the same count.
#[derive(Debug, Clone, Default)]
pub(super) struct InFlight(Arc<watch::Sender<usize>>);

impl InFlight {
    /// Waits until there is no call.
    pub(super) async fn none(&self) {
        // `self` holds the sender, so the count cannot go away.
        let _ = self.0.subscribe().wait_for(|count| *count == 0).await;
    }

    /// How many calls there are.
    pub(super) fn count(&self) -> usize {
        *self.0.borrow()
    }

    /// Waits until there is a call.
    pub(super) async fn some(&self) {
        let _ = self.0.subscribe().wait_for(|count| *count > 0).await;
    }

    fn enter(self) -> Entered {
        self.0.send_modify(|count| *count += 1);
        Entered(self)
    }
}

/// One call that is counted, until this is dropped.
struct Entered(InFlight);

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}

/// Counts each call that goes through here.
pub(super) async fn count(State(calls): State<InFlight>, request: Request, next: Next) -> Response {
    let entered = calls.enter();
    let answer = next.run(request).await;
    answer.map(|answer| {
        Body::new(Counted {
            answer,
            _entered: entered,
        })
    })
}

/// An answer that is counted until it was taken, or its caller has gone away.
struct Counted {
    answer: Body,
    _entered: Entered,
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.answer).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.answer.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.answer.size_hint()
    }
}
