//! Peers that mean harm: whatever they send, others are served, and the memory
//! is bounded.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::Gateway;
use crate::support::http2::{
    CONTINUATION, END_HEADERS, HEADERS, RST_STREAM, SETTINGS, call_body, call_head, frame,
};
use crate::support::process::ServerProcess;
use crate::support::raw_http::PREFACE;

/// How much more memory an attack may take, in KiB: some times what was measured,
/// which is at most 42 MiB, and far from what each attack sends or opens.
const MARGIN: usize = 96 * 1024;

fn streams(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(|n| 2 * n + 1)
}

/// A gateway that is attacked, and a caller who means well.
struct Scene {
    server: ServerProcess,
    caller: Gateway,
    resident: usize,
}

impl Scene {
    async fn new() -> Self {
        let server = ServerProcess::start(&["serve", "--sandbox"], &[]);
        let caller = Gateway::connect(server.address.parse().unwrap()).await;
        let scene = Self {
            resident: server.resident_kib(),
            server,
            caller,
        };
        scene.others_are_served().await;
        scene
    }

    /// A connection that has said its preface and these settings.
    async fn connect(&self, settings: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(&self.server.address).await.unwrap();
        let said = [PREFACE, &frame(SETTINGS, 0, 0, settings)].concat();
        stream.write_all(&said).await.unwrap();
        stream
    }

    async fn others_are_served(&self) {
        let fresh = Gateway::connect(self.server.address.parse().unwrap()).await;
        for caller in [&self.caller, &fresh] {
            let call = caller.call("GetSystempresences", serde_json::json!({}));
            let answer = timeout(Duration::from_secs(20), call).await;
            answer.expect("others should be served").unwrap();
        }
    }

    fn memory_is_bounded(&self) {
        let grown = self.server.resident_kib().saturating_sub(self.resident);
        assert!(
            grown < MARGIN,
            "grown by {grown} KiB from {} KiB",
            self.resident
        );
    }
}

/// Whether the peer has closed the connection, after what it still had to say.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let to_the_end = async {
        let mut buffer = vec![0; 1 << 16];
        while matches!(stream.read(&mut buffer).await, Ok(1..)) {}
    };
    timeout(Duration::from_secs(20), to_the_end).await.is_ok()
}

#[tokio::test]
async fn calls_that_are_reset_as_soon_as_they_are_made() {
    let scene = Scene::new().await;
    let mut stream = scene.connect(&[]).await;
    let mut flood = Vec::new();
    for id in streams(50_000) {
        flood.extend(frame(HEADERS, END_HEADERS, id, &call_head()));
        flood.extend(frame(RST_STREAM, 0, id, &[0, 0, 0, 8]));
    }
    // It is hung up on in the middle.
    let sent = stream.write_all(&flood).await;
    assert!(sent.is_err() || is_closed(&mut stream).await);
    scene.others_are_served().await;
    scene.memory_is_bounded();
}

#[tokio::test]
async fn headers_without_an_end() {
    let scene = Scene::new().await;
    for piece in [
        // A long header that goes on and on, and frames that hold nothing.
        [
            &[0x00, 0x01, b'x', 0x7f, 0x80, 0x80, 0x80, 0x01][..],
            &[b'x'; 16_000],
        ]
        .concat(),
        Vec::new(),
    ] {
        let mut stream = scene.connect(&[]).await;
        let mut sent = stream.write_all(&frame(HEADERS, 0, 1, &call_head())).await;
        let mut bytes = 0;
        while sent.is_ok() && bytes < 64 << 20 {
            let flood = frame(CONTINUATION, 0, 1, &piece).repeat(64);
            bytes += flood.len();
            sent = stream.write_all(&flood).await;
        }
        assert!(sent.is_err(), "{bytes} bytes of headers were taken");
    }
    scene.others_are_served().await;
    scene.memory_is_bounded();
}

#[tokio::test]
async fn callers_that_take_no_answer() {
    let scene = Scene::new().await;
    let mut hostile = Vec::new();
    for _ in 0..20 {
        // The window of every stream: nothing at all.
        let mut stream = scene.connect(&[0, 4, 0, 0, 0, 0]).await;
        let mut calls = Vec::new();
        for id in streams(40) {
            calls.extend(frame(HEADERS, END_HEADERS, id, &call_head()));
            calls.extend(call_body(id));
        }
        stream.write_all(&calls).await.unwrap();
        hostile.push(stream);
    }
    scene.others_are_served().await;
    scene.memory_is_bounded();
}

#[tokio::test]
async fn more_calls_on_one_connection_than_there_may_be() {
    let scene = Scene::new().await;
    let mut stream = scene.connect(&[]).await;
    // Their messages never come, so that none of them ends.
    let heads = streams(20_000).map(|id| frame(HEADERS, END_HEADERS, id, &call_head()));
    let heads: Vec<u8> = heads.flatten().collect();
    let (mut reader, mut writer) = stream.split();
    let answers = async {
        let mut answers = vec![0; 1 << 16];
        while matches!(reader.read(&mut answers).await, Ok(1..)) {}
    };
    tokio::select! {
        // It may be hung up on in the middle.
        _ = writer.write_all(&heads) => {}
        () = answers => {}
    }
    drop(stream);
    scene.others_are_served().await;
    scene.memory_is_bounded();
}

#[tokio::test]
async fn garbage_of_every_kind() {
    let scene = Scene::new().await;
    let settings = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    let said: [Vec<u8>; 7] = [
        vec![0; 1 << 20],
        b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
        [PREFACE, &[0xff; 4096]].concat(),
        [&settings[..], &frame(0xff, 0xff, 1, &[1; 100]).repeat(1000)].concat(),
        // A header that refers to what is not there.
        [
            &settings[..],
            &frame(HEADERS, END_HEADERS, 1, &[0xff, 0xff, 0xff, 0x7f]),
        ]
        .concat(),
        // Data of a stream that nobody opened.
        [&settings[..], &frame(0, 0, 1, &[1; 1000])].concat(),
        // More settings than anybody needs to acknowledge.
        [
            PREFACE,
            &frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 1]).repeat(20_000),
        ]
        .concat(),
    ];
    for _ in 0..20 {
        for bytes in &said {
            let mut stream = TcpStream::connect(&scene.server.address).await.unwrap();
            let _ = timeout(Duration::from_secs(20), stream.write_all(bytes)).await;
        }
    }
    scene.others_are_served().await;
    scene.memory_is_bounded();
}

#[tokio::test]
async fn a_thousand_idle_connections() {
    let scene = Scene::new().await;
    let mut idle = Vec::new();
    for _ in 0..1000 {
        let mut stream = scene.connect(&[]).await;
        // The server's settings: it has taken the connection.
        stream.read_exact(&mut [0; 9]).await.unwrap();
        idle.push(stream);
    }
    scene.others_are_served().await;
    scene.memory_is_bounded();
    let told = std::time::Instant::now();
    scene.server.signal("TERM");
    let (status, log) = scene.server.wait();
    assert!(status.success(), "{status} {log:#?}");
    assert!(
        told.elapsed() < Duration::from_secs(8),
        "{:?}",
        told.elapsed()
    );
}
