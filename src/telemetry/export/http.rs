//! OTLP over HTTP.

#![expect(
    clippy::disallowed_types,
    reason = "a collector is called here, and not the vendor"
)]

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use opentelemetry_http::{HttpClient, HttpError, ResponseBodyTooLarge};
use parking_lot::Mutex;
use reqwest::{Client, redirect};

use crate::error::chain::http_causes;
use crate::telemetry::settings::Destination;

/// The largest answer that is read from a collector, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// Posts to a collector. A clone is the same client.
#[derive(Clone)]
pub(super) struct Post {
    client: Client,
    /// What came of the last request, where that was no success.
    seen: Arc<Mutex<Option<String>>>,
}

impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Post").finish_non_exhaustive()
    }
}

impl Post {
    pub(super) fn new(to: &Destination) -> Result<Self, String> {
        let builder = Client::builder()
            .user_agent(concat!("presence-gateway/", env!("CARGO_PKG_VERSION")))
            .http1_only()
            .redirect(redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .connect_timeout(to.timeout)
            .timeout(to.timeout)
            .tls_backend_preconfigured(to.tls.clone().map_or_else(plain, Ok)?);
        let client = builder.build().map_err(http_causes)?;
        Ok(Self {
            client,
            seen: Arc::default(),
        })
    }

    /// What came of the last request, where that was no success.
    pub(super) fn seen(&self) -> Option<String> {
        self.note(None)
    }

    fn note(&self, what: Option<String>) -> Option<String> {
        let mut seen = self.seen.lock();
        std::mem::replace(&mut seen, what)
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = request.try_into().map_err(http_causes)?;
        let mut answer = self.client.execute(request).await.map_err(http_causes)?;
        let mut body = BytesMut::new();
        while let Some(piece) = answer.chunk().await.map_err(http_causes)? {
            if body.len() + piece.len() > MAX_ANSWER {
                return Err(ResponseBodyTooLarge::new().into());
            }
            body.extend_from_slice(&piece);
        }
        let mut response = Response::new(body.freeze());
        *response.status_mut() = answer.status();
        *response.headers_mut() = answer.headers().clone();
        Ok(response)
    }
}

/// TLS for an endpoint that speaks none.
fn plain() -> Result<rustls::ClientConfig, String> {
    crate::tls::client(crate::tls::Trust::Nobody, None, b"http/1.1")
}

#[async_trait]
impl HttpClient for Post {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sent = self.send(request).await;
        self.note(match &sent {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("the answer is {}", answer.status())),
            Err(error) => Some(error.to_string()),
        });
        sent
    }
}
