//! Serves one HTTP/2 connection, from its preface to its end.
//!
//! tonic could limit a connection's age. But 0.14.9 sends no GOAWAY if both an
//! age and a grace period are set (<https://github.com/grpc/grpc-rust/pull/2877>),
//! and it does not recycle connections whose memory has grown.

pub(super) mod activity;
pub(super) mod executor;

use std::io::{self, Cursor};
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tower::ServiceExt;

use super::connection::activity::ConnectionActivity;
use super::connection::executor::StreamExecutor;
use super::discard::Discard;
use super::limits::{
    FINAL_STATUS_TIMEOUT, IDLE_DRAIN_TIMEOUT, KEEP_ALIVE_INTERVAL, KEEP_ALIVE_TIMEOUT,
    MAX_CONNECTION_AGE, MAX_ERROR_RESETS, MAX_METADATA, MAX_PENDING_RESETS, MAX_STREAMS,
};
use crate::jitter::jittered;

/// The preface of an HTTP/2 connection.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How connections are drained.
#[derive(Debug, Clone)]
pub(super) struct ConnectionPolicy {
    /// How long the calls of a connection may last after GOAWAY.
    pub max_deadline: Duration,
    /// Reads the rest of requests whose response was sent early.
    pub discard: Discard,
}

/// How a connection begins.
#[derive(Debug)]
pub(super) enum Opening {
    /// With the preface of HTTP/2, which has been read.
    Http2,
    /// With these bytes, which are another protocol.
    Other(Vec<u8>),
}

/// Reads the preface of a connection, or as much as shows that there is none.
///
/// Inside hyper, a connection that never completes its preface would hold up
/// the shutdown (<https://github.com/hyperium/hyper/issues/4170>).
pub(super) async fn opening(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Opening> {
    let mut read = Vec::with_capacity(PREFACE.len());
    while PREFACE.starts_with(&read) {
        let missing = (PREFACE.len() - read.len()) as u64;
        if missing == 0 {
            return Ok(Opening::Http2);
        }
        if (&mut *stream).take(missing).read_buf(&mut read).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(Opening::Other(read))
}

/// Serves a connection until it reaches its maximum age, GOAWAY is requested, or
/// `closing` changes; then drains it. [`opening`] has read its preface.
pub(super) async fn serve<S>(
    stream: S,
    router: Router,
    (policy, activity): (ConnectionPolicy, ConnectionActivity),
    mut closing: watch::Receiver<()>,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let discard = policy.discard.for_connection();
    let service = router
        .map_request(move |call: Request<Incoming>| call.map(|message| discard.wrap(message)));
    let (reader, writer) = tokio::io::split(stream);
    let stream = tokio::io::join(Cursor::new(PREFACE).chain(reader), writer);
    let connection = http2::Builder::new(StreamExecutor(activity.clone()))
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_METADATA)
        .max_concurrent_streams(MAX_STREAMS)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_ERROR_RESETS)
        .keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let mut connection = pin!(connection);
    let is_closing = tokio::select! {
        ended = &mut connection => return log_end(ended),
        _ = closing.changed() => true,
        () = activity.goaway_requested() => false,
        () = sleep(jittered(MAX_CONNECTION_AGE)) => false,
    };
    // GOAWAY: clients make new calls elsewhere, and calls in flight go on.
    connection.as_mut().graceful_shutdown();
    if is_closing {
        // The listener drops this future when the drain times out.
        return log_end(connection.await);
    }
    let grace = timeout(IDLE_DRAIN_TIMEOUT, &mut connection).await;
    // A call may have been sent before GOAWAY arrived.
    if grace.is_err() && activity.has_calls() {
        let expired = async {
            sleep(policy.max_deadline).await;
            activity.drain().begin(Instant::now());
            // Long streams are not cut off: their drivers have deadlines of their
            // own, and end even if the caller does nothing.
            activity.long_streams().wait_idle().await;
            sleep(FINAL_STATUS_TIMEOUT).await;
        };
        tokio::select! {
            ended = connection => return log_end(ended),
            () = expired => {}
        }
    }
    grace.map_or_else(
        |_| tracing::debug!("connection still open after GOAWAY and its grace period; closing it"),
        log_end,
    );
}

fn log_end(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended with an error");
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::body::Body;
    use axum::routing::post;
    use bytes::Bytes;
    use futures_util::stream;
    use http::Request;
    use http_body_util::BodyExt;
    use hyper::client::conn::http2::{SendRequest, handshake};
    use hyper_util::rt::TokioExecutor;
    use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
    use tokio::task::JoinHandle;
    use tokio::time::pause;

    use super::*;
    use crate::server::connection::executor::stream_handle;

    const MAX_DEADLINE: Duration = Duration::from_mins(2);

    /// Serves one side of a pipe. Each path names how long its call takes.
    fn spawn() -> (DuplexStream, watch::Sender<()>, JoinHandle<()>) {
        let six_minutes = async || {
            sleep(Duration::from_mins(6)).await;
            "answer"
        };
        let half_an_hour = async || {
            let driver = Box::pin(sleep(Duration::from_mins(30)));
            stream_handle().drive_alongside(driver).unwrap();
            Body::from_stream(stream::pending::<Result<Bytes, Infallible>>())
        };
        let router = Router::new()
            .route("/at-once", post(async || "answer"))
            .route("/six-minutes", post(six_minutes))
            .route("/half-an-hour", post(half_an_hour))
            .route("/never", post(async || std::future::pending::<()>().await));
        let (client, mut server) = duplex(1 << 16);
        let (close, closing) = watch::channel(());
        #[expect(clippy::disallowed_methods, reason = "a server of the test")]
        let serving = tokio::spawn(async move {
            let opening = opening(&mut server).await.unwrap();
            assert!(matches!(opening, Opening::Http2), "{opening:?}");
            let policy = ConnectionPolicy {
                max_deadline: MAX_DEADLINE,
                discard: Discard::new(),
            };
            let policy_and_activity = (policy, ConnectionActivity::new());
            serve(server, router, policy_and_activity, closing).await;
        });
        (client, close, serving)
    }

    async fn connect(stream: DuplexStream) -> SendRequest<Body> {
        let io = TokioIo::new(stream);
        let (client, connection) = handshake(TokioExecutor::new(), io).await.unwrap();
        #[expect(clippy::disallowed_methods, reason = "a client of the test")]
        tokio::spawn(connection);
        client
    }

    fn call(path: &str) -> Request<Body> {
        let call = Request::post(format!("http://gateway{path}"));
        call.body(Body::empty()).unwrap()
    }

    #[tokio::test]
    async fn an_old_connection_gets_goaway_and_its_calls_complete() {
        pause();
        let (stream, _close, serving) = spawn();
        let mut client = connect(stream).await;
        let mut next = client.clone();
        let start = Instant::now();
        let response = client.send_request(call("/six-minutes"));
        // The client starts no call on the connection after GOAWAY.
        let goaway_requested = async {
            while next.send_request(call("/at-once")).await.is_ok() {
                sleep(Duration::from_secs(1)).await;
            }
            start.elapsed()
        };
        let (response, goaway) = tokio::join!(response, goaway_requested);
        assert!((269..=332).contains(&goaway.as_secs()), "after {goaway:?}");
        let body = response.unwrap().into_body().collect().await.unwrap();
        assert_eq!(body.to_bytes(), "answer");
        serving.await.unwrap();
        assert_eq!(start.elapsed().as_secs(), 360);
    }

    #[tokio::test]
    async fn an_old_connection_whose_calls_do_not_end_is_closed() {
        pause();
        let (stream, _close, serving) = spawn();
        let mut client = connect(stream).await;
        let start = Instant::now();
        let response = client.send_request(call("/never"));
        let (response, served) = tokio::join!(response, serving);
        served.unwrap();
        response.unwrap_err();
        let took = start.elapsed().as_secs();
        assert!((269 + 130..=332 + 130).contains(&took), "after {took} s");
    }

    #[tokio::test]
    async fn an_old_connection_stays_open_while_a_stream_runs_on_it() {
        pause();
        let (stream, _close, serving) = spawn();
        let mut client = connect(stream).await;
        let start = Instant::now();
        let response = client.send_request(call("/half-an-hour")).await.unwrap();
        let stuck = client.send_request(call("/never"));
        response.into_body().collect().await.unwrap_err();
        assert_eq!(start.elapsed().as_secs(), 30 * 60);
        // A unary call that does not end keeps the connection open no longer.
        let (stuck, served) = tokio::join!(stuck, serving);
        stuck.unwrap_err();
        served.unwrap();
        assert_eq!(start.elapsed().as_secs(), 30 * 60 + 5);
    }

    #[tokio::test]
    async fn a_connection_whose_client_vanished_is_closed() {
        pause();
        let (mut stream, _close, serving) = spawn();
        let start = Instant::now();
        stream.write_all(PREFACE).await.unwrap();
        stream
            .write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0])
            .await
            .unwrap();
        serving.await.unwrap();
        assert_eq!(start.elapsed().as_secs(), 50);
    }
}
