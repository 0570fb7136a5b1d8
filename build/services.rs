//! Generates tonic's servers, and the handler of each operation.

use std::fmt::Write;
use std::path::Path;

use prost_reflect::{DescriptorPool, MessageDescriptor};
use tonic_build::manual::{Method, Service};

use crate::annotation::{Operation, PACKAGE};

/// The request field that makes an RPC a bulk RPC; `src/rpc.rs` names it too.
const BULK: &str = "allow_partial_results";

/// Generates the implementation of each service: one handler per operation, which
/// forwards the call or fans it out. `src/grpc.rs` includes it.
pub fn handlers(operations: &[Operation]) -> String {
    let rpcs = operations.iter().map(|operation| &operation.rpc);
    let mut code = String::new();
    let mut service = None;
    for rpc in rpcs {
        let parent = rpc.parent_service();
        if service.as_ref() != Some(&parent) {
            let end = if service.is_some() { "}\n\n" } else { "" };
            let _ = write!(
                code,
                "{end}#[async_trait]\nimpl {} for Handler {{\n",
                parent.name()
            );
            service = Some(parent);
        }
        let is_bulk = rpc.input().get_field_by_name(BULK).is_some();
        let _ = write!(
            code,
            "    async fn {name}(&self, call: Request<{input}>) -> GrpcResult<EncodedMessage> {{
        self.{handler}(call.into_inner()).await
    }}
",
            name = snake_case(rpc.name()),
            input = rpc.input().name(),
            handler = if is_bulk { "fan_out" } else { "forward" },
        );
    }
    code + "}\n"
}

/// Generates tonic's servers. The unary RPCs return messages that are encoded already.
pub fn servers(pool: &DescriptorPool, operations: &[Operation], out: &Path) {
    let services = pool
        .services()
        .filter(|service| service.package_name() == PACKAGE);
    let services: Vec<_> = services
        .map(|service| {
            let mut server = Service::builder().name(service.name()).package(PACKAGE);
            for rpc in service.methods() {
                let is_encoded = operations.iter().any(|operation| operation.rpc == rpc);
                let path =
                    |message: MessageDescriptor| format!("crate::proto::v1::{}", message.name());
                let (output, codec) = if is_encoded || rpc.is_client_streaming() {
                    (
                        "crate::proto::EncodedMessage".to_owned(),
                        "crate::grpc::codec::EncodedCodec",
                    )
                } else {
                    (path(rpc.output()), "tonic_prost::ProstCodec")
                };
                let mut method = Method::builder()
                    .name(snake_case(rpc.name()))
                    .route_name(rpc.name())
                    .input_type(path(rpc.input()))
                    .output_type(output)
                    .codec_path(codec);
                if rpc.is_client_streaming() {
                    method = method.client_streaming();
                }
                if rpc.is_server_streaming() {
                    method = method.server_streaming();
                }
                server = server.method(method.build());
            }
            server.build()
        })
        .collect();
    let builder = tonic_build::manual::Builder::new();
    builder.build_client(false).out_dir(out).compile(&services);
}

/// `GetUserPresence` as `get_user_presence`, the name of the method that tonic generates.
pub fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}
