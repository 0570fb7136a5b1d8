//! The TLS records of a request to the vendor.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::upstream::{call_rpc_through, vendor};
use crate::support::certificates::{Authority, TempDir};
use crate::support::raw_http::RawVendor;

/// Returns the lengths of the TLS records in `bytes` that hold data.
fn data_records(mut bytes: &[u8]) -> Vec<usize> {
    const DATA: u8 = 23;
    let mut lengths = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk::<5>() {
        let length = usize::from(u16::from_be_bytes([head[3], head[4]]));
        if head[0] == DATA {
            lengths.push(length);
        }
        bytes = rest.get(length..).unwrap_or_default();
    }
    lengths
}

/// The peer can read a head only with its whole record. If the body is in it too,
/// the connection can carry other requests.
#[tokio::test]
async fn a_head_and_a_body_of_12_kib_share_one_record() {
    let (authority, folder) = (Authority::new(), TempDir::new());
    let vendor = vendor(&authority.local(), None).await;
    let sent = Arc::new(Mutex::new(Vec::new()));
    let (address, recorded) = (vendor.address, Arc::clone(&sent));
    let relay = RawVendor::start(move |stream| {
        let recorded = Arc::clone(&recorded);
        async move {
            let (mut from_gateway, mut to_gateway) = stream.into_split();
            let vendor = TcpStream::connect(address).await.unwrap();
            let (mut from_vendor, mut to_vendor) = vendor.into_split();
            let there = async {
                let mut bytes = Vec::new();
                while from_gateway.read_buf(&mut bytes).await.unwrap_or(0) > 0 {
                    recorded.lock().extend_from_slice(&bytes);
                    let _ = to_vendor.write_all(&bytes).await;
                    bytes.clear();
                }
            };
            let back = tokio::io::copy(&mut from_vendor, &mut to_gateway);
            let _ = tokio::join!(there, back);
        }
    })
    .await;
    let url = format!("https://{}", relay.address);
    let ca = folder.file("ca.pem", &authority.pem);
    let frame = serde_json::json!({"message": ""}).to_string().len();
    let body = 12 * 1024 - "Bearer any".len();
    let message = "m".repeat(body - frame);
    let request = serde_json::json!({"userId": "u", "body": {"message": message}}).to_string();
    let rpc = ["PatchUserPresencesPurecloud", &request];
    let flags = ["--upstream-url", &url, "--upstream-ca", &ca];
    let served = call_rpc_through(rpc, &flags, &[]).await;
    assert_eq!(served.code, Some(0), "{served:#?}");
    let records = data_records(&sent.lock());
    let whole = records.iter().filter(|&&length| length > body);
    assert_eq!(whole.count(), 1, "of {records:?}");
}
