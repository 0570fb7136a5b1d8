//! Envoy with its transcoder, with the gateway's descriptors.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use presence_gateway::proto;
use prost::Message;
use prost_reflect::{DynamicMessage, Value};
use serde_json::{Value as Json, json};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::scenario::ANYWHERE;
use crate::scenario::process::Process;
use crate::scenario::vendor::Vendor;
use crate::upstream::WRAPPING_SENDER;

/// The longest time to start.
const START: Duration = Duration::from_secs(20);

/// A running Envoy.
#[derive(Debug)]
pub(super) struct Envoy {
    process: Process,
    /// The address it listens on.
    pub address: SocketAddr,
}

impl Envoy {
    /// Starts one with a single worker in front of the vendor at `upstream`;
    /// its files are in `directory`.
    pub(super) async fn start(
        program: &Path,
        upstream: &Vendor,
        directory: &Path,
    ) -> Result<Self, String> {
        let wrong = |error: &dyn std::fmt::Display| format!("envoy: {error}");
        let free = TcpListener::bind(ANYWHERE).and_then(|listener| listener.local_addr());
        let address = free.map_err(|error| wrong(&error))?;
        let descriptors = directory.join("envoy.binpb");
        fs::write(&descriptors, wrapping()?).map_err(|error| wrong(&error))?;
        let config = config(address, upstream, &descriptors);
        let path = directory.join("envoy.json");
        fs::write(&path, config.to_string()).map_err(|error| wrong(&error))?;
        let log = File::create(directory.join("envoy.log")).map_err(|error| wrong(&error))?;
        let path = path.display().to_string();
        let arguments = ["-c", &path, "--concurrency", "1", "--disable-hot-restart"];
        let mut arguments: Vec<String> = arguments.map(str::to_owned).into();
        arguments.extend(["--log-level", "warn"].map(str::to_owned));
        let mut process = Process::start(program, &arguments, &[], log)?;
        let end = Instant::now() + START;
        while TcpStream::connect(address).await.is_err() {
            let ended = process.child().try_wait().ok().flatten();
            if ended.is_some() || Instant::now() > end {
                return Err(format!("envoy does not serve; see {}", directory.display()));
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(Self { process, address })
    }

    /// The id of its process.
    pub(super) fn pid(&self) -> u32 {
        self.process.pid()
    }
}

/// One listener, one route, one cluster with kept connections; no access log,
/// no request ids, no spans.
fn config(address: SocketAddr, upstream: &Vendor, descriptors: &Path) -> Json {
    let place = |address: SocketAddr| {
        let (host, port) = (address.ip().to_string(), address.port());
        json!({ "socket_address": { "address": host, "port_value": port } })
    };
    let filters = json!([
        {
            "name": "envoy.filters.http.grpc_json_reverse_transcoder",
            "typed_config": typed(
                "filters.http.grpc_json_reverse_transcoder.v3.GrpcJsonReverseTranscoder",
                json!({ "descriptor_path": descriptors }),
            ),
        },
        {
            "name": "envoy.filters.http.router",
            // The vendor ignores this header.
            "typed_config": typed("filters.http.router.v3.Router", json!({
                "suppress_envoy_headers": true,
            })),
        },
    ]);
    let manager = json!({
        "stat_prefix": "grpc",
        "codec_type": "HTTP2",
        "generate_request_id": false,
        "http_filters": filters,
        "route_config": { "virtual_hosts": [{
            "name": "vendor",
            "domains": ["*"],
            "routes": [{
                "match": { "prefix": "/" },
                "route": { "cluster": "vendor", "prefix_rewrite": format!("{WRAPPING_SENDER}/") },
            }],
        }] },
    });
    let manager = typed(
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        manager,
    );
    let chain = json!({ "filters": [{
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": manager,
    }] });
    let mut cluster = cluster(upstream);
    let upstream = upstream
        .tls
        .as_ref()
        .map_or(upstream.address, |tls| tls.address);
    let endpoint = json!({ "endpoint": { "address": place(upstream) } });
    cluster["load_assignment"] = json!({
        "cluster_name": "vendor",
        "endpoints": [{ "lb_endpoints": [endpoint] }],
    });
    json!({ "static_resources": {
        "listeners": [{ "name": "grpc", "address": place(address), "filter_chains": [chain] }],
        "clusters": [cluster],
    } })
}

/// The cluster without its address: HTTP/1.1, or what is negotiated by TLS.
fn cluster(upstream: &Vendor) -> Json {
    let mut protocol = json!({ "common_http_protocol_options": { "idle_timeout": "20s" } });
    let http1 = json!({ "http_protocol_options": {} });
    let mut cluster = json!({ "name": "vendor", "type": "STATIC", "connect_timeout": "3s" });
    if let Some(tls) = &upstream.tls {
        let trusted = json!({ "trusted_ca": { "filename": tls.ca } });
        cluster["transport_socket"] = json!({
            "name": "envoy.transport_sockets.tls",
            "typed_config": typed("transport_sockets.tls.v3.UpstreamTlsContext", json!({
                "common_tls_context": { "validation_context": trusted },
            })),
        });
        protocol["auto_config"] = http1;
        protocol["auto_config"]["http2_protocol_options"] = json!({});
    } else {
        protocol["explicit_http_config"] = http1;
    }
    let protocol = typed("upstreams.http.v3.HttpProtocolOptions", protocol);
    cluster["typed_extension_protocol_options"] =
        json!({ "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": protocol });
    cluster
}

fn typed(name: &str, mut config: Json) -> Json {
    config["@type"] = format!("type.googleapis.com/envoy.extensions.{name}").into();
    config
}

/// The descriptors, changed so that every response is an object: Envoy reads no
/// bare array, so its upstream wraps lists.
fn wrapping() -> Result<Vec<u8>, String> {
    let missing = |name: &str| format!("the descriptors have no {name}");
    let pool = proto::pool();
    let name = "google.protobuf.FileDescriptorSet";
    let set = pool
        .get_message_by_name(name)
        .ok_or_else(|| missing(name))?;
    let name = "google.api.http";
    let http = pool
        .get_extension_by_name(name)
        .ok_or_else(|| missing(name))?;
    let set = DynamicMessage::decode(set, proto::DESCRIPTORS);
    let mut set = set.map_err(|error| error.to_string())?;
    for file in messages(&mut set, "file") {
        for service in messages(file, "service") {
            for method in messages(service, "method") {
                let options = method.get_field_by_name_mut("options");
                let Some(Value::Message(options)) = options else {
                    continue;
                };
                if options.has_extension(&http)
                    && let Value::Message(rule) = options.get_extension_mut(&http)
                {
                    rule.clear_field_by_name("response_body");
                }
            }
        }
    }
    Ok(set.encode_to_vec())
}

/// The element type of a list.
fn messages<'a>(
    of: &'a mut DynamicMessage,
    field: &str,
) -> impl Iterator<Item = &'a mut DynamicMessage> + use<'a> {
    let list = of.get_field_by_name_mut(field).and_then(Value::as_list_mut);
    let list = list.map(|list| list.iter_mut()).into_iter().flatten();
    list.filter_map(Value::as_message_mut)
}
