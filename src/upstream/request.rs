//! One request to the upstream, and its response.

#![expect(
    clippy::disallowed_types,
    reason = "a part of the one module that calls the upstream"
)]

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use reqwest::{Body, Request};
use tokio::time::Instant;

use super::client::{CONNECT_TIMEOUT, ConnectFailure, Protocol, not_processed};
use super::connection_reuse::is_reusable_after;
use super::response::{deadline_exceeded, read_response, transport_error};
use super::sender::Sender;
use super::tracked_body::TrackedBody;
use super::{RequestContext, ResponseHead, UpstreamResponse};
use crate::credentials::Caller;
use crate::deadline::Deadline;
use crate::error::chain::{connect_causes, http_causes};
use crate::error::{CORRELATION_ID, Error, Failure, Waiting, correlation_id};
use crate::operation::RestRequest;
use crate::telemetry::Attempt;

impl Sender {
    /// Sends a request once, and reads its response.
    pub(super) async fn exchange(
        &self,
        request: &RestRequest,
        context: &RequestContext,
        body: TrackedBody,
        attempt: u32,
        span: &mut Attempt<'_>,
    ) -> Result<UpstreamResponse, Failure> {
        let RequestContext {
            caller,
            deadline,
            memory,
            ..
        } = context;
        let spec = request.spec;
        let state = body.state();
        let lease = self.clients.lease();
        let begun = Instant::now();
        let request = self.rest_request(request, caller, span.headers(), body, lease.protocol);
        let mut response = match deadline.timeout(lease.client().execute(request)).await {
            Some(Ok(response)) => response,
            None if state.never_sent() => {
                let passed = deadline.passed(Waiting::Connection(attempt));
                return Err(Error::DeadlineExceeded(passed).into());
            }
            None => return Err(deadline_exceeded(spec, deadline, attempt).into()),
            Some(Err(error)) => {
                if lease.protocol == Protocol::Http2 {
                    self.clients.http2_failed(&error);
                }
                return Err(if state.never_sent() {
                    // Boxed, because each call that waits has room for it.
                    let connect = lease.last_connect().failure(begun);
                    Box::pin(self.unreached(error, connect, deadline))
                        .await
                        .into()
                } else if let Some(error) = not_processed(&error, &self.endpoint.authority()) {
                    error.into()
                } else {
                    transport_error(spec, error).into()
                });
            }
        };
        if response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED
            && !self.endpoint.is_secure()
            && let Some(proxy) = self.clients.proxy()
        {
            let refusal = proxy.refusal("request", response.status());
            return Err(self.at_upstream(refusal).into());
        }
        let id = response.headers().get(CORRELATION_ID);
        let id = id.and_then(|id| correlation_id(id.as_bytes()));
        span.record_head(response.status().as_u16(), response.version(), id.as_ref());
        // Boxed, because each call that waits for the head would have room for it.
        let body = Box::pin(read_response(
            spec,
            &mut response,
            deadline,
            attempt,
            memory,
        ));
        match body.await {
            Ok(body) => Ok(UpstreamResponse {
                head: ResponseHead::new(response.status(), response.headers()),
                body,
                correlation_id: id,
            }),
            Err(error) => Err(Failure {
                correlation_id: id.or_else(|| {
                    let body = error.response()?.body.as_ref()?;
                    correlation_id(body.context_id.as_deref()?.as_bytes())
                }),
                ..error.into()
            }),
        }
    }

    /// Returns the error of a request that was never sent. `connect` is the failure to
    /// connect that another request may have met, while this one waited.
    async fn unreached(
        &self,
        error: reqwest::Error,
        connect: Option<ConnectFailure>,
        deadline: &Deadline,
    ) -> Error {
        if error.is_builder() {
            return Error::Unsendable(http_causes(error));
        }
        let proxy = self.clients.proxy();
        let has_timed_out = connect == Some(ConnectFailure::TimedOut);
        if has_timed_out || error.is_connect() && error.is_timeout() {
            let through = proxy.map(|proxy| format!(" through the proxy {proxy}"));
            let through = through.unwrap_or_default();
            return self.at_upstream(Error::Unreachable(format!(
                "no connection{through} within {CONNECT_TIMEOUT:?}"
            )));
        }
        let causes = match connect {
            Some(ConnectFailure::Causes(causes)) => causes,
            Some(ConnectFailure::Abandoned) => {
                let why = "whose connection another call abandoned while it was opened,";
                return Error::NotProcessed {
                    why: format!("{}, {why}", self.endpoint.authority()),
                    is_end: true,
                };
            }
            _ => connect_causes(error),
        };
        if let Some(proxy) = proxy
            && let Ok(client) = self.clients.http1()
        {
            let target = self.endpoint.authority();
            let diagnosed = deadline
                .timeout(proxy.diagnose(&causes, &client, &target, CONNECT_TIMEOUT))
                .await;
            if let Some(error) = diagnosed.flatten() {
                return self.at_upstream(error);
            }
        }
        self.at_upstream(Error::Unreachable(causes))
    }

    /// Adds the address of the upstream to the cause why it is not reached.
    fn at_upstream(&self, error: Error) -> Error {
        let target = self.endpoint.authority();
        match error {
            Error::Unreachable(why) => Error::Unreachable(format!("{target}: {why}")),
            Error::ProxyRefused(why) => Error::ProxyRefused(format!("{target}: {why}")),
            error => error,
        }
    }

    fn rest_request(
        &self,
        call: &RestRequest,
        caller: &Caller,
        trace: Option<HeaderMap>,
        body: TrackedBody,
        protocol: Protocol,
    ) -> Request {
        let json = HeaderValue::from_static("application/json");
        let token = caller.authorization();
        let (body_length, token_length) = (call.body.as_ref().map_or(0, Bytes::len), token.len());
        let is_last = protocol == Protocol::Http1
            && !is_reusable_after(body_length, token_length, self.endpoint.is_secure());
        let url = self.endpoint.url(&call.path_and_query);
        let mut request = Request::new(call.spec.method.clone(), url);
        *request.body_mut() = Some(Body::wrap(body));
        let headers = request.headers_mut();
        headers.extend(trace.unwrap_or_default());
        if call.body.is_some() {
            headers.insert(header::CONTENT_TYPE, json.clone());
        }
        headers.insert(header::AUTHORIZATION, token);
        headers.insert(header::ACCEPT, json);
        let plain = HeaderValue::from_static("identity");
        headers.insert(header::ACCEPT_ENCODING, plain);
        if is_last {
            // hyper waits until the kernel has the body (hyperium/hyper#2646),
            // and not for the peer; with this it releases the connection
            // whatever the peer answers (hyperium/hyper#4110, in 1.12).
            let close = HeaderValue::from_static("close");
            headers.insert(header::CONNECTION, close);
        }
        request
    }
}

#[cfg(test)]
mod tests;
