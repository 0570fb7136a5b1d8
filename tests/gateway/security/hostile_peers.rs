//! Hostile peers: whatever they send, other callers are served, and memory is
//! bounded.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::Gateway;
use crate::support::http2::{
    ACK, CONTINUATION, END_HEADERS, Frame, HEADERS, PING, RST_STREAM, SETTINGS, call_body,
    call_head, frame,
};
use crate::support::process::ServerProcess;
use crate::support::raw_http::PREFACE;

/// The most memory that an attack may add, in KiB: more than twice the highest
/// measurement (42 MiB), and far below what each attack sends or opens.
const MARGIN: usize = 96 * 1024;

fn streams(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(|n| 2 * n + 1)
}

/// A gateway under attack, and a well-behaved caller.
struct Scenario {
    server: ServerProcess,
    caller: Gateway,
    resident: usize,
}

impl Scenario {
    async fn new() -> Self {
        let server = ServerProcess::start(&["serve", "--sandbox"], &[]);
        let caller = Gateway::connect(server.address.parse().unwrap()).await;
        let scenario = Self {
            resident: server.resident_kib(),
            server,
            caller,
        };
        scenario.assert_serves_others().await;
        scenario
    }

    /// Connects, and sends the preface and these settings.
    async fn connect(&self, settings: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(&self.server.address).await.unwrap();
        let bytes = [PREFACE, &frame(SETTINGS, 0, 0, settings)].concat();
        stream.write_all(&bytes).await.unwrap();
        stream
    }

    async fn assert_serves_others(&self) {
        let new = Gateway::connect(self.server.address.parse().unwrap()).await;
        for caller in [&self.caller, &new] {
            let call = caller.call("GetSystempresences", serde_json::json!({}));
            let response = timeout(Duration::from_secs(20), call).await;
            response.expect("another caller is not served").unwrap();
        }
    }

    fn assert_memory_is_bounded(&self) {
        let grown = self.server.resident_kib().saturating_sub(self.resident);
        assert!(
            grown < MARGIN,
            "memory grew by {grown} KiB from {} KiB",
            self.resident
        );
    }
}

/// Sends frames and a ping, and reads until the gateway replies to the ping or closes
/// the connection.
async fn wait_until_processed(stream: TcpStream, mut frames: Vec<u8>) {
    frames.extend(frame(PING, 0, 0, &[7; 8]));
    let (mut reader, mut writer) = stream.into_split();
    let read = async {
        while let Some(frame) = Frame::read(&mut reader).await {
            if frame.kind == PING && frame.flags == ACK {
                break;
            }
        }
    };
    let both = async { tokio::join!(writer.write_all(&frames), read) };
    let ended = timeout(Duration::from_mins(1), both).await;
    // The write fails if the gateway closes the connection in the middle.
    let (_written, ()) =
        ended.expect("the gateway neither processes the frames nor closes the connection");
}

#[tokio::test]
async fn calls_that_are_reset_at_once_do_no_harm() {
    let scenario = Scenario::new().await;
    let stream = scenario.connect(&[]).await;
    let mut flood = Vec::new();
    for id in streams(50_000) {
        flood.extend(frame(HEADERS, END_HEADERS, id, &call_head()));
        flood.extend(frame(RST_STREAM, 0, id, &[0, 0, 0, 8]));
    }
    wait_until_processed(stream, flood).await;
    scenario.assert_serves_others().await;
    scenario.assert_memory_is_bounded();
}

#[tokio::test]
async fn endless_headers_do_no_harm() {
    let scenario = Scenario::new().await;
    for piece in [
        // One endless header, and empty frames.
        [
            &[0x00, 0x01, b'x', 0x7f, 0x80, 0x80, 0x80, 0x01][..],
            &[b'x'; 16_000],
        ]
        .concat(),
        Vec::new(),
    ] {
        let mut stream = scenario.connect(&[]).await;
        let mut sent = stream.write_all(&frame(HEADERS, 0, 1, &call_head())).await;
        let mut bytes = 0;
        while sent.is_ok() && bytes < 64 << 20 {
            let flood = frame(CONTINUATION, 0, 1, &piece).repeat(64);
            bytes += flood.len();
            sent = stream.write_all(&flood).await;
        }
        assert!(sent.is_err(), "the gateway read {bytes} bytes of headers");
    }
    scenario.assert_serves_others().await;
    scenario.assert_memory_is_bounded();
}

#[tokio::test]
async fn unread_responses_do_no_harm() {
    let scenario = Scenario::new().await;
    let mut hostile = Vec::new();
    for _ in 0..20 {
        // Sets the window of every stream to zero.
        let mut stream = scenario.connect(&[0, 4, 0, 0, 0, 0]).await;
        let mut calls = Vec::new();
        for id in streams(40) {
            calls.extend(frame(HEADERS, END_HEADERS, id, &call_head()));
            calls.extend(call_body(id));
        }
        stream.write_all(&calls).await.unwrap();
        hostile.push(stream);
    }
    scenario.assert_serves_others().await;
    scenario.assert_memory_is_bounded();
}

#[tokio::test]
async fn calls_beyond_the_stream_limit_do_no_harm() {
    let scenario = Scenario::new().await;
    let mut stream = scenario.connect(&[]).await;
    // Their messages are never sent, so that no call ends.
    let heads = streams(20_000).map(|id| frame(HEADERS, END_HEADERS, id, &call_head()));
    let heads: Vec<u8> = heads.flatten().collect();
    let (mut reader, mut writer) = stream.split();
    let read = async {
        let mut buffer = vec![0; 1 << 16];
        while matches!(reader.read(&mut buffer).await, Ok(1..)) {}
    };
    tokio::select! {
        // The gateway can close the connection in the middle.
        _ = writer.write_all(&heads) => {}
        () = read => {}
    }
    drop(stream);
    scenario.assert_serves_others().await;
    scenario.assert_memory_is_bounded();
}

#[tokio::test]
async fn garbage_does_no_harm() {
    let scenario = Scenario::new().await;
    let settings = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    let inputs: [Vec<u8>; 7] = [
        vec![0; 1 << 20],
        b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
        [PREFACE, &[0xff; 4096]].concat(),
        [&settings[..], &frame(0xff, 0xff, 1, &[1; 100]).repeat(1000)].concat(),
        // A header with an index outside the table.
        [
            &settings[..],
            &frame(HEADERS, END_HEADERS, 1, &[0xff, 0xff, 0xff, 0x7f]),
        ]
        .concat(),
        // Data of a stream that is not open.
        [&settings[..], &frame(0, 0, 1, &[1; 1000])].concat(),
        // A flood of settings to acknowledge.
        [
            PREFACE,
            &frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 1]).repeat(20_000),
        ]
        .concat(),
    ];
    for _ in 0..20 {
        for bytes in &inputs {
            let mut stream = TcpStream::connect(&scenario.server.address).await.unwrap();
            let _ = timeout(Duration::from_secs(20), stream.write_all(bytes)).await;
        }
    }
    scenario.assert_serves_others().await;
    scenario.assert_memory_is_bounded();
}

#[tokio::test]
async fn a_thousand_idle_connections_do_no_harm() {
    let scenario = Scenario::new().await;
    let mut idle = Vec::new();
    for _ in 0..1000 {
        let mut stream = scenario.connect(&[]).await;
        // The server sends its settings once it has accepted the connection.
        stream.read_exact(&mut [0; 9]).await.unwrap();
        idle.push(stream);
    }
    scenario.assert_serves_others().await;
    scenario.assert_memory_is_bounded();
    let signalled = std::time::Instant::now();
    scenario.server.signal("TERM");
    let (status, log) = scenario.server.wait();
    assert!(status.success(), "{status} {log:#?}");
    assert!(
        signalled.elapsed() < Duration::from_secs(8),
        "{:?}",
        signalled.elapsed()
    );
}
