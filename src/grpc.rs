//! The services. The list of RPCs is the index of the gateway: one line
//! each, which says whether a call is forwarded or fanned out.

mod streams;

use std::io;
use std::time::Duration;

use tonic::metadata::MetadataMap;
use tonic::{Extensions, Request, Response, Status, async_trait};

use crate::access_log::AccessLog;
use crate::bulk::{BatchCoalescer, Bulk, BulkContext, BulkLimits};
use crate::context::CallContext;
use crate::credentials::Caller;
use crate::deadline::Deadline;
use crate::error::{CORRELATION_ID, Error, Failure};
use crate::memory::MemoryLease;
use crate::operation::Operation;
#[allow(clippy::wildcard_imports, reason = "two messages for each RPC")]
use crate::proto::v1::*;
use crate::upstream::{Reply, RequestContext, Reservations, Upstream};

use legacy_presence_service_server::LegacyPresenceService;
use presence_service_server::PresenceService;

type Answer<T> = Result<Response<T>, Status>;

/// Implements the services in front of one upstream.
#[derive(Debug, Clone)]
pub struct Gateway {
    bulk: BulkContext,
}

#[async_trait]
impl PresenceService for Gateway {
    async fn delete_presence_definition(
        &self,
        call: Request<DeletePresenceDefinitionRequest>,
    ) -> Answer<DeletePresenceDefinitionResponse> {
        self.forward(call).await
    }

    async fn delete_presence_source(
        &self,
        call: Request<DeletePresenceSourceRequest>,
    ) -> Answer<DeletePresenceSourceResponse> {
        self.forward(call).await
    }

    async fn get_presence_definition(
        &self,
        call: Request<GetPresenceDefinitionRequest>,
    ) -> Answer<OrganizationPresenceDefinition> {
        self.forward(call).await
    }

    async fn get_presence_definitions(
        &self,
        call: Request<GetPresenceDefinitionsRequest>,
    ) -> Answer<OrganizationPresenceDefinitionEntityListing> {
        self.forward(call).await
    }

    async fn get_presence_settings(
        &self,
        call: Request<GetPresenceSettingsRequest>,
    ) -> Answer<PresenceSettings> {
        self.forward(call).await
    }

    async fn get_presence_source(&self, call: Request<GetPresenceSourceRequest>) -> Answer<Source> {
        self.forward(call).await
    }

    async fn get_presence_sources(
        &self,
        call: Request<GetPresenceSourcesRequest>,
    ) -> Answer<SourceEntityListing> {
        self.forward(call).await
    }

    async fn get_presence_user_primarysource(
        &self,
        call: Request<GetPresenceUserPrimarysourceRequest>,
    ) -> Answer<UserPrimarySource> {
        self.forward(call).await
    }

    async fn get_systempresences(
        &self,
        call: Request<GetSystempresencesRequest>,
    ) -> Answer<GetSystempresencesResponse> {
        self.forward(call).await
    }

    async fn get_user_presence(
        &self,
        call: Request<GetUserPresenceRequest>,
    ) -> Answer<UserPresence> {
        self.forward(call).await
    }

    async fn get_user_presences_purecloud(
        &self,
        call: Request<GetUserPresencesPurecloudRequest>,
    ) -> Answer<UserPresence> {
        self.forward(call).await
    }

    async fn get_users_presence_bulk(
        &self,
        call: Request<GetUsersPresenceBulkRequest>,
    ) -> Answer<GetUsersPresenceBulkResponse> {
        self.fan_out(call).await
    }

    async fn get_users_presences_purecloud_bulk(
        &self,
        call: Request<GetUsersPresencesPurecloudBulkRequest>,
    ) -> Answer<GetUsersPresencesPurecloudBulkResponse> {
        self.fan_out(call).await
    }

    async fn patch_user_presence(
        &self,
        call: Request<PatchUserPresenceRequest>,
    ) -> Answer<UserPresence> {
        self.forward(call).await
    }

    async fn patch_user_presences_purecloud(
        &self,
        call: Request<PatchUserPresencesPurecloudRequest>,
    ) -> Answer<UserPresence> {
        self.forward(call).await
    }

    async fn post_presence_definitions(
        &self,
        call: Request<PostPresenceDefinitionsRequest>,
    ) -> Answer<OrganizationPresenceDefinition> {
        self.forward(call).await
    }

    async fn post_presence_sources(
        &self,
        call: Request<PostPresenceSourcesRequest>,
    ) -> Answer<Source> {
        self.forward(call).await
    }

    async fn put_presence_definition(
        &self,
        call: Request<PutPresenceDefinitionRequest>,
    ) -> Answer<OrganizationPresenceDefinition> {
        self.forward(call).await
    }

    async fn put_presence_settings(
        &self,
        call: Request<PutPresenceSettingsRequest>,
    ) -> Answer<PresenceSettings> {
        self.forward(call).await
    }

    async fn put_presence_source(&self, call: Request<PutPresenceSourceRequest>) -> Answer<Source> {
        self.forward(call).await
    }

    async fn put_presence_user_primarysource(
        &self,
        call: Request<PutPresenceUserPrimarysourceRequest>,
    ) -> Answer<UserPrimarySource> {
        self.forward(call).await
    }

    async fn put_users_presences_bulk(
        &self,
        call: Request<PutUsersPresencesBulkRequest>,
    ) -> Answer<PutUsersPresencesBulkResponse> {
        self.fan_out(call).await
    }
}

#[async_trait]
impl LegacyPresenceService for Gateway {
    async fn delete_organization_presence(
        &self,
        call: Request<DeleteOrganizationPresenceRequest>,
    ) -> Answer<DeleteOrganizationPresenceResponse> {
        self.forward(call).await
    }

    async fn get_organization_presence(
        &self,
        call: Request<GetOrganizationPresenceRequest>,
    ) -> Answer<OrganizationPresence> {
        self.forward(call).await
    }

    async fn get_organization_presences(
        &self,
        call: Request<GetOrganizationPresencesRequest>,
    ) -> Answer<OrganizationPresenceEntityListing> {
        self.forward(call).await
    }

    async fn post_organization_presences(
        &self,
        call: Request<PostOrganizationPresencesRequest>,
    ) -> Answer<OrganizationPresence> {
        self.forward(call).await
    }

    async fn put_organization_presence(
        &self,
        call: Request<PutOrganizationPresenceRequest>,
    ) -> Answer<OrganizationPresence> {
        self.forward(call).await
    }
}

impl Gateway {
    /// A gateway in front of `upstream`.
    #[must_use]
    pub fn new(upstream: Upstream, limits: BulkLimits) -> Self {
        Self {
            bulk: BulkContext {
                upstream,
                limits,
                coalescer: None,
            },
        }
    }

    /// The same gateway, whose bulk reads of one token and source share
    /// batches where they meet within so long.
    ///
    /// # Errors
    ///
    /// If there can be no thread for the clock of that.
    pub fn with_merged_reads(mut self, window: Duration) -> io::Result<Self> {
        self.bulk.coalescer = Some(BatchCoalescer::new(window)?);
        Ok(self)
    }

    /// What a bulk call is granted.
    #[must_use]
    pub fn bulk_limits(&self) -> BulkLimits {
        self.bulk.limits
    }

    /// One call, one request upstream.
    async fn forward<O: Operation>(&self, call: Request<O>) -> Answer<O::Response> {
        self.serve(call, |context, request| async move {
            context.forward(&self.bulk.upstream, &request).await
        })
        .await
    }

    /// One call, as many requests upstream as it takes.
    async fn fan_out<O: Bulk>(&self, call: Request<O>) -> Answer<O::Response> {
        self.serve(call, |context, request| async move {
            request.fan_out(&context, &self.bulk).await
        })
        .await
    }

    /// Between gRPC and the core: metadata in, and an answer or a status out.
    async fn serve<O, T, F>(
        &self,
        call: Request<O>,
        handle: impl FnOnce(CallContext, O) -> F,
    ) -> Answer<T>
    where
        F: Future<Output = Result<Reply<T>, Failure>>,
    {
        let (metadata, extensions, request) = call.into_parts();
        let session = call_context(&metadata, &extensions)?;
        let RequestContext {
            deadline,
            access_log,
            ..
        } = session.request.clone();
        let served = handle(session, request).await;
        match served {
            Ok(Reply {
                body,
                correlation_id,
            }) => {
                access_log.finish(tonic::Code::Ok, None);
                let mut response = Response::new(body);
                if let Some(id) = correlation_id.and_then(|id| id.to_str().ok()?.parse().ok()) {
                    response.metadata_mut().insert(CORRELATION_ID, id);
                }
                Ok(response)
            }
            Err(failure) => {
                let status = failure.into_status(deadline.remaining());
                access_log.finish_with(&status);
                Err(status)
            }
        }
    }
}

/// The context of a call, which the pipeline has put beside it.
fn call_context(metadata: &MetadataMap, extensions: &Extensions) -> Result<CallContext, Status> {
    let (Some(deadline), Some(access_log), Some(caller), Some(memory)) = (
        extensions.get::<Deadline>().cloned(),
        extensions.get::<AccessLog>().cloned(),
        extensions.get::<Caller>().cloned(),
        extensions.get::<MemoryLease>().cloned(),
    ) else {
        let error = Error::ContextMissing;
        return Err(Failure::from(error).into_status(Duration::ZERO));
    };
    Ok(CallContext {
        request: RequestContext {
            caller,
            deadline,
            access_log,
            memory,
            is_retry: is_retry(metadata.as_ref()),
            reservations: Reservations::default(),
        },
    })
}

/// Whether a client says that it repeats a call (gRFC A6).
fn is_retry(metadata: &http::HeaderMap) -> bool {
    let attempts = metadata.get("grpc-previous-rpc-attempts");
    attempts.is_some_and(|attempts| attempts != "0")
}
