//! Reflection as a conversation: what is not known is an answer, not an end.

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

/// Asks all of this on one stream; gives what came before its end, and the end
/// where it is an error. Both versions have the same messages on the wire.
async fn asked(
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
    let mut answers = client
        .streaming(requests, path, codec)
        .await
        .unwrap()
        .into_inner();
    let mut told = Vec::new();
    while let Some(answer) = answers.next().await {
        match answer {
            Ok(answer) => told.push(answer),
            Err(status) => return (told, Some(status)),
        }
    }
    (told, None)
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

/// What one question is answered with, in a version of the protocol.
async fn answer(gateway: &Gateway, version: &str, message: MessageRequest) -> MessageResponse {
    let (answers, end) = asked(gateway, version, vec![request(Some(message.clone()))]).await;
    match answers.as_slice() {
        [answer] if end.is_none() => answer.message_response.clone().unwrap(),
        _ => panic!("{message:?}: {answers:?}, {end:?}"),
    }
}

/// The names of the files of an answer.
#[track_caller]
fn files(answer: &MessageResponse) -> Vec<String> {
    let FileDescriptorResponse(files) = answer else {
        panic!("{answer:?}");
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
async fn what_is_not_known_is_an_error_of_its_own_and_the_stream_goes_on() {
    let gateway = Gateway::start_without_vendor().await;
    for version in VERSIONS {
        for (wrong, code, says) in [
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
            let (answers, end) = asked(&gateway, version, requests.clone()).await;
            assert!(end.is_none(), "{version}: {requests:?} ended with {end:?}");
            let [error, known] = answers.as_slice() else {
                panic!("{version}: {requests:?}: {answers:?}");
            };
            let Some(ErrorResponse(told)) = &error.message_response else {
                panic!("{version}: {requests:?}: {error:?}");
            };
            assert_eq!(told.error_code, code as i32, "{version}: {error:?}");
            assert!(told.error_message.contains(says), "{version}: {error:?}");
            let file = files(known.message_response.as_ref().unwrap());
            assert_eq!(file, ["genesys/presence/v1/presence_service.proto"]);
            for (answer, request) in answers.iter().zip(&requests) {
                assert_eq!(answer.original_request.as_ref(), Some(request), "{version}");
                assert_eq!(answer.valid_host, "a.host", "{version}");
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
            // A value has its enumeration as a neighbour, and not as a parent.
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
            let answer = answer(&gateway, version, symbol(name)).await;
            let FileDescriptorResponse(_) = &answer else {
                panic!("{version}: {name}: {answer:?}");
            };
            assert_eq!(files(&answer), [file], "{version}: {name}");
        }
    }
}

#[tokio::test]
async fn extensions_are_told_with_the_files_that_have_them() {
    let gateway = Gateway::start_without_vendor().await;
    for version in VERSIONS {
        let all = async |name: &str| {
            let all = AllExtensionNumbersOfType(name.to_owned());
            match answer(&gateway, version, all).await {
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
            let told = &options.extension_number;
            assert!(told.contains(&number), "{version}: {told:?}");
            let file_of = extension("google.protobuf.MethodOptions", number);
            let answer = answer(&gateway, version, file_of).await;
            assert_eq!(files(&answer), [file], "{version}");
        }
        let none = all("genesys.presence.v1.UserPresence").await;
        assert!(none.extension_number.is_empty(), "{version}: {none:?}");
    }
}

#[tokio::test]
async fn both_versions_list_both_of_them() {
    let gateway = Gateway::start_without_vendor().await;
    for version in VERSIONS {
        let list = answer(&gateway, version, ListServices(String::new())).await;
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
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection",
            "grpc.reflection.v1alpha.ServerReflection",
        ];
        assert_eq!(names, expected, "{version}");
    }
}
