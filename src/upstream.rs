//! The upstream API: coalesces identical reads, then sends.

mod body;
pub mod budget_store;
pub mod client;
mod coalesce;
mod connection_reuse;
mod context;
mod dial;
pub mod endpoint;
pub mod proxy;
mod queue_status;
pub mod rate_limit;
pub mod region;
pub mod regional;
mod request;
mod resolve;
mod response;
mod retry;
mod sender;
pub(crate) mod singleflight;
pub mod socket;
mod tracked_body;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::error::{Error, Failure};
use crate::operation::RestRequest;
use crate::telemetry::Peer;
use client::RotatingClient;
use coalesce::ReadCoalescer;
pub use context::{RequestContext, Reservations};
use endpoint::Endpoint;
pub(crate) use queue_status::QueueStatus;
use rate_limit::RateLimiter;
use retry::Budget;
use sender::Sender;
use socket::SocketAddress;
pub(crate) use socket::{ConnectError, ConnectErrorKind};
pub(crate) use socket::{Socket, SocketMessage};

/// The upstream API. Clones share everything.
#[derive(Debug, Clone)]
pub struct Upstream {
    sender: Sender,
    /// `None` if every read is a request of its own.
    coalescer: Option<ReadCoalescer>,
}

/// A successful response of the upstream.
#[derive(Debug, Clone, Default)]
pub struct UpstreamResponse<T = Bytes> {
    /// The body: bytes if it is not decoded yet, which are empty for an operation
    /// whose response has no body; else the message.
    pub body: T,
    /// The vendor's `ININ-Correlation-Id` of the request.
    pub correlation_id: Option<HeaderValue>,
    /// What its head says about its body.
    pub head: ResponseHead,
}

/// What the head of a response says about its body.
#[derive(Debug, Clone, Copy, Default)]
pub struct ResponseHead {
    /// The HTTP status; `None` where several responses have become one.
    pub http_status: Option<u16>,
    /// Whether it is a page for people.
    pub is_html: bool,
}

impl ResponseHead {
    fn new(status: StatusCode, headers: &HeaderMap) -> Self {
        let kind = headers.get(CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        Self {
            http_status: Some(status.as_u16()),
            is_html: kind.trim().to_ascii_lowercase().starts_with("text/html"),
        }
    }
}

impl<T> UpstreamResponse<T> {
    /// The same response with another body.
    pub(crate) fn map<U>(self, body: impl FnOnce(T) -> U) -> UpstreamResponse<U> {
        UpstreamResponse {
            body: body(self.body),
            correlation_id: self.correlation_id,
            head: self.head,
        }
    }
}

impl Upstream {
    /// The API at `endpoint`.
    #[must_use]
    pub fn new(endpoint: Endpoint, clients: RotatingClient, rate_limiter: RateLimiter) -> Self {
        let (host, port) = endpoint.host_port();
        let peer = Peer::new(endpoint.to_string(), host, port);
        let sender = Sender {
            clients,
            endpoint,
            peer,
            rate_limiter,
            budget: Budget::default(),
        };
        Self {
            sender,
            coalescer: None,
        }
    }

    /// Coalesces identical concurrent reads of one token into one request.
    #[must_use]
    pub fn with_coalesced_reads(self) -> Self {
        let coalescer = Some(ReadCoalescer::default());
        Self { coalescer, ..self }
    }

    /// Reserves `count` requests in the rate limiter, before any is sent.
    ///
    /// # Errors
    ///
    /// [`Error::RateLimited`], if the last one could not start before the
    /// call's deadline.
    pub async fn reserve(&self, context: &RequestContext, count: usize) -> Result<(), Error> {
        let (token, deadline) = (context.caller.key(), context.deadline.instant());
        let reservations = self
            .sender
            .rate_limiter
            .reserve(token, count, deadline)
            .await?;
        context.reservations.replace(reservations);
        Ok(())
    }

    /// Sends a request with the caller's token, retries it if that is safe and may
    /// help, and reads the response.
    ///
    /// # Errors
    ///
    /// If the request fails, or the response is not a success. The error says
    /// whether a write may have been applied.
    pub async fn send(
        &self,
        request: &RestRequest,
        context: &RequestContext,
    ) -> Result<UpstreamResponse, Failure> {
        let Some(coalescer) = &self.coalescer else {
            return self.sender.send(request, context).await;
        };
        if request.spec.is_read {
            return coalescer.send(&self.sender, request, context).await;
        }
        let _invalidation = coalescer.invalidate_on_drop(context.caller.key());
        self.sender.send(request, context).await
    }

    /// Sends a request whose response no other one has: it is of a later moment than the
    /// call.
    ///
    /// # Errors
    ///
    /// As [`Self::send`].
    pub(crate) async fn send_unshared(
        &self,
        request: &RestRequest,
        context: &RequestContext,
    ) -> Result<UpstreamResponse, Failure> {
        self.sender.send(request, context).await
    }

    /// Opens the WebSocket at this address of the vendor's.
    ///
    /// # Errors
    ///
    /// If the address is not in the region of the API or not safe, or the socket
    /// cannot be opened.
    pub(crate) async fn open_socket(&self, address: &str) -> Result<Socket, ConnectError> {
        let address = SocketAddress::parse(address, &self.sender.endpoint);
        let address = address.map_err(|why| ConnectError {
            why,
            kind: ConnectErrorKind::NotAllowed,
        })?;
        Socket::open(&address, &self.sender.clients).await
    }

    /// The requests that a token may start in a minute; 0 for no limit.
    pub(crate) fn requests_per_minute(&self) -> usize {
        self.sender.rate_limiter.limit()
    }

    /// Sends a request, and records its status in the queue for the calls that
    /// wait for it.
    pub(crate) async fn send_observed(
        &self,
        request: &RestRequest,
        context: &RequestContext,
        queue_status: &QueueStatus,
    ) -> Result<UpstreamResponse, Failure> {
        self.sender
            .send_observed(request, context, queue_status)
            .await
    }
}
