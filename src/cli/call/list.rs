//! `call --list`: the RPCs with a line of comment each, or as JSON.

use std::fmt::Write;

use prost_reflect::MethodDescriptor;

use crate::proto::comments::{RpcComment, paragraphs};
use crate::proto::{self, pool};

const END: &str = "\
`presence-gateway call RPC --describe` describes an RPC, and has a request to paste.
";

/// All RPCs, by service.
pub(super) fn list() -> String {
    let names = proto::methods().map(|rpc| rpc.name().len());
    let width = names.max().unwrap_or_default();
    let services = pool()
        .services()
        .filter(|service| service.methods().len() > 0);
    let mut text = String::new();
    for service in services {
        let comment = paragraphs(&service.parent_file(), service.path());
        let summary = comment.first().map_or("", String::as_str);
        // `write!` to a `String` cannot fail.
        let _ = write!(text, "{}\n  {summary}\n\n", service.full_name());
        for rpc in service.methods() {
            let _ = writeln!(text, "  {:width$}  {}", rpc.name(), line(&rpc));
        }
        text.push('\n');
    }
    text + END
}

/// All RPCs as JSON, in one line.
pub(super) fn json() -> String {
    let rpc = |rpc: MethodDescriptor| {
        let comment = RpcComment::new(&rpc);
        serde_json::json!({
            "name": rpc.name(),
            "service": rpc.parent_service().full_name(),
            "summary": comment.text.first(),
            "permissions": comment.permissions,
            "deprecated": is_deprecated(&rpc),
            "stream": is_stream(&rpc),
        })
    };
    let rpcs: Vec<_> = proto::methods().map(rpc).collect();
    format!("{}\n", serde_json::Value::from(rpcs))
}

/// An RPC in one line.
fn line(rpc: &MethodDescriptor) -> String {
    let comment = RpcComment::new(rpc);
    let summary = comment.text.first().map_or("", String::as_str);
    let mark = match (is_deprecated(rpc), is_stream(rpc)) {
        (true, _) => "[deprecated] ",
        (_, true) => "[stream] ",
        _ => "",
    };
    format!("{mark}{summary}")
}

/// Whether an RPC is a stream of ids, or a watch.
fn is_stream(rpc: &MethodDescriptor) -> bool {
    rpc.is_client_streaming() || rpc.is_server_streaming()
}

/// Whether the vendor deprecates an RPC.
pub(super) fn is_deprecated(rpc: &MethodDescriptor) -> bool {
    let options = rpc.method_descriptor_proto().options.as_ref();
    options.is_some_and(prost_types::MethodOptions::deprecated)
}
