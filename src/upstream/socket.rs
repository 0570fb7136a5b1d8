//! A WebSocket to the vendor: its address, the way to it, and its messages.
//!
//! It takes the TLS settings and the proxy of the requests. The vendor's address has
//! the right to receive in its path, so no token is sent.

mod address;
mod connect;

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Bytes, Error as SocketError, Message};

pub use address::SocketAddress;
pub(crate) use connect::{ConnectError, ConnectErrorKind};

/// The largest message. A presence has a few hundred bytes.
const MAX_MESSAGE: usize = 256 * 1024;

/// The buffer for what is read. The library's default is 128 KiB for each socket.
const READ_BUFFER: usize = 4096;

/// The most bytes that wait to be written: pings and pongs.
const MAX_WRITE_BUFFER: usize = 64 * 1024;

/// How long the end of a socket may take. The vendor ends TCP after it has answered
/// the close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// What a socket runs on.
trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// An open WebSocket. It answers pings while it is read.
pub struct Socket(WebSocketStream<Box<dyn Transport>>);

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket").finish_non_exhaustive()
    }
}

/// What a socket received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SocketMessage {
    /// A text.
    Text(String),
    /// Bytes, which the vendor does not send.
    Binary,
    /// A ping, a pong, or a part of the end.
    Control,
    /// The end, with the reason.
    End(String),
}

impl Socket {
    /// The next message. After an end there is none.
    pub async fn next(&mut self) -> SocketMessage {
        match self.0.next().await {
            Some(Ok(Message::Text(text))) => SocketMessage::Text(text.as_str().to_owned()),
            Some(Ok(Message::Binary(_))) => SocketMessage::Binary,
            Some(Ok(Message::Close(frame))) => {
                let code = frame.map(|frame| u16::from(frame.code));
                // Answers the close.
                let _ = timeout(CLOSE_TIMEOUT, self.0.flush()).await;
                SocketMessage::End(match code {
                    Some(code) => format!("the vendor closed the WebSocket with code {code}"),
                    None => "the vendor closed the WebSocket".to_owned(),
                })
            }
            Some(Ok(_)) => SocketMessage::Control,
            Some(Err(error)) => SocketMessage::End(end(&error)),
            None => SocketMessage::End("the vendor ended the WebSocket".to_owned()),
        }
    }

    /// Sends a ping.
    ///
    /// # Errors
    ///
    /// If the connection is lost.
    pub async fn ping(&mut self) -> Result<(), String> {
        let ping = self.0.send(Message::Ping(Bytes::new()));
        ping.await.map_err(|error| end(&error))
    }

    /// Closes the socket.
    pub async fn close(mut self) {
        let close = async {
            let _ = self.0.close(None).await;
            while let Some(Ok(_)) = self.0.next().await {}
        };
        let _ = timeout(CLOSE_TIMEOUT, close).await;
    }
}

/// The reason of an end, without data of the peer.
fn end(error: &SocketError) -> String {
    match error {
        SocketError::Capacity(_) => {
            format!("a message of the WebSocket is larger than {MAX_MESSAGE} bytes")
        }
        SocketError::Protocol(error) => format!("the WebSocket is broken: {error}"),
        SocketError::Utf8(_) => "a text of the WebSocket is not UTF-8".to_owned(),
        SocketError::Io(error) => format!("the WebSocket's connection was lost: {error}"),
        _ => "the WebSocket was lost".to_owned(),
    }
}

/// The settings of each socket.
fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(MAX_WRITE_BUFFER)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE))
}
