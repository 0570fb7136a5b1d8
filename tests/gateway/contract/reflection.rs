//! Clients fetch the protos through reflection.

use std::collections::{BTreeMap, HashSet};

use futures_util::{StreamExt, stream};
use prost::Message;
use prost_reflect::{DescriptorPool, ReflectMessage};
use prost_types::FileDescriptorProto;

use crate::support::Gateway;
use crate::support::vendor_api::api;

/// Defines a client for one version: both have the same messages in different
/// types.
macro_rules! client {
    ($version:ident) => {
        pub mod $version {
            use super::{Gateway, StreamExt, stream};
            use tonic_reflection::pb::$version::server_reflection_client::ServerReflectionClient;
            use tonic_reflection::pb::$version::server_reflection_request::MessageRequest;
            use tonic_reflection::pb::$version::server_reflection_response::MessageResponse;
            use tonic_reflection::pb::$version::{
                ServerReflectionRequest, ServerReflectionResponse,
            };

            async fn exchange(gateway: &Gateway, message: MessageRequest) -> MessageResponse {
                let request = ServerReflectionRequest {
                    host: String::new(),
                    message_request: Some(message),
                };
                let mut client = ServerReflectionClient::new(gateway.channel.clone());
                let responses = client.server_reflection_info(stream::iter([request])).await;
                let responses: Vec<_> = responses.unwrap().into_inner().collect().await;
                let [
                    Ok(ServerReflectionResponse {
                        message_response: Some(response),
                        ..
                    }),
                ] = responses.as_slice()
                else {
                    panic!("{responses:?}");
                };
                response.clone()
            }

            pub async fn services(gateway: &Gateway) -> Vec<String> {
                let list = MessageRequest::ListServices(String::new());
                match exchange(gateway, list).await {
                    MessageResponse::ListServicesResponse(list) => list
                        .service
                        .into_iter()
                        .map(|service| service.name)
                        .collect(),
                    other => panic!("{other:?}"),
                }
            }

            pub async fn files(
                gateway: &Gateway,
                symbol: Option<&str>,
                file: &str,
            ) -> Vec<Vec<u8>> {
                let request = match symbol {
                    Some(symbol) => MessageRequest::FileContainingSymbol(symbol.to_owned()),
                    None => MessageRequest::FileByFilename(file.to_owned()),
                };
                match exchange(gateway, request).await {
                    MessageResponse::FileDescriptorResponse(files) => files.file_descriptor_proto,
                    other => panic!("{symbol:?} {file}: {other:?}"),
                }
            }
        }
    };
}

client!(v1);
client!(v1alpha);

const SERVICES: [&str; 2] = [
    "genesys.presence.v1.PresenceService",
    "genesys.presence.v1.LegacyPresenceService",
];

#[tokio::test]
async fn every_service_is_listed_in_both_versions() {
    let gateway = Gateway::start_without_vendor().await;
    for listed in [
        v1::services(&gateway).await,
        v1alpha::services(&gateway).await,
    ] {
        for service in SERVICES.into_iter().chain(["grpc.health.v1.Health"]) {
            assert!(
                listed.iter().any(|name| name == service),
                "{service} is not in {listed:?}"
            );
        }
    }
}

/// Fetches the files of the services with all their imports, in one of the
/// versions.
async fn fetch_pool(gateway: &Gateway, alpha: bool) -> DescriptorPool {
    let files = async |symbol: Option<&str>, file: &str| {
        if alpha {
            v1alpha::files(gateway, symbol, file).await
        } else {
            v1::files(gateway, symbol, file).await
        }
    };
    let mut known: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut wanted: HashSet<String> = HashSet::new();
    let mut arrived = Vec::new();
    for service in SERVICES {
        arrived.extend(files(Some(service), "").await);
    }
    loop {
        for bytes in arrived.drain(..) {
            let file = FileDescriptorProto::decode(bytes.as_slice()).unwrap();
            wanted.extend(file.dependency);
            known.insert(file.name.unwrap(), bytes);
        }
        let next = wanted
            .iter()
            .find(|name| !known.contains_key(*name))
            .cloned();
        match next {
            Some(next) => arrived = files(None, &next).await,
            None => break,
        }
    }
    // A `FileDescriptorSet` has its files as field 1. It is assembled from bytes,
    // because decoding drops unknown options.
    let mut set = Vec::new();
    for file in known.values() {
        set.push(0x0a);
        prost::encode_length_delimiter(file.len(), &mut set).unwrap();
        set.extend(file);
    }
    DescriptorPool::decode(set.as_slice()).unwrap()
}

#[tokio::test]
async fn the_files_keep_every_annotation() {
    let gateway = Gateway::start_without_vendor().await;
    for alpha in [false, true] {
        let pool = fetch_pool(&gateway, alpha).await;
        let http = pool.get_extension_by_name("google.api.http").unwrap();
        let mut paths = Vec::new();
        for service in SERVICES {
            for rpc in pool.get_service_by_name(service).unwrap().methods() {
                let options = rpc.options();
                assert!(
                    options.has_extension(&http),
                    "{} has lost its annotation",
                    rpc.name()
                );
                let rule = options.get_extension(&http).into_owned();
                let rule = rule.as_message().unwrap();
                let pattern = ["get", "put", "post", "delete", "patch"]
                    .into_iter()
                    .find_map(|verb| {
                        let field = rule.descriptor().get_field_by_name(verb).unwrap();
                        let path = rule
                            .has_field(&field)
                            .then(|| rule.get_field(&field).into_owned());
                        path.map(|path| {
                            (verb.to_uppercase(), path.as_str().unwrap().replace('_', ""))
                        })
                    });
                paths.push(pattern.unwrap());
            }
        }
        let expected = api().operations.into_iter();
        let expected: Vec<_> = expected
            .map(|op| (op.method, op.path.to_lowercase()))
            .collect();
        for (_, path) in &mut paths {
            *path = path.to_lowercase();
        }
        let missing: Vec<_> = expected.iter().filter(|op| !paths.contains(op)).collect();
        let left_over: Vec<_> = paths.iter().filter(|op| !expected.contains(op)).collect();
        assert!(
            missing.is_empty() && left_over.is_empty(),
            "RPCs missing: {missing:?}; left over: {left_over:?}"
        );
        assert_eq!(paths.len(), expected.len(), "two RPCs have the same path");
    }
}
