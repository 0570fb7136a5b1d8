//! Generates tonic's servers of streams, and how each unary RPC is served.

use std::path::Path;
use std::{fs, io};

use prost_reflect::{DescriptorPool, MessageDescriptor, ServiceDescriptor};
use tonic_build::manual::{Method, Service};

use crate::annotation::{Operation, PACKAGE};

/// The request field that makes an RPC a bulk RPC; `src/rpc.rs` names it too.
const BULK: &str = "allow_partial_results";

/// Generates how each unary RPC is served: by the operation of its request, which is
/// forwarded or fanned out. `src/grpc/unary.rs` includes it.
pub fn handlers(operations: &[Operation]) -> String {
    let arms: String = operations
        .iter()
        .map(|Operation { rpc, .. }| {
            let is_bulk = rpc.input().get_field_by_name(BULK).is_some();
            format!(
                "        \"{service}/{name}\" => Serve::{handler}::<{input}>),\n",
                service = rpc.parent_service().full_name(),
                name = rpc.name(),
                handler = if is_bulk {
                    "FanOut(fan_out"
                } else {
                    "Forward(encode"
                },
                input = rpc.input().name(),
            )
        })
        .collect();
    format!(
        "/// How a unary RPC is served.
pub(super) fn find(rpc: &str) -> Option<Serve> {{
    Some(match rpc {{
{arms}        _ => return None,
    }})
}}
"
    )
}

/// Generates tonic's servers of the services that stream, and the names of all services.
pub fn servers(pool: &DescriptorPool, out: &Path) -> io::Result<()> {
    let services = pool.services();
    let services: Vec<_> = services
        .filter(|service| service.package_name() == PACKAGE)
        .collect();
    let names: String = services
        .iter()
        .map(|service| format!("    {:?},\n", service.full_name()))
        .collect();
    let code = format!(
        "/// The full names of the services.\npub const SERVICES: [&str; {}] = [\n{names}];\n",
        services.len()
    );
    fs::write(out.join("service_names.rs"), code)?;
    let servers: Vec<_> = services.iter().filter_map(server).collect();
    let builder = tonic_build::manual::Builder::new();
    builder.build_client(false).out_dir(out).compile(&servers);
    Ok(())
}

/// tonic's server of a service, if that streams. Streams of ids return messages that are
/// encoded already.
fn server(service: &ServiceDescriptor) -> Option<Service> {
    let mut server = Service::builder().name(service.name()).package(PACKAGE);
    for rpc in service.methods() {
        if !rpc.is_server_streaming() {
            return None;
        }
        let path = |message: MessageDescriptor| format!("crate::proto::v1::{}", message.name());
        let (output, codec) = if rpc.is_client_streaming() {
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
            .codec_path(codec)
            .server_streaming();
        if rpc.is_client_streaming() {
            method = method.client_streaming();
        }
        server = server.method(method.build());
    }
    Some(server.build())
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
