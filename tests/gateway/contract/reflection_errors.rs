//! Reflection reports unknown names as responses, and keeps the stream open.

use futures_util::{StreamExt, stream};
use http::uri::PathAndQuery;
use prost::Message;
use prost_types::FileDescriptorProto;
use tonic::{Code, Status};
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest::{
    self, AllExtensionNumbersOfType, FileByFilename, FileContainingExtension, FileContainingSymbol,
    ListServices,
};
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse::{
    self, AllExtensionNumbersResponse, ErrorResponse, FileDescriptorResponse, ListServicesResponse,
};
use tonic_reflection::pb::v1::{
    ExtensionRequest, ServerReflectionRequest, ServerReflectionResponse,
};

use crate::support::Gateway;

const VERSIONS: [&str; 2] = ["v1", "v1alpha"];

const KNOWN: &str = "genesys.presence.v1.PresenceService";

/// Sends requests on one stream; returns the responses, and the status if it
/// fails. Both versions have the same messages on the wire.
async fn exchange(
    gateway: &Gateway,
    version: &str,
    requests: Vec<ServerReflectionRequest>,
) -> (Vec<ServerReflectionResponse>, Option<Status>) {
    let path = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
    let path: PathAndQuery = path.parse().unwrap();
    let codec =
        tonic_prost::ProstCodec::<ServerReflectionRequest, ServerReflectionResponse>::default();
    let mut client = tonic::client::Grpc::new(gateway.channel.clone());
    client.ready().await.unwrap();
    let requests = tonic::Request::new(stream::iter(requests));
    let mut stream = client
        .streaming(requests, path, codec)
        .await
        .unwrap()
        .into_inner();
    let mut responses = Vec::new();
    while let Some(result) = stream.next().await {
        match result {
            Ok(response) => responses.push(response),
            Err(status) => return (responses, Some(status)),
        }
    }
    (responses, None)
}

fn request(message: Option<MessageRequest>) -> ServerReflectionRequest {
    ServerReflectionRequest {
        host: "a.host".to_owned(),
        message_request: message,
    }
}

fn symbol(name: &str) -> MessageRequest {
    FileContainingSymbol(name.to_owned())
}

fn extension(containing_type: &str, extension_number: i32) -> MessageRequest {
    let containing_type = containing_type.to_owned();
    FileContainingExtension(ExtensionRequest {
        containing_type,
        extension_number,
    })
}

/// Sends one request in a version of the protocol; returns the response.
async fn respond(gateway: &Gateway, version: &str, message: MessageRequest) -> MessageResponse {
    let (responses, end) = exchange(gateway, version, vec![request(Some(message.clone()))]).await;
    match responses.as_slice() {
        [response] if end.is_none() => response.message_response.clone().unwrap(),
        _ => panic!("{message:?}: {responses:?}, {end:?}"),
    }
}

/// Returns the names of the files in a response.
#[track_caller]
fn files(response: &MessageResponse) -> Vec<String> {
    let FileDescriptorResponse(files) = response else {
        panic!("{response:?}");
    };
    let files = files.file_descriptor_proto.iter();
    files
        .map(|file| {
            FileDescriptorProto::decode(file.as_slice())
                .unwrap()
                .name
                .unwrap()
        })
        .collect()
}

#[tokio::test]
async fn an_unknown_name_gets_an_error_response_and_the_stream_continues() {
    let gateway = Gateway::start_without_vendor().await;
    for version in VERSIONS {
        for (wrong, code, message) in [
            (
                Some(symbol("no.such.Symbol")),
                Code::NotFound,
                "no.such.Symbol",
            ),
            (Some(symbol("")), Code::NotFound, "symbol"),
            (
                Some(symbol("genesys.presence.v1")),
                Code::NotFound,
                "genesys.presence.v1",
            ),
            (
                Some(FileByFilename("no/such.proto".to_owned())),
                Code::NotFound,
                "no/such.proto",
            ),
            (
                Some(extension("no.such.Message", 1)),
                Code::NotFound,
                "no.such.Message",
            ),
            (
                Some(extension("google.protobuf.MethodOptions", 1)),
                Code::NotFound,
                "1",
            ),
            (
                Some(extension("google.protobuf.MethodOptions", -1)),
                Code::NotFound,
                "-1",
            ),
            (
                Some(AllExtensionNumbersOfType("no.such.Message".to_owned())),
                Code::NotFound,
                "no.such.Message",
            ),
            (None, Code::InvalidArgument, "message_request"),
        ] {
            let requests = vec![request(wrong), request(Some(symbol(KNOWN)))];
            let (responses, end) = exchange(&gateway, version, requests.clone()).await;
            assert!(end.is_none(), "{version}: {requests:?} ended with {end:?}");
            let [error, known] = responses.as_slice() else {
                panic!("{version}: {requests:?}: {responses:?}");
            };
            let Some(ErrorResponse(reported)) = &error.message_response else {
                panic!("{version}: {requests:?}: {error:?}");
            };
            assert_eq!(reported.error_code, code as i32, "{version}: {error:?}");
            assert!(
                reported.error_message.contains(message),
                "{version}: {error:?}"
            );
            let file = files(known.message_response.as_ref().unwrap());
            assert_eq!(file, ["genesys/presence/v1/presence_service.proto"]);
            for (response, request) in responses.iter().zip(&requests) {
                assert_eq!(
                    response.original_request.as_ref(),
                    Some(request),
                    "{version}"
                );
                assert_eq!(response.valid_host, "a.host", "{version}");
            }
        }
    }
}

#[tokio::test]
async fn every_kind_of_symbol_is_found() {
    let gateway = Gateway::start_without_vendor().await;
    let health = "health.proto";
    let options = "genesys/presence/v1/options.proto";
    for version in VERSIONS {
        for (name, file) in [
            (
                "genesys.presence.v1.PresenceService",
                "genesys/presence/v1/presence_service.proto",
            ),
            (
                "genesys.presence.v1.PresenceService.GetUserPresence",
                "genesys/presence/v1/presence_service.proto",
            ),
            (
                "genesys.presence.v1.UserPresence",
                "genesys/presence/v1/presence.proto",
            ),
            (
                "genesys.presence.v1.UserPresence.source_id",
                "genesys/presence/v1/presence.proto",
            ),
            ("genesys.presence.v1.Permissions.Mode", options),
            ("genesys.presence.v1.permissions", options),
            // The name of a value has the parent of its enumeration.
            ("genesys.presence.v1.Permissions.MODE_ANY", options),
            ("google.api.HttpRule.pattern", "google/api/http.proto"),
            ("google.rpc.ErrorInfo", "google/rpc/error_details.proto"),
            (
                "google.protobuf.FieldDescriptorProto.Type",
                "google/protobuf/descriptor.proto",
            ),
            ("grpc.health.v1.Health.Watch", health),
            ("grpc.health.v1.HealthCheckResponse.SERVING", health),
        ] {
            let response = respond(&gateway, version, symbol(name)).await;
            let FileDescriptorResponse(_) = &response else {
                panic!("{version}: {name}: {response:?}");
            };
            assert_eq!(files(&response), [file], "{version}: {name}");
        }
    }
}

#[tokio::test]
async fn extensions_are_listed_and_found_in_their_files() {
    let gateway = Gateway::start_without_vendor().await;
    for version in VERSIONS {
        let all = async |name: &str| {
            let all = AllExtensionNumbersOfType(name.to_owned());
            match respond(&gateway, version, all).await {
                AllExtensionNumbersResponse(all) => all,
                other => panic!("{version}: {name}: {other:?}"),
            }
        };
        let options = all("google.protobuf.MethodOptions").await;
        assert_eq!(options.base_type_name, "google.protobuf.MethodOptions");
        for (number, file) in [
            (72_295_728, "google/api/annotations.proto"),
            (50_001, "genesys/presence/v1/options.proto"),
        ] {
            let numbers = &options.extension_number;
            assert!(numbers.contains(&number), "{version}: {numbers:?}");
            let extension = extension("google.protobuf.MethodOptions", number);
            let response = respond(&gateway, version, extension).await;
            assert_eq!(files(&response), [file], "{version}");
        }
        let none = all("genesys.presence.v1.UserPresence").await;
        assert!(none.extension_number.is_empty(), "{version}: {none:?}");
    }
}

#[tokio::test]
async fn each_version_lists_both_versions() {
    let gateway = Gateway::start_without_vendor().await;
    for version in VERSIONS {
        let list = respond(&gateway, version, ListServices(String::new())).await;
        let ListServicesResponse(list) = list else {
            panic!("{version}: {list:?}");
        };
        let mut names: Vec<_> = list
            .service
            .into_iter()
            .map(|service| service.name)
            .collect();
        names.sort();
        let expected = [
            "genesys.presence.v1.LegacyPresenceService",
            "genesys.presence.v1.PresenceService",
            "genesys.presence.v1.PresenceStreamService",
            "genesys.presence.v1.PresenceWatchService",
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection",
            "grpc.reflection.v1alpha.ServerReflection",
        ];
        assert_eq!(names, expected, "{version}");
    }
}
