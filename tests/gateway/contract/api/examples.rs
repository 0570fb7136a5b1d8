//! The examples of docs/api.md and of `call --describe`.

use presence_gateway::cli::call::examples::{ID, example};
use prost_reflect::MethodDescriptor;
use serde_json::{Value, json};

use crate::support::process::ServerProcess;
use crate::support::stream_caller::StreamCall;
use crate::support::vendor_api::http;
use crate::support::watch_caller::WatchCall;
use crate::support::{Gateway, all_methods, encode, methods, minimal_request};

/// Returns the example of an RPC.
pub(super) fn of(rpc: &MethodDescriptor) -> &'static str {
    example(rpc.name()).unwrap_or_else(|| {
        panic!(
            "add an example of a request to src/cli/call/examples.txt, for instance:\n{} {}",
            rpc.name(),
            minimal(rpc)
        )
    })
}

/// Returns the smallest request of an RPC, with ids that the sandbox knows.
fn minimal(rpc: &MethodDescriptor) -> String {
    let mut request = minimal_request(rpc);
    for (name, value) in request.as_object_mut().unwrap() {
        match name.as_str() {
            "userId" => *value = json!("00000000-0000-4000-8000-000000000001"),
            "sourceId" if rpc.name().contains("User") => *value = json!("PURECLOUD"),
            _ if *value == "x" => *value = json!(ID),
            _ => {}
        }
    }
    request.to_string()
}

/// Returns the RPC that creates the resources of an RPC: the POST to its path
/// without the last segment.
fn creator(rpc: &MethodDescriptor) -> Option<MethodDescriptor> {
    let (_, path, _) = http(rpc);
    let (collection, _) = path.rsplit_once('/')?;
    methods().into_iter().find(|other| {
        let (verb, path, _) = http(other);
        verb == "POST" && path == collection
    })
}

#[tokio::test]
async fn every_example_succeeds_in_the_sandbox() {
    let sandbox = ServerProcess::start(&["serve", "--sandbox"], &[]);
    let gateway = Gateway::connect(sandbox.address.parse().unwrap()).await;
    for rpc in all_methods() {
        let name = rpc.name();
        let mut example = of(&rpc).to_owned();
        let parse = |text: &str| -> Value {
            serde_json::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"))
        };
        if example.contains(ID) {
            let post = creator(&rpc).unwrap_or_else(|| panic!("no POST creates an id for {name}"));
            let created = gateway.call(post.name(), parse(of(&post))).await;
            example = example.replace(ID, created.unwrap()["id"].as_str().unwrap());
        }
        let request = parse(&example);
        let outcome = if rpc.is_client_streaming() {
            let mut call = StreamCall::open(&gateway, name).await;
            call.send_raw(encode(&rpc, request)).await;
            call.close_send();
            call.status().await
        } else if rpc.is_server_streaming() {
            let request = encode(&rpc, request);
            WatchCall::open_raw(&gateway, request).await.map(drop)
        } else {
            gateway.call(name, request).await.map(drop)
        };
        assert!(outcome.is_ok(), "{name}: {outcome:?}");
    }
}
