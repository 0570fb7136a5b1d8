//! The stream of one call, which ends also where its caller does not end it.

use std::cell::RefCell;
use std::time::Duration;

use futures_util::future::BoxFuture;
use hyper::rt::Executor;
use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::deadline::Deadline;
use crate::server::connection::activity::ConnectionActivity;

/// How long after its deadline a caller may take for the rest of an answer. It
/// is for those that named no deadline of their own: one that did has given up.
pub(crate) const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// When the stream of a call ends, if its caller does not end it.
enum End {
    /// Some seconds after the call's deadline.
    After(Deadline),
    /// When what leads it has ended.
    Led(BoxFuture<'static, ()>),
}

/// What the call of a stream can reach of it.
struct Stream {
    /// Where the call says when the stream ends.
    end: RefCell<Option<oneshot::Sender<End>>>,
    /// How the connection of the stream is used.
    connection: ConnectionActivity,
}

tokio::task_local! {
    /// The stream of the call that runs.
    static STREAM: Stream;
}

/// How the connection is used on which the call comes that asks for it.
pub(in crate::server) fn connection() -> Option<ConnectionActivity> {
    STREAM.try_with(|stream| stream.connection.clone()).ok()
}

/// Ends the stream of the call that asks for it, some seconds after its
/// deadline. What is on its way then is reset, and its memory is free.
///
/// Nothing else would: an answer is polled only when its caller makes room for
/// it, so one that makes none, and keeps its connection alive, would hold the
/// call's place for as long as the connection may live.
pub(in crate::server) fn end_after(deadline: Deadline) {
    tell(End::After(deadline));
}

/// Runs `leader` beside the stream of the call that asks for it, whether or
/// not its caller makes room for the answer, and ends the stream with it. It
/// is dropped where the stream ends first.
///
/// A connection that is old lasts until such streams have ended.
pub(crate) fn led_by(leader: BoxFuture<'static, ()>) {
    tell(End::Led(leader));
}

fn tell(word: End) {
    let _ = STREAM.try_with(|stream| {
        if let Some(end) = stream.end.borrow_mut().take() {
            let _ = end.send(word);
        }
    });
}

/// Runs the streams of a connection, and counts them.
#[derive(Debug, Clone)]
pub(in crate::server) struct StreamExecutor(ConnectionActivity);

impl StreamExecutor {
    pub(in crate::server) fn new(activity: ConnectionActivity) -> Self {
        Self(activity)
    }
}

impl<F> Executor<F> for StreamExecutor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let begun = self.0.track_stream();
        let activity = self.0.clone();
        let (sender, end) = oneshot::channel::<End>();
        let is_over = async move {
            match end.await {
                Ok(End::After(deadline)) => {
                    deadline.expired().await;
                    sleep(WRITE_TIMEOUT).await;
                }
                Ok(End::Led(leader)) => {
                    let _lasts = activity.track_long_stream();
                    leader.await;
                }
                // A stream that names no end, such as a watch of health, has none:
                // its connection ends it (`farewell.rs`).
                Err(_) => std::future::pending().await,
            }
        };
        let bound = async move {
            let _begun = begun;
            tokio::select! {
                () = stream => {}
                () = is_over => tracing::debug!("a caller did not take its answer"),
            }
        };
        let stream = Stream {
            end: RefCell::new(Some(sender)),
            connection: self.0.clone(),
        };
        #[expect(clippy::disallowed_methods, reason = "what a connection runs on")]
        tokio::spawn(STREAM.scope(stream, bound));
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;

    use parking_lot::Mutex;

    use axum::Router;
    use axum::body::Body;
    use axum::routing::post;
    use futures_util::stream::{self, StreamExt};
    use http::{HeaderMap, Request};
    use hyper::client::conn::http2;
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use tokio::io::duplex;
    use tokio::sync::watch;
    use tokio::time::{Instant, pause};

    use super::*;
    use crate::deadline::DeadlinePolicy;
    use crate::server::connection::{ConnectionPolicy, preface, serve};
    use crate::server::discard::Discard;

    const TIME: Duration = Duration::from_secs(30);

    /// Calls `path`, and takes no more of the answer than its headers; gives
    /// when the stream ended, and whether another call was served after it.
    async fn untaken(path: &str) -> (Duration, bool) {
        let time = DeadlinePolicy {
            default: TIME,
            max: TIME,
        };
        let (held, is_over) = oneshot::channel::<()>();
        let held = Arc::new(Mutex::new(Some(held)));
        let large = move || {
            let held = held.lock().take();
            let pieces = stream::iter(std::iter::repeat_n("piece", 1000));
            Body::from_stream(pieces.map(move |piece| {
                let _ = &held;
                Ok::<_, Infallible>(piece)
            }))
        };
        let unbound = large.clone();
        let router = Router::new()
            .route("/unbound", post(async move || unbound()))
            .route("/at-once", post(async || "answer"))
            .route(
                "/bound",
                post(async move || {
                    end_after(time.for_call(&HeaderMap::new()));
                    large()
                }),
            );
        let (client, mut server) = duplex(1 << 16);
        let (_close, closing) = watch::channel(());
        let grace = Duration::from_mins(2);
        #[expect(clippy::disallowed_methods, reason = "a server of the test")]
        tokio::spawn(async move {
            let first = preface(&mut server).await.unwrap();
            let discard = Discard::new();
            let terms = (
                ConnectionPolicy { grace, discard },
                ConnectionActivity::new(),
            );
            serve(server, first, router, terms, closing).await;
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
        let begun = Instant::now();
        let answer = client.send_request(call(path)).await.unwrap();
        is_over.await.unwrap_err();
        let took = begun.elapsed();
        drop(answer);
        let is_served = client.send_request(call("/at-once")).await.is_ok();
        (took, is_served)
    }

    #[tokio::test]
    async fn an_answer_that_is_not_taken_is_reset_soon_after_the_deadline() {
        pause();
        let (took, is_served) = untaken("/bound").await;
        assert_eq!(took.as_secs(), 35);
        assert!(is_served, "the other calls of the connection go on");
    }

    #[tokio::test]
    async fn a_stream_without_a_deadline_lasts_as_long_as_its_connection() {
        pause();
        let (took, is_served) = untaken("/unbound").await;
        assert!(took > Duration::from_mins(5), "{took:?}");
        assert!(!is_served);
    }
}
