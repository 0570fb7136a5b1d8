//! Runs the HTTP/2 streams of a connection, and resets a stream whose caller does
//! not read its response in time.

use hyper::rt::Executor;
use tokio::time::sleep;

use crate::context::{StreamEnd, StreamHandle, WRITE_TIMEOUT};
use crate::deadline::Drain;
use crate::server::connection::activity::ConnectionActivity;

tokio::task_local! {
    /// The stream and the connection of the current call. hyper hands its
    /// executor a future and no request, so the outermost layer takes the handle
    /// from here; all other code takes it from the call's context.
    static STREAM: (StreamHandle, ConnectionActivity);
}

/// The drain of the current call's connection. Under another executor it never
/// begins.
pub(in crate::server) fn connection_drain() -> Drain {
    let drain = STREAM.try_with(|(_, connection)| connection.drain().clone());
    drain.unwrap_or_default()
}

/// The handle of the current call's stream. Under another executor it is
/// detached, and [`StreamHandle::drive_alongside`] fails.
pub(in crate::server) fn stream_handle() -> StreamHandle {
    let handle = STREAM.try_with(|(handle, _)| handle.clone());
    handle.unwrap_or_else(|_| StreamHandle::detached())
}

/// Runs the streams of a connection, and counts them.
#[derive(Debug, Clone)]
pub(in crate::server) struct StreamExecutor(pub ConnectionActivity);

impl<F> Executor<F> for StreamExecutor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let guard = self.0.track_stream();
        let activity = self.0.clone();
        let (handle, end) = StreamHandle::new();
        let end = async move {
            match end.await {
                Ok(StreamEnd::ResetAfter(deadline)) => {
                    deadline.expired().await;
                    sleep(WRITE_TIMEOUT).await;
                }
                Ok(StreamEnd::Driver(driver)) => {
                    let _guard = activity.long_streams().clone().enter();
                    driver.await;
                }
                // A health watch or a reflection stream: it ends when its
                // connection drains (`body.rs`).
                Err(_) => std::future::pending().await,
            }
        };
        let task = async move {
            let _guard = guard;
            tokio::select! {
                () = stream => {}
                () = end => tracing::debug!("stream ended before its caller read the response"),
            }
        };
        let stream = (handle, self.0.clone());
        #[expect(clippy::disallowed_methods, reason = "what a connection runs on")]
        tokio::spawn(STREAM.scope(stream, task));
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::time::Duration;

    use axum::Router;
    use axum::body::Body;
    use axum::routing::post;
    use futures_util::stream::{self, StreamExt};
    use http::{HeaderMap, Request};
    use hyper::client::conn::http2;
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use parking_lot::Mutex;
    use tokio::io::duplex;
    use tokio::sync::{oneshot, watch};
    use tokio::time::{Instant, pause};

    use super::*;
    use crate::deadline::DeadlinePolicy;
    use crate::server::connection::{ConnectionPolicy, opening, serve};
    use crate::server::discard::Discard;

    const TIME: Duration = Duration::from_secs(30);

    /// Calls `path` and reads only the headers of the response. Returns how long
    /// the stream lasted, and whether the connection serves a call after it.
    async fn call_without_reading(path: &str) -> (Duration, bool) {
        let deadline = DeadlinePolicy {
            default: TIME,
            max: TIME,
        };
        let (guard, dropped) = oneshot::channel::<()>();
        let guard = Arc::new(Mutex::new(Some(guard)));
        let large = move || {
            let guard = guard.lock().take();
            let chunks = stream::iter(std::iter::repeat_n("piece", 1000));
            Body::from_stream(chunks.map(move |chunk| {
                let _ = &guard;
                Ok::<_, Infallible>(chunk)
            }))
        };
        let unbound = large.clone();
        let router = Router::new()
            .route("/unbound", post(async move || unbound()))
            .route("/at-once", post(async || "answer"))
            .route(
                "/bound",
                post(async move || {
                    stream_handle().reset_after(deadline.for_call(&HeaderMap::new()));
                    large()
                }),
            );
        let (client, mut server) = duplex(1 << 16);
        let (_close, closing) = watch::channel(());
        let max_deadline = Duration::from_mins(2);
        #[expect(clippy::disallowed_methods, reason = "a server of the test")]
        tokio::spawn(async move {
            opening(&mut server).await.unwrap();
            let discard = Discard::new();
            let policy_and_activity = (
                ConnectionPolicy {
                    max_deadline,
                    discard,
                },
                ConnectionActivity::new(),
            );
            serve(server, router, policy_and_activity, closing).await;
        });
        let io = TokioIo::new(client);
        let (mut client, connection) = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(100)
            .handshake(io)
            .await
            .unwrap();
        #[expect(clippy::disallowed_methods, reason = "a client of the test")]
        tokio::spawn(connection);
        let call = |path: &str| {
            let call = Request::post(format!("http://gateway{path}"));
            call.body(Body::empty()).unwrap()
        };
        let start = Instant::now();
        let response = client.send_request(call(path)).await.unwrap();
        dropped.await.unwrap_err();
        let duration = start.elapsed();
        drop(response);
        let is_served = client.send_request(call("/at-once")).await.is_ok();
        (duration, is_served)
    }

    #[tokio::test]
    async fn a_response_that_is_not_read_is_reset_soon_after_the_deadline() {
        pause();
        let (duration, is_served) = call_without_reading("/bound").await;
        assert_eq!(duration.as_secs(), 35);
        assert!(is_served, "the reset closed the connection");
    }

    #[tokio::test]
    async fn a_stream_without_a_deadline_lasts_as_long_as_its_connection() {
        pause();
        let (duration, is_served) = call_without_reading("/unbound").await;
        assert!(duration > Duration::from_mins(5), "{duration:?}");
        assert!(!is_served);
    }
}
