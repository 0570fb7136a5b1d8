//! Callers that take nothing: their HTTP/2 window stays full.

use std::time::Duration;

use axum::body::Body;
use bytes::{Buf, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use presence_gateway::proto::v1::watch_state::Mode;
use presence_gateway::proto::v1::watch_users_presences_response::Update;
use presence_gateway::proto::v1::{WatchUsersPresencesRequest, WatchUsersPresencesResponse};
use presence_gateway::watch::WatchLimits;
use prost::Message;
use tokio::net::TcpStream;
use tonic::{Code, Status};

use crate::support::http2::{
    Client, DATA, END_HEADERS, END_STREAM, Frame, HEADERS, RST_STREAM, SETTINGS, WINDOW_UPDATE,
    frame, head,
};
use crate::support::in_flight::wait_for;
use crate::support::sandbox::Sandbox;
use crate::support::watch_caller::WATCH;
use crate::support::{Gateway, Limits, expect_error, method, path, raw_http};

/// How long a caller may take nothing.
const IDLE: Duration = Duration::from_millis(400);
/// How often a state comes, if nothing else does.
const HEARTBEAT: Duration = Duration::from_millis(200);

async fn gateway(sandbox: &Sandbox) -> Gateway {
    let limits = Limits {
        stream_idle: IDLE,
        watch: WatchLimits {
            heartbeat: HEARTBEAT,
            ..WatchLimits::default()
        },
        ..Limits::default()
    };
    sandbox.gateway(limits).await
}

/// The request for a watch of one user.
fn request(user: &str) -> Vec<u8> {
    let ids = vec![user.to_owned()];
    raw_http::frame(&WatchUsersPresencesRequest { ids }.encode_to_vec())
}

/// The response of a watch, read message by message.
struct Responses {
    body: Incoming,
    read: BytesMut,
}

impl Responses {
    async fn open(client: &mut SendRequest<Body>, user: &str) -> Self {
        let call = raw_http::head(&path(&method(WATCH)));
        let call = call.body(Body::from(request(user))).unwrap();
        let response = wait_for("the response", client.send_request(call)).await;
        Self {
            body: response.unwrap().into_body(),
            read: BytesMut::new(),
        }
    }

    /// The next message; the error is the end.
    async fn next(&mut self) -> Result<WatchUsersPresencesResponse, Status> {
        loop {
            if self.read.len() >= 5 {
                let length = u32::from_be_bytes(self.read[1..5].try_into().unwrap()) as usize;
                if self.read.len() >= 5 + length {
                    self.read.advance(5);
                    let message = self.read.split_to(length);
                    return Ok(WatchUsersPresencesResponse::decode(message).unwrap());
                }
            }
            let frame = wait_for("a frame", self.body.frame()).await;
            let frame = frame.expect("a status before the end").unwrap();
            match frame.into_data() {
                Ok(data) => self.read.extend_from_slice(&data),
                Err(frame) => {
                    let trailers = frame.into_trailers().unwrap();
                    return Err(Status::from_header_map(&trailers).unwrap());
                }
            }
        }
    }
}

#[tokio::test]
async fn a_caller_that_takes_nothing_in_time_gets_stream_idle() {
    let sandbox = Sandbox::start();
    let gateway = gateway(&sandbox).await;
    let stream = TcpStream::connect(gateway.address).await.unwrap();
    // Too small for one message.
    let mut client = http2::Builder::new(TokioExecutor::new());
    let client = client.initial_stream_window_size(100);
    let (mut client, connection) = client.handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let user = Sandbox::user(1);
    let mut idle = Responses::open(&mut client, &user).await;
    let mut other = Responses::open(&mut client, &user).await;
    // So many heartbeats take longer.
    let mut states = 0;
    while states < 5 {
        let message = other.next().await.unwrap();
        states += usize::from(matches!(message.update, Some(Update::State(_))));
    }
    let mut late = Vec::new();
    let end = loop {
        match idle.next().await {
            Ok(message) => late.push(message),
            Err(status) => break status,
        }
    };
    expect_error::<()>(Err(end), Code::Aborted, "STREAM_IDLE");
    // What was on its way.
    assert!(late.len() <= 4, "{late:?}");
    assert!(
        matches!(late[0].update, Some(Update::Presence(_))),
        "{late:?}"
    );
    // The other watch of the connection goes on.
    sandbox.set(&user, "Training").await;
    loop {
        let message = other.next().await.unwrap();
        if matches!(message.update, Some(Update::Presence(_))) {
            break;
        }
        let is_live = |mode| mode == Mode::Live;
        assert!(matches!(&message.update, Some(Update::State(state)) if is_live(state.mode())));
    }
}

#[tokio::test]
async fn a_caller_that_never_takes_anything_is_reset_and_others_go_on() {
    let sandbox = Sandbox::start();
    let gateway = gateway(&sandbox).await;
    let user = Sandbox::user(1);
    let mut client = Client::connect(gateway.address).await;
    // The window of each stream is empty: SETTINGS_INITIAL_WINDOW_SIZE is 0.
    client
        .write_frames(&[frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0])])
        .await;
    let (idle, other) = (1, 3);
    for stream in [idle, other] {
        let metadata = [
            ("content-type", "application/grpc"),
            ("te", "trailers"),
            ("authorization", "Bearer token"),
        ];
        let head = head(&path(&method(WATCH)), &metadata);
        let head = frame(HEADERS, END_HEADERS, stream, &head);
        let body = frame(DATA, END_STREAM, stream, &request(&user));
        client.write_frames(&[head, body]).await;
    }
    // One of them has room for all that comes.
    let room = frame(WINDOW_UPDATE, 0, other, &(1_u32 << 20).to_be_bytes());
    client.write_frames(&[room]).await;
    let is_reset = |frame: &Frame| {
        assert!(
            frame.kind != DATA || frame.stream == other,
            "beyond the window: {frame:?}"
        );
        assert!(
            !frame.is_status(),
            "no status passes a full window: {frame:?}"
        );
        frame.kind == RST_STREAM && frame.stream == idle
    };
    client.wait_until("the reset", is_reset).await;
    // Until now it got heartbeats, which have no user.
    sandbox.set(&user, "Training").await;
    let has_user = |frame: &Frame| {
        let text = String::from_utf8_lossy(&frame.payload);
        frame.kind == DATA && frame.stream == other && text.contains(&user)
    };
    client.wait_until("a change", has_user).await;
}
