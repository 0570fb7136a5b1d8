//! The frames of HTTP/2, for clients that do as no library does.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
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
pub const END_STREAM: u8 = 1;
/// Of a ping or of settings.
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// A frame of HTTP/2.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

/// The head of a call, in the plainest form of HPACK.
pub fn call_head() -> Vec<u8> {
    let path = "/genesys.presence.v1.PresenceService/GetSystempresences";
    let token = ("authorization", "Bearer hostile");
    head(path, &[("content-type", "application/grpc"), token])
}

/// The head of a call of any path with any metadata, in that form.
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

/// A message without fields, as the body of a call.
pub fn call_body(stream: u32) -> Vec<u8> {
    frame(0, END_STREAM, stream, &[0; 5])
}

/// A frame as it came.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    /// Whether it is the end of an answer with a status: the gateway's last
    /// word in a call is a header frame.
    pub fn is_status(&self) -> bool {
        self.kind == HEADERS && self.flags & END_STREAM != 0
    }

    /// The last call that a GOAWAY says is looked at.
    pub fn last_stream(&self) -> u32 {
        assert_eq!(self.kind, GOAWAY);
        u32::from_be_bytes(self.payload[..4].try_into().unwrap())
    }
}

/// A client that acknowledges nothing by itself.
#[derive(Debug)]
pub struct Client(TcpStream);

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let said = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
        stream.write_all(&said).await.unwrap();
        Self(stream)
    }

    /// Writes frames; where nobody listens any more, that is no matter.
    pub async fn write_frames(&mut self, frames: &[Vec<u8>]) {
        let _ = self.0.write_all(&frames.concat()).await;
    }

    /// Makes a call without fields.
    pub async fn call(&mut self, stream: u32) {
        let head = frame(HEADERS, END_HEADERS, stream, &call_head());
        self.write_frames(&[head, call_body(stream)]).await;
    }

    /// The next frame; none where the connection has ended.
    pub async fn next(&mut self) -> Option<Frame> {
        let next = async {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).await.ok()?;
            let [a, b, c, kind, flags, stream @ ..] = head;
            let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
            self.0.read_exact(&mut payload).await.ok()?;
            Some(Frame {
                kind,
                flags,
                stream: u32::from_be_bytes(stream),
                payload,
            })
        };
        let next = timeout(Duration::from_secs(20), next).await;
        next.expect("a frame, or the end of the connection")
    }

    /// The next frame that is such; those before are passed over.
    pub async fn wait_until(&mut self, what: &str, is_it: impl Fn(&Frame) -> bool) -> Frame {
        loop {
            match self.next().await {
                Some(frame) if is_it(&frame) => return frame,
                Some(_) => {}
                None => panic!("the connection ended before {what}"),
            }
        }
    }
}
