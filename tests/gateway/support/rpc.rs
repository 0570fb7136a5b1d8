//! The RPCs by their descriptors, and requests for them.

use presence_gateway::proto;
use prost::Message;
use prost_reflect::{DynamicMessage, Kind, MethodDescriptor};
use serde_json::{Value, json};

/// The RPCs that map to a vendor operation: all but the streams and the watch.
pub fn methods() -> Vec<MethodDescriptor> {
    let all = all_methods().into_iter();
    all.filter(|method| !method.is_server_streaming()).collect()
}

/// All RPCs.
pub fn all_methods() -> Vec<MethodDescriptor> {
    proto::methods().collect()
}

pub fn method(rpc: &str) -> MethodDescriptor {
    all_methods()
        .into_iter()
        .find(|method| method.name() == rpc)
        .unwrap_or_else(|| panic!("no RPC {rpc}: add it to proto/genesys/presence/v1"))
}

pub fn path(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

/// Encodes a request.
pub fn encode(method: &MethodDescriptor, request: Value) -> Vec<u8> {
    let message = DynamicMessage::deserialize(method.input(), request).unwrap();
    message.encode_to_vec()
}

/// Returns the smallest valid request of an RPC.
pub fn minimal_request(method: &MethodDescriptor) -> Value {
    let message = method.input();
    let fields = message.fields().filter_map(|field| {
        let is_path_variable =
            matches!(field.kind(), Kind::String) && !field.supports_presence() && !field.is_list();
        let value = match field.name() {
            "body" if field.is_list() => json!([{"id": "x"}]),
            "body" => json!({}),
            _ if is_path_variable => json!("x"),
            _ => return None,
        };
        Some((field.json_name().to_owned(), value))
    });
    Value::Object(fields.collect())
}
