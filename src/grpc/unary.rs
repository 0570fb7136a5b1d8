//! The unary RPCs. All are served by the same code: tonic reads a message without its
//! type, which the function that the build selects for the RPC decodes. With a type for
//! each RPC, tonic's code was compiled 27 times.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use prost::Message;
use tonic::Status;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::codec::EnabledCompressionEncodings;
use tonic::server::{Grpc, UnaryService};

use super::codec::RawCodec;
use super::{GrpcResult, Handler};
use crate::bulk::Bulk;
use crate::error::Failure;
use crate::operation::{self, Operation, RestRequest};
use crate::proto::EncodedMessage;
#[allow(clippy::wildcard_imports, reason = "a message for each RPC")]
use crate::proto::v1::*;
use crate::rpc::MAX_REQUEST;

/// How an RPC is served.
pub(super) enum Serve {
    /// By one request upstream, to which its message is encoded.
    Forward(fn(Bytes) -> Result<RestRequest, Unsendable>),
    /// By as many requests upstream as it needs.
    FanOut(fn(Arc<Handler>, Bytes) -> BoxFuture<'static, GrpcResult<EncodedMessage>>),
}

include!(concat!(env!("OUT_DIR"), "/services.rs"));

/// Why a message cannot be sent upstream.
pub(super) enum Unsendable {
    /// It is not the message of the RPC.
    Undecodable(Status),
    Invalid(Failure),
}

/// Serves a call.
pub(super) fn call(
    handler: Handler,
    serve: Serve,
    request: Request<Body>,
) -> BoxFuture<'static, Result<Response<tonic::body::Body>, std::convert::Infallible>> {
    // The pipeline decompresses the message.
    let mut gzip = EnabledCompressionEncodings::default();
    gzip.enable(Gzip);
    Box::pin(async move {
        let mut grpc = Grpc::new(RawCodec)
            .apply_compression_config(gzip, gzip)
            .apply_max_message_size_config(Some(MAX_REQUEST), None);
        Ok(grpc.unary(Unary(Arc::new(handler), serve), request).await)
    })
}

struct Unary(Arc<Handler>, Serve);

impl UnaryService<Bytes> for Unary {
    type Response = EncodedMessage;
    type Future = BoxFuture<'static, GrpcResult<EncodedMessage>>;

    fn call(&mut self, call: tonic::Request<Bytes>) -> Self::Future {
        let (handler, message) = (Arc::clone(&self.0), call.into_inner());
        match self.1 {
            Serve::Forward(encode) => Box::pin(async move {
                let request = match encode(message) {
                    Ok(request) => request,
                    Err(Unsendable::Undecodable(status)) => return Err(status),
                    Err(Unsendable::Invalid(failure)) => return handler.respond(Err(failure)),
                };
                let upstream = &handler.gateway.0.bulk.upstream;
                handler.respond(handler.context.send(upstream, &request).await)
            }),
            Serve::FanOut(fan_out) => fan_out(handler, message),
        }
    }
}

/// Encodes the message of an RPC as the request of its operation.
fn encode<O: Operation + Message + Default>(message: Bytes) -> Result<RestRequest, Unsendable> {
    let request: O = decode(message).map_err(Unsendable::Undecodable)?;
    operation::encode(&request).map_err(|violations| Unsendable::Invalid(violations.into()))
}

/// Serves a bulk call.
fn fan_out<O: Bulk + Message + Default>(
    handler: Arc<Handler>,
    message: Bytes,
) -> BoxFuture<'static, GrpcResult<EncodedMessage>> {
    Box::pin(async move {
        let request: O = decode(message)?;
        let bulk = &handler.gateway.0.bulk;
        handler.respond(request.fan_out(&handler.context, bulk).await)
    })
}

/// Decodes a message, with the status of tonic's codec if it cannot be.
fn decode<T: Message + Default>(message: Bytes) -> Result<T, Status> {
    T::decode(message).map_err(|error| Status::internal(error.to_string()))
}
