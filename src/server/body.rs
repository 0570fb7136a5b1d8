//! Wraps response bodies. A body that has already ended, which is that of a
//! response with a status alone, is not wrapped: hyper drops it at once.
//!
//! Decision: docs/decisions/0007-permit-until-read.md.

use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::stream::try_unfold;
use http::HeaderMap;
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt, StreamBody};

use super::connection::executor;
use super::limits::MAX_DATA_FRAME;
use crate::deadline::Drain;
use crate::error::{Error, Failure};

/// A body that holds `guard` until hyper drops it, which is when its last frame
/// was sent, or when the caller is gone.
pub(super) fn guarded<B>(body: B, guard: impl Send + 'static) -> Body
where
    B: http_body::Body<Data = Bytes, Error = axum::Error> + Send + 'static,
{
    Body::new(body.inspect_frame(move |_| {
        let _ = &guard;
    }))
}

/// A guarded body that is handed to hyper in frames of at most
/// [`MAX_DATA_FRAME`] bytes.
///
/// hyper takes a frame of any size, and the end of the body after it, into its
/// own memory before the caller reads any of it, and drops the body. A caller
/// that does not read would leave its responses there while the guard (its
/// permit and its memory lease) is already released. hyper asks for the next
/// frame only when the one before could be sent.
pub(super) fn chunked(body: Body, guard: impl Send + 'static) -> Body {
    if body.is_end_stream() {
        return body;
    }
    let frames = try_unfold((body, Bytes::new()), async |(mut body, mut rest)| {
        if rest.is_empty() {
            match body.frame().await.transpose()?.map(Frame::into_data) {
                Some(Ok(data)) => rest = data,
                Some(Err(trailers)) => return Ok(Some((trailers, (body, rest)))),
                None => return Ok(None),
            }
        }
        let len = rest.len().min(MAX_DATA_FRAME);
        let frame = Frame::data(rest.split_to(len));
        Ok(Some((frame, (body, rest))))
    });
    guarded(StreamBody::new(frames), guard)
}

/// A guarded body that ends when its connection or the gateway drains. Health
/// watches and reflection streams would last as long as their clients otherwise.
/// Frames that are ready, for example the final `NOT_SERVING`, are sent first.
///
/// Unlike a bulk stream, a watch does not keep its connection open: it needs no
/// token and no permit, so clients could keep any number of idle connections
/// open, each with the memory of its peak. A client that opens its watch again
/// also gains: it then watches the replica that serves its calls.
pub(super) fn until_drained(body: Body, gateway: Drain, guard: impl Send + 'static) -> Body {
    if body.is_end_stream() {
        return body;
    }
    let connection = executor::connection_drain();
    let end = Box::pin(async move {
        tokio::select! {
            biased;
            _ = gateway.begun() => Error::ShuttingDown,
            _ = connection.begun() => Error::ConnectionDraining,
        }
    });
    let frames = try_unfold(Some((body, end)), async |state| {
        let Some((mut body, mut end)) = state else {
            return Ok(None);
        };
        tokio::select! {
            biased;
            frame = body.frame() => {
                let frame = frame.transpose()?;
                Ok(frame.map(|frame| (frame, Some((body, end)))))
            }
            error = &mut end => Ok(Some((Frame::trailers(trailers(error)), None))),
        }
    });
    guarded(StreamBody::new(frames), guard)
}

/// The final status of a stream that ends with this error.
fn trailers(error: Error) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    let status = Failure::from(error).into_status(Duration::ZERO);
    // Cannot fail: the gateway's own statuses fit into headers.
    let _ = status.add_header(&mut trailers);
    trailers
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream::{self, StreamExt};
    use tokio::time::Instant;

    use super::*;

    #[tokio::test]
    async fn ready_frames_are_sent_before_the_end() {
        let drain = Drain::default();
        let ready = stream::iter(["one", "two"]).map(Ok::<_, Infallible>);
        let answer = Body::from_stream(ready.chain(stream::pending()));
        let answer = until_drained(answer, drain.clone(), ());
        drain.begin(Instant::now());
        let answer = answer.collect().await.unwrap();
        let trailers = answer.trailers().cloned().unwrap();
        assert_eq!(trailers["grpc-status"], "14");
        assert_eq!(answer.to_bytes(), "onetwo");
    }
}
