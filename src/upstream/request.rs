//! One request to the vendor, and its answer.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};

use super::client;
use super::connection::Served;
use super::connector::Proxy;
use super::response::{expired, lost, read, unreached};
use super::sender::Sender;
use super::tracked_body::{TrackedBody, comes_with_head};
use super::tunnel::ProxyRefusal;
use super::{Reply, RequestContext};
use crate::credentials::Caller;
use crate::error::{CORRELATION_ID, Error, Failure, correlation_id};
use crate::operation::RestRequest;
use crate::telemetry::Attempt;

impl Sender {
    /// Sends a call once, and reads its answer.
    pub(super) async fn exchange(
        &self,
        call: &RestRequest,
        terms: &RequestContext,
        body: TrackedBody,
        told: &mut Attempt<'_>,
    ) -> Result<Reply, Failure> {
        let RequestContext {
            caller,
            deadline,
            memory,
            ..
        } = terms;
        let spec = call.spec;
        let departure = body.departure();
        let request = self.request(call, caller, told.headers(), body);
        let request = request.map_err(|error| Error::Unsendable(error.to_string()))?;
        let client = self.clients.current();
        let mut response = match deadline.timeout(client.request(request)).await {
            Some(Ok(response)) => response,
            None if departure.is_ruled_out() => return Err(Error::DeadlineExceeded.into()),
            None => return Err(expired(spec).into()),
            Some(Err(error)) if departure.is_ruled_out() => {
                return Err(unreached(&error).into());
            }
            Some(Err(error)) => return Err(lost(spec, &error).into()),
        };
        let served = response.extensions().get::<Served>();
        let is_kept = served.is_some_and(|served| !served.is_first());
        if response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED
            && let Some(proxy) = self.proxy_of(call)
        {
            let refusal = ProxyRefusal::of_request(&proxy.place(), response.status());
            return Err(Error::ProxyRefused(refusal.to_string()).into());
        }
        let id = response.headers().get(CORRELATION_ID);
        let id = id.and_then(|id| correlation_id(id.as_bytes()));
        told.record_head(response.status().as_u16(), id.as_ref());
        match read(spec, &mut response, deadline, memory).await {
            Ok(body) => Ok(Reply {
                body,
                correlation_id: id,
            }),
            Err(mut error) => {
                if let Error::UpstreamStatus(_, fault) = &mut error {
                    fault.is_on_kept_connection = is_kept;
                }
                Err(Failure {
                    correlation_id: id.or_else(|| {
                        let body = error.fault()?.body.as_ref()?;
                        correlation_id(body.context_id.as_deref()?.as_bytes())
                    }),
                    ..error.into()
                })
            }
        }
    }

    /// The proxy that reads the request itself, where there is one.
    fn proxy_of(&self, call: &RestRequest) -> Option<&Proxy> {
        let uri = self.endpoint.url(&call.path_and_query).ok()?;
        self.clients.proxy_of(&uri)
    }

    fn request(
        &self,
        call: &RestRequest,
        caller: &Caller,
        trace: Option<HeaderMap>,
        body: TrackedBody,
    ) -> http::Result<Request<TrackedBody>> {
        let json = HeaderValue::from_static("application/json");
        let token = caller.authorization();
        let uri = self.endpoint.url(&call.path_and_query)?;
        let proxy = self.clients.proxy_of(&uri);
        let proxy = proxy.and_then(|proxy| proxy.authorization.clone());
        let (body_length, token_length) = (call.body.as_ref().map_or(0, Bytes::len), token.len());
        let is_last = !comes_with_head(body_length, token_length, self.endpoint.is_secure());
        let mut request = Request::builder()
            .method(call.spec.method.clone())
            .uri(uri)
            .body(body)?;
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
            // and not for the peer; with this it lets go of the connection
            // whatever the peer answers (hyperium/hyper#4110, in 1.12).
            let close = HeaderValue::from_static("close");
            headers.insert(header::CONNECTION, close);
        }
        let agent = HeaderValue::from_static(client::USER_AGENT);
        headers.insert(header::USER_AGENT, agent);
        if let Some(proxy) = proxy {
            headers.insert(header::PROXY_AUTHORIZATION, proxy);
        }
        Ok(request)
    }
}
