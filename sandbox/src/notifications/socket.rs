//! The WebSocket of a channel: writes what its link has, and reads what its client sends.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::channel::GOING_AWAY;
use super::link::{Frame, Link};
use crate::Sandbox;

/// The buffer of each socket. The default would cost 140 KiB for each of them.
const BUFFER: usize = 4096;

/// The longest text of a client, as long as a body.
const MAX_TEXT: usize = 512_000;

/// How long a client that takes nothing keeps its connection.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client has to answer a close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The close code for a text that is too long.
const TOO_BIG: u16 = 1009;

/// A channel's connection, from the response to its upgrade to its end.
#[derive(Debug)]
pub(crate) struct Connection {
    sandbox: Sandbox,
    channel: Arc<str>,
    link: Arc<Link>,
}

/// Why a socket ends.
enum End {
    /// The client is gone, or the connection is to be cut.
    Gone,
    /// A close frame with this code is to be sent.
    Close(u16),
    /// Nothing is sent or read any more, until the client goes.
    Silent,
}

impl Connection {
    /// Connects a channel, if it is still there.
    pub(crate) fn open(sandbox: &Sandbox, channel: &str) -> Option<Self> {
        let link = sandbox.lock().channels.connect(channel, Instant::now())?;
        Some(Self {
            sandbox: sandbox.clone(),
            channel: channel.into(),
            link,
        })
    }

    /// Serves the WebSocket until its end, or until `ended`.
    pub(crate) async fn serve(&self, upgrade: OnUpgrade, ended: watch::Receiver<bool>) {
        match upgrade.await {
            Ok(upgraded) => self.run(TokioIo::new(upgraded), ended).await,
            Err(error) => tracing::debug!(%error, "no upgrade"),
        }
    }

    pub(super) async fn run(
        &self,
        io: impl AsyncRead + AsyncWrite + Unpin,
        mut ended: watch::Receiver<bool>,
    ) {
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .write_buffer_size(BUFFER)
            .max_message_size(Some(MAX_TEXT))
            .max_frame_size(Some(MAX_TEXT));
        let mut socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
        self.sandbox.lock().opened(&self.channel);
        match self.talk(&mut socket, &mut ended).await {
            End::Gone => {}
            End::Close(code) => self.close(&mut socket, code).await,
            End::Silent => self.be_silent(socket.into_inner(), &mut ended).await,
        }
    }

    async fn talk<S>(
        &self,
        socket: &mut WebSocketStream<S>,
        ended: &mut watch::Receiver<bool>,
    ) -> End
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let every = self.sandbox.shared.settings.heartbeat;
        let mut heartbeat = interval_at(Instant::now() + every, every);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if let Err(end) = self.write(socket).await {
                return end;
            }
            tokio::select! {
                () = self.news() => {}
                _ = heartbeat.tick() => self.sandbox.lock().heartbeat(&self.channel),
                () = self.expired() => {}
                _ = ended.wait_for(|ended| *ended) => return End::Close(GOING_AWAY),
                read = socket.next() => match read {
                    Some(Ok(Message::Text(text))) => {
                        let settings = &self.sandbox.shared.settings;
                        self.sandbox.lock().receive(&self.channel, &text, settings);
                    }
                    Some(Ok(_)) => {}
                    Some(Err(Error::Capacity(_))) => return End::Close(TOO_BIG),
                    Some(Err(_)) | None => return End::Gone,
                },
            }
        }
    }

    /// Writes what is due.
    async fn write<S>(&self, socket: &mut WebSocketStream<S>) -> Result<(), End>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        while let Some(frame) = self.link.pop(Instant::now()) {
            let message = match frame {
                Frame::Text(text) => Message::text(text),
                Frame::Binary(bytes) => Message::binary(bytes),
                Frame::Huge(bytes) => Message::text("x".repeat(bytes)),
                Frame::Close(code) => return Err(End::Close(code)),
                Frame::Cut => return Err(End::Gone),
                Frame::Silence(None) => return Err(End::Silent),
                Frame::Silence(Some(length)) => {
                    self.in_time(socket.flush()).await?;
                    self.pause(length).await?;
                    continue;
                }
            };
            self.in_time(socket.feed(message)).await?;
        }
        self.in_time(socket.flush()).await
    }

    /// Waits for a write, unless the client takes it too slowly.
    async fn in_time(&self, write: impl Future<Output = Result<(), Error>>) -> Result<(), End> {
        tokio::select! {
            written = write => written.map_err(|_| End::Gone),
            () = self.link.abort.notified() => Err(End::Gone),
            () = sleep(WRITE_TIMEOUT) => Err(End::Gone),
        }
    }

    /// Neither writes nor reads for a time. What comes meanwhile is lost.
    async fn pause(&self, length: Duration) -> Result<(), End> {
        self.link.set_silent(true);
        let ended = timeout(length, self.ended()).await;
        self.link.set_silent(false);
        match ended {
            Ok(end) => Err(end),
            Err(_) => Ok(()),
        }
    }

    /// Waits until the connection is to be ended.
    async fn ended(&self) -> End {
        loop {
            match self.link.pop_end(Instant::now()) {
                Some(Frame::Close(code)) => return End::Close(code),
                Some(_) => return End::Gone,
                None => self.news().await,
            }
        }
    }

    /// Waits until there may be something to do.
    async fn news(&self) {
        let due = self.link.due();
        tokio::select! {
            () = self.link.wake.notified() => {}
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
        }
    }

    /// Waits until the channel has expired, and removes it, which closes the socket.
    async fn expired(&self) {
        let expiry = {
            let mut state = self.sandbox.lock();
            let channel = state.channels.get(&self.channel, Instant::now());
            channel.map(|channel| channel.expiry)
        };
        match expiry {
            Some(expiry) => sleep_until(expiry).await,
            // Its close frame is in the link.
            None => std::future::pending().await,
        }
    }

    /// Sends a close frame, and waits until the client answers it.
    async fn close<S>(&self, socket: &mut WebSocketStream<S>, code: u16)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let frame = CloseFrame {
            code: CloseCode::from(code),
            reason: "".into(),
        };
        if self.in_time(socket.close(Some(frame))).await.is_ok() {
            let answered = async { while let Some(Ok(_)) = socket.next().await {} };
            let _ = timeout(CLOSE_TIMEOUT, answered).await;
        }
    }

    /// Takes what the client sends, and answers nothing, until it goes.
    async fn be_silent(&self, mut io: impl AsyncRead + Unpin, ended: &mut watch::Receiver<bool>) {
        self.link.set_silent(true);
        let mut buffer = [0; 1024];
        let gone = async { while io.read(&mut buffer).await.is_ok_and(|read| read > 0) {} };
        tokio::select! {
            () = gone => {}
            _ = self.ended() => {}
            () = self.until_expired() => {}
            _ = ended.wait_for(|ended| *ended) => {}
        }
    }

    async fn until_expired(&self) {
        self.expired().await;
        self.sandbox
            .lock()
            .channels
            .get(&self.channel, Instant::now());
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut state = self.sandbox.lock();
        let now = Instant::now();
        state.channels.disconnected(&self.channel, &self.link, now);
    }
}
