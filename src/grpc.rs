//! The gRPC services. The list of RPCs is the index of the gateway: one line
//! each, which says whether a call is forwarded or fanned out.

mod streams;

use std::sync::Arc;

use axum::body::Body;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::codegen::Service;
use tonic::{Code, Request, Response, Status, async_trait};

use crate::bulk::{Bulk, BulkContext};
use crate::context::CallContext;
use crate::error::{CORRELATION_ID, Failure};
use crate::operation::Operation;
#[allow(clippy::wildcard_imports, reason = "a message for each RPC")]
use crate::proto::v1::*;
use crate::rpc::{MAX_REQUEST, MAX_STREAM_MESSAGE};
use crate::upstream::Reply;

use legacy_presence_service_server::{LegacyPresenceService, LegacyPresenceServiceServer};
use presence_service_server::{PresenceService, PresenceServiceServer};
use presence_stream_service_server::PresenceStreamServiceServer;

type Answer<T> = Result<Response<T>, Status>;

/// Serves calls in front of one upstream. Clones are the same gateway.
#[derive(Debug, Clone)]
pub struct Gateway(Arc<BulkContext>);

/// Implements the services for one call. tonic gives a handler nothing but its
/// request, so the services are made for each call, with its context.
struct Handler {
    gateway: Gateway,
    context: CallContext,
}

macro_rules! service {
    ($service:ident $($rpc:ident($request:ident): $serve:ident;)*) => {
        #[async_trait]
        impl $service for Handler {
            $(
                async fn $rpc(
                    &self,
                    call: Request<$request>,
                ) -> Answer<<$request as Operation>::Response> {
                    self.$serve(call.into_inner()).await
                }
            )*
        }
    };
}

service! {
    PresenceService
    delete_presence_definition(DeletePresenceDefinitionRequest): forward;
    delete_presence_source(DeletePresenceSourceRequest): forward;
    get_presence_definition(GetPresenceDefinitionRequest): forward;
    get_presence_definitions(GetPresenceDefinitionsRequest): forward;
    get_presence_settings(GetPresenceSettingsRequest): forward;
    get_presence_source(GetPresenceSourceRequest): forward;
    get_presence_sources(GetPresenceSourcesRequest): forward;
    get_presence_user_primarysource(GetPresenceUserPrimarysourceRequest): forward;
    get_systempresences(GetSystempresencesRequest): forward;
    get_user_presence(GetUserPresenceRequest): forward;
    get_user_presences_purecloud(GetUserPresencesPurecloudRequest): forward;
    get_users_presence_bulk(GetUsersPresenceBulkRequest): fan_out;
    get_users_presences_purecloud_bulk(GetUsersPresencesPurecloudBulkRequest): fan_out;
    patch_user_presence(PatchUserPresenceRequest): forward;
    patch_user_presences_purecloud(PatchUserPresencesPurecloudRequest): forward;
    post_presence_definitions(PostPresenceDefinitionsRequest): forward;
    post_presence_sources(PostPresenceSourcesRequest): forward;
    put_presence_definition(PutPresenceDefinitionRequest): forward;
    put_presence_settings(PutPresenceSettingsRequest): forward;
    put_presence_source(PutPresenceSourceRequest): forward;
    put_presence_user_primarysource(PutPresenceUserPrimarysourceRequest): forward;
    put_users_presences_bulk(PutUsersPresencesBulkRequest): fan_out;
}

service! {
    LegacyPresenceService
    delete_organization_presence(DeleteOrganizationPresenceRequest): forward;
    get_organization_presence(GetOrganizationPresenceRequest): forward;
    get_organization_presences(GetOrganizationPresencesRequest): forward;
    post_organization_presences(PostOrganizationPresencesRequest): forward;
    put_organization_presence(PutOrganizationPresenceRequest): forward;
}

impl Gateway {
    /// A gateway with this upstream.
    #[must_use]
    pub fn new(context: BulkContext) -> Self {
        Self(Arc::new(context))
    }

    /// Serves a call that was admitted.
    pub fn call(
        &self,
        context: CallContext,
        request: http::Request<Body>,
    ) -> impl Future<Output = http::Response<Body>> + Send + use<> {
        let service = context.rpc.service();
        let handler = Handler {
            gateway: self.clone(),
            context,
        };
        macro_rules! call {
            ($server:ident, $max:ident) => {{
                let server = $server::new(handler).max_decoding_message_size($max);
                // The pipeline decompresses the message of a unary call.
                let mut server = server.accept_compressed(Gzip).send_compressed(Gzip);
                server.call(request)
            }};
        }
        let response = match service {
            presence_service_server::SERVICE_NAME => call!(PresenceServiceServer, MAX_REQUEST),
            legacy_presence_service_server::SERVICE_NAME => {
                call!(LegacyPresenceServiceServer, MAX_REQUEST)
            }
            _ => call!(PresenceStreamServiceServer, MAX_STREAM_MESSAGE),
        };
        async {
            let Ok(response) = response.await;
            response.map(Body::new)
        }
    }
}

impl Handler {
    /// One call, one request upstream.
    async fn forward<O: Operation>(&self, request: O) -> Answer<O::Response> {
        let upstream = &self.gateway.0.upstream;
        self.respond(self.context.forward(upstream, &request).await)
    }

    /// One call, as many requests upstream as it takes.
    async fn fan_out<O: Bulk>(&self, request: O) -> Answer<O::Response> {
        self.respond(request.fan_out(&self.context, &self.gateway.0).await)
    }

    fn respond<T>(&self, reply: Result<Reply<T>, Failure>) -> Answer<T> {
        let reply = reply.map_err(|failure| status(&self.context, failure))?;
        self.context.request.access_log.finish(Code::Ok, None);
        let mut response = Response::new(reply.body);
        let id = reply.correlation_id;
        if let Some(id) = id.and_then(|id| id.to_str().ok()?.parse().ok()) {
            response.metadata_mut().insert(CORRELATION_ID, id);
        }
        Ok(response)
    }
}

/// The status of a call that failed, noted in its log entry.
fn status(context: &CallContext, failure: Failure) -> Status {
    let status = failure.into_status(context.request.deadline.remaining());
    context.request.access_log.finish_with(&status);
    status
}
