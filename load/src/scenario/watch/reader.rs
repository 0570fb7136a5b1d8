//! The reader of one watch. It speaks gRPC over hyper, as the rest of the caller does.

use std::net::SocketAddr;
use std::ops::Range;

use bytes::{Buf, Bytes, BytesMut};
use http::{Request, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use presence_gateway::proto::v1::watch_state::Mode;
use presence_gateway::proto::v1::watch_users_presences_response::Update;
use presence_gateway::proto::v1::{WatchUsersPresencesRequest, WatchUsersPresencesResponse};
use prost::Message;
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::board::{Board, user_id};
use crate::caller::encode_frame;

const PATH: &str = "http://gateway/genesys.presence.v1.PresenceWatchService/WatchUsersPresences";

/// How many bytes of a watch that is not read the gateway may send: some sixty messages,
/// so that a reader that stops for a minute is noticed.
const WINDOW: u32 = 8 * 1024;

/// The window of all watches of a connection, which one of them never fills.
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// The length of a gRPC frame prefix.
const PREFIX: usize = 5;

type Sender = SendRequest<Full<Bytes>>;

/// Opens connections to a gateway.
pub(super) async fn connect(address: SocketAddr, count: usize) -> Result<Vec<Sender>, String> {
    let mut senders = Vec::new();
    for _ in 0..count {
        let stream = TcpStream::connect(address).await;
        let stream = stream.map_err(|error| error.to_string())?;
        let _ = stream.set_nodelay(true);
        let shaken = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .handshake(TokioIo::new(stream))
            .await;
        let (sender, connection) = shaken.map_err(|error| error.to_string())?;
        // Each watch learns from its own stream how the connection ended.
        tokio::spawn(async { drop(connection.await) });
        senders.push(sender);
    }
    Ok(senders)
}

/// The request of a watch of these users by the token of this number.
pub(super) fn request(token: usize, users: Range<usize>) -> Result<Request<Full<Bytes>>, String> {
    let ids = users.map(user_id).collect();
    let message = encode_frame(&WatchUsersPresencesRequest { ids });
    let request = Request::post(PATH)
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::TE, "trailers")
        // As long as the vendor's.
        .header(header::AUTHORIZATION, format!("Bearer watch-{token:0>80}"))
        .body(Full::new(message));
    request.map_err(|error| error.to_string())
}

/// Reads a watch until it ends, and returns why. Nothing is read while `stopped`.
pub(super) async fn read(
    connection: &mut Sender,
    request: Request<Full<Bytes>>,
    number: usize,
    board: &Board,
    mut stopped: Option<watch::Receiver<bool>>,
) -> String {
    let answer = match connection.send_request(request).await {
        Ok(answer) => answer,
        Err(error) => return error.to_string(),
    };
    let end = format!("{} {:?}", answer.status(), answer.headers());
    let (mut body, mut received) = (answer.into_body(), BytesMut::new());
    loop {
        if let Some(stopped) = &mut stopped
            && stopped.wait_for(|is_stopped| !is_stopped).await.is_err()
        {
            return "nobody reads it any more".to_owned();
        }
        match body.frame().await {
            None => return end,
            Some(Err(error)) => return error.to_string(),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => received.extend_from_slice(&data),
                Err(trailers) => return format!("{:?}", trailers.trailers_ref()),
            },
        }
        while let Some(message) = next_message(&mut received) {
            match WatchUsersPresencesResponse::decode(message) {
                Ok(message) => take(message, number, board),
                Err(error) => return error.to_string(),
            }
        }
    }
}

fn take(message: WatchUsersPresencesResponse, number: usize, board: &Board) {
    match message.update {
        Some(Update::Presence(change)) => {
            let presence = change.presence.unwrap_or_default();
            board.presence(number, &change.user_id, presence);
        }
        Some(Update::State(state)) => board.state(number, state.mode() == Mode::Live),
        Some(Update::Failure(failure)) => board.ended(format!("{failure:?}")),
        None => board.ended(format!("without presence: {:?}", message.missing_ids)),
    }
}

/// Takes the next message that has come as a whole.
fn next_message(received: &mut BytesMut) -> Option<Bytes> {
    let length = received.get(1..PREFIX)?.get_u32() as usize;
    if received.len() < PREFIX + length {
        return None;
    }
    received.advance(PREFIX);
    Some(received.split_to(length).freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_taken_as_a_whole_however_their_bytes_come() {
        let message = |id: &str| WatchUsersPresencesRequest {
            ids: vec![id.to_owned()],
        };
        let sent = [message("a"), message(""), message("bc")];
        let (mut received, mut taken) = (BytesMut::new(), Vec::new());
        for byte in sent.iter().flat_map(encode_frame) {
            received.extend_from_slice(&[byte]);
            while let Some(bytes) = next_message(&mut received) {
                taken.push(WatchUsersPresencesRequest::decode(bytes).unwrap());
            }
        }
        assert_eq!(taken, sent);
    }
}
