//! Compressed requests and responses.

mod requests;
mod responses;

use std::io::Write;

use axum::body::Body;
use flate2::Compression;
use flate2::write::GzEncoder;
use presence_gateway::proto::v1::GetUsersPresencesPurecloudBulkRequest;
use prost::Message;

use crate::support::raw_http::{RawResponse, frame, head, send};
use crate::support::{Gateway, Vendor, method, path, reply};

const RPC: &str = "GetUsersPresencesPurecloudBulk";

async fn vendor() -> Vendor {
    Vendor::start(|received| async move {
        let presences = received.ids().into_iter();
        let presences: Vec<_> = presences
            .map(|id| serde_json::json!({"userId": id, "message": "m".repeat(100)}))
            .collect();
        reply(200, serde_json::to_vec(&presences).unwrap())
    })
    .await
}

fn gzip(message: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(message).unwrap();
    encoder.finish().unwrap()
}

/// A compressed message in its frame.
fn gzip_frame(compressed: &[u8]) -> Vec<u8> {
    let mut frame = frame(compressed);
    frame[0] = 1;
    frame
}

fn request_with_ids(count: usize) -> Vec<u8> {
    let ids = (0..count).map(|n| format!("user-{n}")).collect();
    let request = GetUsersPresencesPurecloudBulkRequest {
        ids,
        ..Default::default()
    };
    request.encode_to_vec()
}

async fn call(
    gateway: &Gateway,
    frame: impl Into<Body>,
    headers: &[(&'static str, &str)],
) -> RawResponse {
    let call = headers
        .iter()
        .fold(head(&path(&method(RPC))), |call, (name, value)| {
            call.header(*name, *value)
        });
    send(gateway, call.body(frame.into()).unwrap()).await
}
