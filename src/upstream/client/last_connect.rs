//! How a client's last attempt to connect ended, for the requests that waited for it.
//!
//! Requests by HTTP/2 share a connection: one of them opens it, and the others wait. If it
//! fails, the others get no cause from hyper-util but "request was canceled" (0.1.21); and
//! if the call of the first one ends, they fail with it.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::time::Instant;
use tower::{BoxError, Layer, Service};

use super::CONNECT_TIMEOUT;
use crate::error::chain::causes_of;

/// Why an attempt to connect failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::upstream) enum ConnectFailure {
    /// With these causes.
    Causes(String),
    /// It took longer than [`CONNECT_TIMEOUT`].
    TimedOut,
    /// The request that made it was dropped.
    Abandoned,
}

/// The last failure to connect, and when it was. Clones share it.
#[derive(Debug, Clone, Default)]
pub(in crate::upstream) struct LastConnect(Arc<Mutex<Option<(Instant, ConnectFailure)>>>);

impl LastConnect {
    /// The last failure, if it was not before `since`.
    pub(in crate::upstream) fn failure(&self, since: Instant) -> Option<ConnectFailure> {
        let last = self.0.lock();
        let last = last.as_ref().filter(|(at, _)| *at >= since);
        last.map(|(_, failure)| failure.clone())
    }
}

impl<S> Layer<S> for LastConnect {
    type Service = ObservedConnector<S>;

    fn layer(&self, connector: S) -> Self::Service {
        ObservedConnector {
            connector,
            last: self.clone(),
        }
    }
}

/// A connector whose failures are recorded.
#[derive(Debug, Clone)]
pub(in crate::upstream) struct ObservedConnector<S> {
    connector: S,
    last: LastConnect,
}

impl<S, R> Service<R> for ObservedConnector<S>
where
    S: Service<R, Error = BoxError>,
    S::Future: Send + 'static,
    S::Response: 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<S::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let connecting = self.connector.call(request);
        let attempt = ConnectAttempt {
            last: self.last.clone(),
            begun: Instant::now(),
            failure: Some(ConnectFailure::Abandoned),
        };
        Box::pin(async move {
            let result = connecting.await;
            attempt.end(result.as_ref().err());
            result
        })
    }
}

/// An attempt to connect, which records its failure when it is dropped.
struct ConnectAttempt {
    last: LastConnect,
    begun: Instant,
    failure: Option<ConnectFailure>,
}

impl ConnectAttempt {
    fn end(mut self, error: Option<&BoxError>) {
        self.failure = error.map(|error| ConnectFailure::Causes(causes_of(&**error)));
    }
}

impl Drop for ConnectAttempt {
    fn drop(&mut self) {
        let failure = match self.failure.take() {
            // reqwest's timeout drops the attempt as well.
            Some(ConnectFailure::Abandoned) if self.begun.elapsed() >= CONNECT_TIMEOUT => {
                Some(ConnectFailure::TimedOut)
            }
            failure => failure,
        };
        *self.last.0.lock() = failure.map(|failure| (Instant::now(), failure));
    }
}
