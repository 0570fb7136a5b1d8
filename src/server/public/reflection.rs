//! The reflection service, for clients that do not have the protos.
//!
//! tonic-reflection provides the messages and the plumbing. Its own service ends
//! the stream at the first unknown name, and knows no extensions ([grpc-rust#1077](https://github.com/grpc/grpc-rust/issues/1077)).

use std::io;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use futures_util::stream::{BoxStream, StreamExt, TryStreamExt};
use http::Uri;
use prost_reflect::{DescriptorPool, FileDescriptor};
use tonic::{Code, Response, Status, Streaming};
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::server_reflection_server::{
    ServerReflection, ServerReflectionServer,
};
use tonic_reflection::pb::v1::{
    ErrorResponse, ExtensionNumberResponse, FileDescriptorResponse, ListServiceResponse,
    ServerReflectionRequest, ServerReflectionResponse, ServiceResponse,
};
use tonic_reflection::pb::{v1, v1alpha};
use tower::ServiceExt;

use crate::error::{Error, Failure};
use crate::proto;
use crate::server::limits::MAX_PUBLIC_REQUEST;

const PATH: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

/// The version of older clients: the same messages in a package of another
/// name.
const ALPHA_PATH: &str = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

/// Routes both versions of the reflection service.
///
/// # Errors
///
/// If the descriptor sets do not fit together.
pub(in crate::server) fn router() -> io::Result<Router> {
    let mut pool = proto::pool().clone();
    for descriptors in [
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        v1::FILE_DESCRIPTOR_SET,
        v1alpha::FILE_DESCRIPTOR_SET,
    ] {
        pool.decode_file_descriptor_set(descriptors)
            .map_err(io::Error::other)?;
    }
    let service = ServerReflectionServer::new(Reflection(pool));
    let service = service.max_decoding_message_size(MAX_PUBLIC_REQUEST);
    let alpha = service.clone().map_request(|mut request: Request| {
        *request.uri_mut() = Uri::from_static(PATH);
        request
    });
    Ok(Router::new()
        .route_service(PATH, service)
        .route_service(ALPHA_PATH, alpha))
}

/// The reflection service of the descriptors in this pool.
#[derive(Debug)]
struct Reflection(DescriptorPool);

#[tonic::async_trait]
impl ServerReflection for Reflection {
    type ServerReflectionInfoStream = BoxStream<'static, Result<ServerReflectionResponse, Status>>;

    async fn server_reflection_info(
        &self,
        requests: tonic::Request<Streaming<ServerReflectionRequest>>,
    ) -> Result<Response<Self::ServerReflectionInfoStream>, Status> {
        let pool = self.0.clone();
        let responses = requests.into_inner();
        let responses = responses.map_ok(move |request| respond(&pool, request));
        Ok(Response::new(
            responses.map_err(|status| unreadable(&status)).boxed(),
        ))
    }
}

/// The response to one request. An unknown name has a response too, and does not
/// end the stream.
fn respond(pool: &DescriptorPool, request: ServerReflectionRequest) -> ServerReflectionResponse {
    let (found, what) = match &request.message_request {
        Some(MessageRequest::FileByFilename(name)) => {
            let file = pool.get_file_by_name(name);
            (file.as_ref().map(file_response), format!("file `{name}`"))
        }
        Some(MessageRequest::FileContainingSymbol(name)) => {
            let file = find_defining_file(pool, name);
            (file.as_ref().map(file_response), format!("symbol `{name}`"))
        }
        Some(MessageRequest::FileContainingExtension(wanted)) => {
            let (extended, number) = (&wanted.containing_type, wanted.extension_number);
            let message = pool.get_message_by_name(extended);
            let number_of = u32::try_from(number).ok();
            let extension = number_of.and_then(|number| message?.get_extension(number));
            let file = extension.map(|extension| extension.parent_file());
            let what = format!("extension {number} of `{extended}`");
            (file.as_ref().map(file_response), what)
        }
        Some(MessageRequest::AllExtensionNumbersOfType(name)) => {
            let numbers = pool.get_message_by_name(name).map(|message| {
                let numbers = message.extensions();
                let numbers = numbers.filter_map(|known| known.number().try_into().ok());
                MessageResponse::AllExtensionNumbersResponse(ExtensionNumberResponse {
                    base_type_name: name.clone(),
                    extension_number: numbers.collect(),
                })
            });
            (numbers, format!("message `{name}`"))
        }
        Some(MessageRequest::ListServices(_)) => {
            let services = pool.services().map(|service| ServiceResponse {
                name: service.full_name().to_owned(),
            });
            let services = MessageResponse::ListServicesResponse(ListServiceResponse {
                service: services.collect(),
            });
            (Some(services), String::new())
        }
        None => {
            let text = "message_request: none of its fields is set, or one that is not known here";
            (
                Some(error_response(Code::InvalidArgument, text.to_owned())),
                String::new(),
            )
        }
    };
    let not_found = || error_response(Code::NotFound, format!("{what} is not known"));
    ServerReflectionResponse {
        valid_host: request.host.clone(),
        original_request: Some(request),
        message_response: Some(found.unwrap_or_else(not_found)),
    }
}

/// The file that defines the symbol with this full name.
fn find_defining_file(pool: &DescriptorPool, name: &str) -> Option<FileDescriptor> {
    let is = |full_name: &str| full_name == name;
    let service = pool.services().find(|service| {
        is(service.full_name()) || service.methods().any(|method| is(method.full_name()))
    });
    let message = || {
        pool.all_messages().find(|message| {
            is(message.full_name())
                || message.fields().any(|field| is(field.full_name()))
                || message.oneofs().any(|oneof| is(oneof.full_name()))
        })
    };
    let known_enum = || {
        pool.all_enums().find(|known| {
            is(known.full_name()) || known.values().any(|value| is(value.full_name()))
        })
    };
    let service = service.map(|service| service.parent_file());
    service
        .or_else(|| Some(message()?.parent_file()))
        .or_else(|| Some(known_enum()?.parent_file()))
        .or_else(|| Some(pool.get_extension_by_name(name)?.parent_file()))
}

/// The response with one file. Clients request its imports by name.
fn file_response(file: &FileDescriptor) -> MessageResponse {
    MessageResponse::FileDescriptorResponse(FileDescriptorResponse {
        file_descriptor_proto: vec![file.encode_to_vec()],
    })
}

fn error_response(code: Code, message: String) -> MessageResponse {
    MessageResponse::ErrorResponse(ErrorResponse {
        error_code: code.into(),
        error_message: message,
    })
}

/// The status of a request that tonic could not read, which ends the stream.
fn unreadable(status: &Status) -> Status {
    let error = match status.code() {
        Code::OutOfRange => Error::MessageTooLarge(MAX_PUBLIC_REQUEST),
        _ => Error::Malformed(status.message().to_owned()),
    };
    Failure::from(error).into_status(Duration::ZERO)
}
