//! OTLP over HTTP.

#![expect(clippy::disallowed_types, reason = "calls a collector, not the vendor")]

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use opentelemetry_http::{HttpClient, HttpError};
use parking_lot::Mutex;
use reqwest::{Client, redirect};
use rustls::RootCertStore;

use crate::error::chain::http_causes;
use crate::telemetry::settings::Destination;
use crate::tls;
use crate::user_agent::USER_AGENT;

/// The HTTP client of an exporter. It keeps the last error, since the SDK's
/// errors say only that an export failed. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct OtlpHttpClient {
    client: Client,
    last_error: Arc<Mutex<Option<String>>>,
}

impl OtlpHttpClient {
    pub(super) fn new(to: &Destination) -> Result<Self, String> {
        let plain = || tls::client(Some(RootCertStore::empty()), None, b"http/1.1");
        let builder = Client::builder()
            .user_agent(USER_AGENT)
            .http1_only()
            .redirect(redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .connect_timeout(to.timeout)
            .timeout(to.timeout)
            .tls_backend_preconfigured(to.tls.clone().map_or_else(plain, Ok)?);
        Ok(Self {
            client: builder.build().map_err(http_causes)?,
            last_error: Arc::default(),
        })
    }

    /// Takes the error of the last request.
    pub(super) fn take_error(&self) -> Option<String> {
        self.last_error.lock().take()
    }
}

#[async_trait]
impl HttpClient for OtlpHttpClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sent = self.client.send_bytes(request).await;
        // Without the URL, which the log has already.
        let sent = sent.map_err(|error| match error.downcast() {
            Ok(error) => HttpError::from(http_causes(*error)),
            Err(error) => error,
        });
        *self.last_error.lock() = match &sent {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(format!("the response is {}", response.status())),
            Err(error) => Some(error.to_string()),
        };
        sent
    }
}
