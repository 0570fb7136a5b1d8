//! OTLP over HTTP.

#![expect(clippy::disallowed_types, reason = "calls a collector, not the vendor")]

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

/// The largest accepted response of a collector, in bytes.
const MAX_RESPONSE: usize = 64 * 1024;

/// The client of the OTLP exporters. It keeps the last error, since the SDK's
/// errors do not say more than that the export failed. Clones share it.
#[derive(Clone)]
pub(super) struct OtlpHttpClient {
    client: Client,
    last_error: Arc<Mutex<Option<String>>>,
}

impl fmt::Debug for OtlpHttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtlpHttpClient").finish_non_exhaustive()
    }
}

impl OtlpHttpClient {
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
            last_error: Arc::default(),
        })
    }

    /// Takes the error of the last request.
    pub(super) fn take_error(&self) -> Option<String> {
        self.last_error.lock().take()
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = request.try_into().map_err(http_causes)?;
        let mut received = self.client.execute(request).await.map_err(http_causes)?;
        let mut body = BytesMut::new();
        while let Some(chunk) = received.chunk().await.map_err(http_causes)? {
            if body.len() + chunk.len() > MAX_RESPONSE {
                return Err(ResponseBodyTooLarge::new().into());
            }
            body.extend_from_slice(&chunk);
        }
        let mut response = Response::new(body.freeze());
        *response.status_mut() = received.status();
        *response.headers_mut() = received.headers().clone();
        Ok(response)
    }
}

/// The configuration of TLS for plain http: it trusts nobody.
fn plain() -> Result<rustls::ClientConfig, String> {
    crate::tls::client(crate::tls::Trust::Nobody, None, b"http/1.1")
}

#[async_trait]
impl HttpClient for OtlpHttpClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sent = self.send(request).await;
        *self.last_error.lock() = match &sent {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("the answer is {}", answer.status())),
            Err(error) => Some(error.to_string()),
        };
        sent
    }
}
