//! A vendor that speaks HTTP/2 over TLS, frame by frame.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use parking_lot::Mutex;
use presence_gateway::tls::pem::{self, Identity};
use presence_gateway::tls::{VERSIONS, provider, roots};
use presence_gateway::upstream::client::ClientOptions;
use rustls::ServerConfig;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt, split};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::yield_now;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::Gateway;
use super::certificates::Authority;
use super::http2::{
    ACK, DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS, frame,
};
use super::raw_http::{PREFACE, RawVendor};

/// The vendor.
pub struct Http2Vendor {
    listener: RawVendor,
    authority: Authority,
    state: Arc<State>,
    exchanges: mpsc::UnboundedReceiver<Exchange>,
}

struct State {
    certificate: ServerConfig,
    /// What it offers by ALPN.
    offered: Mutex<Vec<&'static str>>,
    /// What becomes of new connections.
    handshakes: watch::Sender<Handshakes>,
    http1_requests: AtomicUsize,
    http2_connections: AtomicUsize,
    exchanges: mpsc::UnboundedSender<Exchange>,
}

/// What becomes of new connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handshakes {
    Complete,
    /// They wait for another state.
    Wait,
    /// The vendor closes the connection.
    Fail,
}

/// A request that waits for its response.
pub struct Exchange {
    /// The number of its connection, from 1.
    pub connection: usize,
    /// Its stream.
    pub stream: u32,
    frames: mpsc::UnboundedSender<Vec<u8>>,
    reset: oneshot::Receiver<u32>,
}

impl Exchange {
    /// Responds with 200 and this body.
    pub fn respond(&self, body: &str) {
        self.write(&[self.head(body.len()), self.end(body)]);
    }

    /// The head of a success with a body of this length.
    pub fn head(&self, length: usize) -> Vec<u8> {
        let length = length.to_string();
        let name = b"\0\x0econtent-length";
        let value = [&[u8::try_from(length.len()).unwrap()], length.as_bytes()].concat();
        // `:status: 200` of the static table.
        let fields = [&[0x88][..], name, &value].concat();
        frame(HEADERS, END_HEADERS, self.stream, &fields)
    }

    /// The last part of a body.
    pub fn end(&self, body: &str) -> Vec<u8> {
        frame(DATA, END_STREAM, self.stream, body.as_bytes())
    }

    /// Resets the stream with this code.
    pub fn reset(&self, code: u32) {
        self.write(&[frame(RST_STREAM, 0, self.stream, &code.to_be_bytes())]);
    }

    /// Announces that the streams after `last` are not processed, and others are.
    pub fn go_away(&self, last: u32) {
        let payload = [last.to_be_bytes(), 0_u32.to_be_bytes()].concat();
        self.write(&[frame(GOAWAY, 0, 0, &payload)]);
    }

    /// Closes the connection.
    pub fn close(&self) {
        self.write(&[]);
    }

    /// Writes frames to its connection, which ends if there are none.
    pub fn write(&self, frames: &[Vec<u8>]) {
        // The gateway may have closed the connection.
        let _ = self.frames.send(frames.concat());
    }

    /// Waits until the gateway resets the stream; returns its code.
    pub async fn until_reset(self) -> u32 {
        let reset = timeout(Duration::from_secs(20), self.reset);
        let reset = reset.await.expect("the gateway does not reset the stream");
        reset.expect("the connection ended before the stream was reset")
    }
}

impl Http2Vendor {
    /// Starts a vendor that offers these protocols.
    pub async fn start(offered: &[&'static str]) -> Self {
        let authority = Authority::new();
        let issued = authority.local();
        let chain = pem::certificates(issued.cert.as_bytes()).unwrap();
        let key = pem::key(issued.key.as_bytes()).unwrap();
        let Identity { chain, key } = Identity::new(chain, key).unwrap();
        let certificate = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(VERSIONS)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let (sender, exchanges) = mpsc::unbounded_channel();
        let state = Arc::new(State {
            certificate,
            offered: Mutex::new(offered.to_vec()),
            handshakes: watch::Sender::new(Handshakes::Complete),
            http1_requests: AtomicUsize::new(0),
            http2_connections: AtomicUsize::new(0),
            exchanges: sender,
        });
        let of_listener = Arc::clone(&state);
        let listener = RawVendor::start(move |stream| {
            let state = Arc::clone(&of_listener);
            async move { state.serve(stream).await }
        });
        Self {
            listener: listener.await,
            authority,
            state,
            exchanges,
        }
    }

    /// A gateway in front of it, which uses HTTP/2 if it is offered.
    pub async fn gateway(&self, http2: bool) -> Gateway {
        let authorities = pem::certificates(self.authority.pem.as_bytes()).unwrap();
        let options = ClientOptions {
            authorities: Some(roots(authorities).unwrap()),
            http2,
            ..ClientOptions::default()
        };
        let url = format!("https://{}", self.listener.address);
        Gateway::start_with_client(&url, options).await
    }

    /// Offers other protocols on new connections.
    pub fn offer(&self, offered: &[&'static str]) {
        *self.state.offered.lock() = offered.to_vec();
    }

    /// Changes what becomes of new connections.
    pub fn handshakes(&self, handshakes: Handshakes) {
        self.state.handshakes.send_replace(handshakes);
    }

    /// Waits for one connection more than there were.
    pub async fn next_connection(&self, before: usize) {
        let next = async {
            while self.listener.connections() <= before {
                yield_now().await;
            }
        };
        let next = timeout(Duration::from_secs(20), next).await;
        next.expect("the gateway opens no connection");
    }

    /// How many connections there were, with those that only negotiated.
    pub fn connections(&self) -> usize {
        self.listener.connections()
    }

    /// The next request by HTTP/2, after its last frame.
    pub async fn next(&mut self) -> Exchange {
        let next = timeout(Duration::from_secs(20), self.exchanges.recv()).await;
        next.expect("the gateway sends no request").unwrap()
    }

    /// How many requests it answered by HTTP/1.1.
    pub fn http1_requests(&self) -> usize {
        self.state.http1_requests.load(SeqCst)
    }

    /// How many connections spoke HTTP/2, without those that only negotiated.
    pub fn http2_connections(&self) -> usize {
        self.state.http2_connections.load(SeqCst)
    }

    /// Makes calls until one uses HTTP/2.
    pub async fn until_http2(&mut self, gateway: &Gateway) {
        loop {
            let call = gateway.call("GetPresenceSettings", json!({}));
            tokio::pin!(call);
            let exchange = tokio::select! {
                result = &mut call => {
                    result.unwrap();
                    continue;
                }
                exchange = self.exchanges.recv() => exchange.unwrap(),
            };
            exchange.respond("{}");
            call.await.unwrap();
            return;
        }
    }
}

impl State {
    async fn serve(&self, stream: TcpStream) {
        let mut handshakes = self.handshakes.subscribe();
        let decided = handshakes.wait_for(|it| *it != Handshakes::Wait).await;
        if *decided.unwrap() == Handshakes::Fail {
            return;
        }
        let mut config = self.certificate.clone();
        let offered = self.offered.lock().clone();
        config.alpn_protocols = offered.iter().map(|it| it.as_bytes().to_vec()).collect();
        let accepted = TlsAcceptor::from(Arc::new(config)).accept(stream).await;
        let Ok(stream) = accepted else { return };
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            self.serve_http2(stream).await;
        } else {
            self.serve_http1(stream).await;
        }
    }

    async fn serve_http1(&self, mut stream: TlsStream<TcpStream>) {
        let mut read = Vec::new();
        while stream.read_buf(&mut read).await.unwrap_or(0) > 0 {
            // The test sends no body by HTTP/1.1.
            if read.ends_with(b"\r\n\r\n") {
                read.clear();
                self.http1_requests.fetch_add(1, SeqCst);
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
                stream.write_all(answer).await.unwrap();
            }
        }
    }

    async fn serve_http2(&self, stream: TlsStream<TcpStream>) {
        let (mut read, mut write) = split(stream);
        let mut preface = [0; PREFACE.len()];
        if read.read_exact(&mut preface).await.is_err() {
            return;
        }
        let connection = self.http2_connections.fetch_add(1, SeqCst) + 1;
        let (frames, mut outgoing) = mpsc::unbounded_channel::<Vec<u8>>();
        // SETTINGS_MAX_CONCURRENT_STREAMS.
        let settings = [&3_u16.to_be_bytes()[..], &100_u32.to_be_bytes()].concat();
        let _ = frames.send(frame(SETTINGS, 0, 0, &settings));
        let reading = async {
            let mut resets = HashMap::new();
            while let Some(received) = Frame::read(&mut read).await {
                let Frame {
                    kind,
                    flags,
                    stream,
                    ref payload,
                } = received;
                match kind {
                    SETTINGS | PING if flags & ACK == 0 => {
                        let payload = if kind == PING { &payload[..] } else { &[] };
                        let _ = frames.send(frame(kind, ACK, 0, payload));
                    }
                    RST_STREAM => {
                        let code = u32::from_be_bytes(payload[..].try_into().unwrap());
                        let reset: Option<oneshot::Sender<u32>> = resets.remove(&stream);
                        // The test may not wait for it.
                        reset.map(|reset| reset.send(code));
                    }
                    HEADERS | DATA if flags & END_STREAM != 0 => {
                        let (sender, reset) = oneshot::channel();
                        resets.insert(stream, sender);
                        let _ = self.exchanges.send(Exchange {
                            connection,
                            stream,
                            frames: frames.clone(),
                            reset,
                        });
                    }
                    _ => {}
                }
            }
        };
        let writing = async {
            while let Some(bytes) = outgoing.recv().await {
                if bytes.is_empty() || write.write_all(&bytes).await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            () = reading => {}
            () = writing => {}
        }
    }
}
