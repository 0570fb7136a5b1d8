//! Frames of HTTP/2, for clients and vendors that behave like no library.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::raw_http::PREFACE;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const CONTINUATION: u8 = 9;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const END_STREAM: u8 = 1;
/// The flag of PING and SETTINGS.
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// Encodes a frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

/// Encodes the headers of a call, as literals without indexing (HPACK).
pub fn call_head() -> Vec<u8> {
    let path = "/genesys.presence.v1.PresenceService/GetSystempresences";
    let token = ("authorization", "Bearer hostile");
    head(path, &[("content-type", "application/grpc"), token])
}

/// Encodes the headers of a call of any path with any metadata, the same way.
pub fn head(path: &str, metadata: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let mut head = vec![0x83, 0x86];
    for (name, value) in [(vec![0x01], "gateway"), (vec![0x04], path)] {
        head.extend([name, text(value)].concat());
    }
    for (name, value) in metadata {
        head.extend([vec![0], text(name), text(value)].concat());
    }
    head
}

/// Encodes a message without fields, as the body of a call.
pub fn call_body(stream: u32) -> Vec<u8> {
    frame(0, END_STREAM, stream, &[0; 5])
}

/// A received frame.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    /// Reads the next frame; none if the connection has ended.
    pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Self> {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.ok()?;
        let [a, b, c, kind, flags, id @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        stream.read_exact(&mut payload).await.ok()?;
        Some(Self {
            kind,
            flags,
            stream: u32::from_be_bytes(id),
            payload,
        })
    }

    /// Whether it ends a response: the gateway sends the status in a last
    /// HEADERS frame.
    pub fn is_status(&self) -> bool {
        self.kind == HEADERS && self.flags & END_STREAM != 0
    }

    /// The last stream that a GOAWAY promises to process.
    pub fn last_stream(&self) -> u32 {
        assert_eq!(self.kind, GOAWAY);
        u32::from_be_bytes(self.payload[..4].try_into().unwrap())
    }
}

/// A client that acknowledges nothing on its own.
#[derive(Debug)]
pub struct Client(TcpStream);

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let opening = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
        stream.write_all(&opening).await.unwrap();
        Self(stream)
    }

    /// Writes frames; ignores the error when the peer has closed the connection.
    pub async fn write_frames(&mut self, frames: &[Vec<u8>]) {
        let _ = self.0.write_all(&frames.concat()).await;
    }

    /// Makes a call with an empty message.
    pub async fn call(&mut self, stream: u32) {
        let head = frame(HEADERS, END_HEADERS, stream, &call_head());
        self.write_frames(&[head, call_body(stream)]).await;
    }

    /// The next frame; none if the connection has ended.
    pub async fn next(&mut self) -> Option<Frame> {
        let next = timeout(Duration::from_secs(20), Frame::read(&mut self.0)).await;
        next.expect("a frame, or the end of the connection")
    }

    /// The next frame for which `matches` holds; skips those before.
    pub async fn wait_until(&mut self, what: &str, matches: impl Fn(&Frame) -> bool) -> Frame {
        loop {
            match self.next().await {
                Some(frame) if matches(&frame) => return frame,
                Some(_) => {}
                None => panic!("the connection ended before {what}"),
            }
        }
    }
}
