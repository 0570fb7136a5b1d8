//! The HTTP server: accepts connections, serves them, and cuts them on request.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower::ServiceExt as _;

use super::Sandbox;
use super::misbehave::Cut;
use super::notifications::upgrade::Upgrade;
use super::request::LocalAddress;

/// The most open connections. Others wait in the backlog.
const MAX_CONNECTIONS: usize = 4096;

/// The drain timeout: some responses never end.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// The pause after a failed accept, for example without free file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves the sandbox until `shutdown`, drains its connections, and returns.
///
/// # Errors
///
/// None at present. A failed accept is repeated.
pub async fn serve(
    listener: TcpListener,
    sandbox: Sandbox,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (ending, ended) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let room = connections.len() < MAX_CONNECTIONS;
        tokio::select! {
            () = &mut shutdown => break,
            // Reaps finished connections.
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if room => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, sandbox.clone(), ended.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "the sandbox cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    ending.send_replace(true);
    let all = async { while connections.join_next().await.is_some() {} };
    if timeout(LAST_ANSWERS, all).await.is_err() {
        tracing::debug!("the sandbox cuts answers that do not end");
    }
    Ok(())
}

/// Serves one connection, and the WebSocket that it may become, until its end or, on
/// shutdown, until the current response is sent.
async fn connection(stream: TcpStream, sandbox: Sandbox, mut ended: watch::Receiver<bool>) {
    // Responses are small, and a dripping byte must be sent at once.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no nodelay");
    }
    let router = sandbox.router();
    let upgrade = Arc::new(Mutex::new(None));
    let upgraded = upgrade.clone();
    let local = stream.local_addr().ok().map(LocalAddress);
    let service = service_fn(move |mut request: Request<Incoming>| {
        let (router, upgraded) = (router.clone(), upgraded.clone());
        if let Some(local) = local {
            request.extensions_mut().insert(local);
        }
        async move {
            let answered: Result<Response, Infallible> =
                router.oneshot(request.map(Body::new)).await;
            match answered {
                // A service error makes hyper close the connection without a response.
                Ok(response) if response.extensions().get::<Cut>().is_some() => {
                    Err(io::Error::other("cut on request"))
                }
                Ok(mut response) => {
                    if let Some(upgrade) = response.extensions_mut().remove::<Upgrade>() {
                        *upgraded.lock() = Some(upgrade);
                    }
                    Ok(response)
                }
                Err(never) => match never {},
            }
        }
    });
    // Some official SDKs look up `Retry-After` with exactly this case.
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .title_case_headers(true)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades()
    );
    let served = tokio::select! {
        served = &mut connection => served,
        _ = ended.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection of the sandbox ended");
    }
    let upgrade = upgrade.lock().take();
    if let Some(upgrade) = upgrade {
        upgrade.serve(ended).await;
    }
}
