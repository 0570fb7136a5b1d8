//! The gRPC services. The build generates how each unary RPC is served.

mod codec;
mod servers;
mod streams;
mod unary;
mod watch;

use std::sync::Arc;

use axum::body::Body;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::codegen::Service;
use tonic::{Code, Response, Status};

use crate::bulk::BulkContext;
use crate::context::CallContext;
use crate::error::{CORRELATION_ID, Failure};
use crate::proto::EncodedMessage;
use crate::rpc::{MAX_REQUEST, MAX_STREAM_MESSAGE};
use crate::upstream::UpstreamResponse;
use crate::watch::Watches;

pub use servers::SERVICES;
use servers::presence_stream_service_server::PresenceStreamServiceServer;
use servers::presence_watch_service_server::{self, PresenceWatchServiceServer};

type GrpcResult<T> = Result<Response<T>, Status>;

/// The services in front of one upstream. Clones share it.
#[derive(Debug, Clone)]
pub struct Gateway(Arc<Upstreams>);

/// What the services call.
#[derive(Debug)]
struct Upstreams {
    bulk: BulkContext,
    watches: Watches,
}

/// Implements the services for one call. tonic passes a handler only its request,
/// so the services are built for each call, with its context. [`Gateway::call`]
/// selects one without a router: a second one inside of the server's, and that,
/// were a tenth of the processor time of a small call.
struct Handler {
    gateway: Gateway,
    context: CallContext,
}

impl Gateway {
    /// A gateway with this upstream, and the watches of it.
    #[must_use]
    pub fn new(bulk: BulkContext, watches: Watches) -> Self {
        Self(Arc::new(Upstreams { bulk, watches }))
    }

    /// Serves a call that was admitted.
    pub fn call(
        &self,
        context: CallContext,
        request: http::Request<Body>,
    ) -> impl Future<Output = http::Response<Body>> + Send + use<> {
        let rpc = context.rpc;
        let handler = Handler {
            gateway: self.clone(),
            context,
        };
        macro_rules! call {
            ($server:ident, $max:ident) => {{
                let server = $server::new(handler).max_decoding_message_size($max);
                // The pipeline decompresses the message of a watch.
                let mut server = server.accept_compressed(Gzip).send_compressed(Gzip);
                server.call(request)
            }};
        }
        let response = match unary::find(&rpc.name) {
            Some(serve) => unary::call(handler, serve, request),
            None if rpc.service() == presence_watch_service_server::SERVICE_NAME => {
                call!(PresenceWatchServiceServer, MAX_REQUEST)
            }
            None => call!(PresenceStreamServiceServer, MAX_STREAM_MESSAGE),
        };
        async {
            let Ok(response) = response.await;
            response.map(Body::new)
        }
    }
}

impl Handler {
    /// The response of a unary call.
    fn respond(
        &self,
        result: Result<UpstreamResponse<EncodedMessage>, Failure>,
    ) -> GrpcResult<EncodedMessage> {
        let upstream = result.map_err(|failure| status(&self.context, failure))?;
        self.context.request.access_log.finish(Code::Ok, None);
        let mut response = Response::new(upstream.body);
        let id = upstream.correlation_id;
        if let Some(id) = id.and_then(|id| id.to_str().ok()?.parse().ok()) {
            response.metadata_mut().insert(CORRELATION_ID, id);
        }
        Ok(response)
    }
}

/// The status of a call that failed. Records it in the access log.
fn status(context: &CallContext, failure: Failure) -> Status {
    let status = failure.into_status(context.request.deadline.remaining());
    context.request.access_log.finish_with(&status);
    status
}
