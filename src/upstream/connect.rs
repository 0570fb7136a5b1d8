//! Bounds each phase of making a connection, and notes which connections are new.
//!
//! reqwest makes connections as a whole, and its `connect_timeout` bounds all
//! phases together. Each of them waits for another party, so each has a bound of
//! its own here, and the error names the phase. The hooks that reqwest offers
//! show where a phase begins: the resolver, and the TLS session store. The
//! call's deadline bounds them all.

use std::cell::Cell;
use std::collections::HashSet;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::Extensions;
use hyper_util::client::legacy::connect::{Connection, HttpInfo};
use parking_lot::Mutex;
use rustls::NamedGroup;
use rustls::client::{
    ClientSessionMemoryCache, ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue,
};
use rustls::pki_types::ServerName;
use tokio::time::{Instant, sleep_until};
use tower::{Layer, Service};

use super::resolve::{AddressOrder, LOOKUP_TIMEOUT};

/// How long an address may take to accept. One that is there does so within
/// milliseconds; a lost packet is sent again after one second.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a proxy may take to open a tunnel, which no hook tells from the
/// TCP connect. It looks up a name for that, with name servers that may be
/// silent for 5 s, and connects.
pub const TUNNEL_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the TLS handshake may take: two round trips, and the signature of
/// a server under load.
pub const TLS_TIMEOUT: Duration = Duration::from_secs(10);

/// How many servers' TLS sessions are remembered: the upstream's alone, under
/// its name and its addresses.
const TLS_SESSIONS: usize = 32;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

tokio::task_local! {
    /// The phase of the connection that is being made, and its start.
    static PHASE: Cell<(Phase, Instant)>;
}

/// A phase of making a connection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Phase {
    Lookup,
    Tcp,
    Tls,
}

impl Phase {
    /// Notes that the connection of this task begins this phase.
    pub(super) fn begin(self) {
        // Outside of a connection, in a test, nothing waits for it.
        let _ = PHASE.try_with(|phase| phase.set((self, Instant::now())));
    }
}

/// Makes reqwest's connections observe the bounds.
#[derive(Debug, Clone)]
pub(super) struct ConnectLayer {
    /// The host and port that TCP connects to: the proxy's, where there is one.
    pub peer: Arc<str>,
    /// Whether a tunnel is opened after the TCP connect.
    pub has_tunnel: bool,
    pub order: AddressOrder,
    pub new_connections: NewConnections,
}

impl<S> Layer<S> for ConnectLayer {
    type Service = BoundedConnect<S>;

    fn layer(&self, inner: S) -> Self::Service {
        BoundedConnect {
            inner,
            layer: self.clone(),
        }
    }
}

/// A connector whose phases are bounded.
#[derive(Debug, Clone)]
pub(super) struct BoundedConnect<S> {
    inner: S,
    layer: ConnectLayer,
}

impl<S, R> Service<R> for BoundedConnect<S>
where
    S: Service<R, Error = BoxError>,
    S::Future: Send + 'static,
    S::Response: Connection,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<S::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, target: R) -> Self::Future {
        let connecting = self.inner.call(target);
        let layer = self.layer.clone();
        // An address instead of a name needs no lookup.
        let phase = Cell::new((Phase::Tcp, Instant::now()));
        Box::pin(PHASE.scope(phase, async move {
            let connection = layer.bound(connecting).await?;
            layer.new_connections.insert(&connection);
            Ok(connection)
        }))
    }
}

impl ConnectLayer {
    async fn bound<C>(
        &self,
        connecting: impl Future<Output = Result<C, BoxError>>,
    ) -> Result<C, BoxError> {
        let mut connecting = pin!(connecting);
        let mut timer = pin!(sleep_until(Instant::now()));
        poll_fn(|context| {
            if let Poll::Ready(result) = connecting.as_mut().poll(context) {
                return Poll::Ready(result);
            }
            let (phase, begun) = PHASE.with(Cell::get);
            let end = begun + self.timeout(phase);
            if timer.deadline() != end {
                timer.as_mut().reset(end);
            }
            timer.as_mut().poll(context).map(|()| Err(self.late(phase)))
        })
        .await
    }

    fn timeout(&self, phase: Phase) -> Duration {
        match phase {
            // The resolver's own bound ends it before.
            Phase::Lookup => LOOKUP_TIMEOUT * 2,
            Phase::Tcp if self.has_tunnel => CONNECT_TIMEOUT + TUNNEL_TIMEOUT,
            Phase::Tcp => CONNECT_TIMEOUT,
            Phase::Tls => TLS_TIMEOUT,
        }
    }

    fn late(&self, phase: Phase) -> BoxError {
        let (peer, timeout) = (&self.peer, self.timeout(phase));
        let why = match phase {
            Phase::Lookup => format!("the name lookup for {peer} took longer than {timeout:?}"),
            Phase::Tcp => {
                // The next attempt does not begin with the same address.
                self.order.advance();
                let tunnel = if self.has_tunnel {
                    " and its answer to CONNECT"
                } else {
                    ""
                };
                format!("TCP connect to {peer}{tunnel} took longer than {timeout:?}")
            }
            Phase::Tls if self.has_tunnel => {
                format!("the TLS handshake through the proxy {peer} took longer than {timeout:?}")
            }
            Phase::Tls => format!("the TLS handshake with {peer} took longer than {timeout:?}"),
        };
        io::Error::new(io::ErrorKind::TimedOut, why).into()
    }
}

/// The connections of one client that have not answered yet, by their local
/// and remote addresses.
#[derive(Debug, Clone, Default)]
pub(super) struct NewConnections(Arc<Mutex<HashSet<(SocketAddr, SocketAddr)>>>);

impl NewConnections {
    fn insert(&self, connection: &impl Connection) {
        let mut extensions = Extensions::new();
        connection.connected().get_extras(&mut extensions);
        if let Some(addresses) = addresses(&extensions) {
            self.0.lock().insert(addresses);
        }
    }

    /// Whether a response with these extensions is the first of its
    /// connection; to be called once for each response.
    pub(super) fn remove(&self, extensions: &Extensions) -> bool {
        addresses(extensions).is_some_and(|addresses| self.0.lock().remove(&addresses))
    }
}

fn addresses(extensions: &Extensions) -> Option<(SocketAddr, SocketAddr)> {
    let info = extensions.get::<HttpInfo>()?;
    Some((info.local_addr(), info.remote_addr()))
}

/// Remembers TLS sessions, and notes where a handshake begins: a client asks
/// for the hint on the key exchange before it writes its first message.
#[derive(Debug)]
pub(super) struct SessionStore(ClientSessionMemoryCache);

impl SessionStore {
    pub(super) fn new() -> Self {
        Self(ClientSessionMemoryCache::new(TLS_SESSIONS))
    }
}

impl ClientSessionStore for SessionStore {
    fn set_kx_hint(&self, server: ServerName<'static>, group: NamedGroup) {
        self.0.set_kx_hint(server, group);
    }

    fn kx_hint(&self, server: &ServerName<'_>) -> Option<NamedGroup> {
        Phase::Tls.begin();
        self.0.kx_hint(server)
    }

    fn set_tls12_session(&self, server: ServerName<'static>, session: Tls12ClientSessionValue) {
        self.0.set_tls12_session(server, session);
    }

    fn tls12_session(&self, server: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.0.tls12_session(server)
    }

    fn remove_tls12_session(&self, server: &ServerName<'static>) {
        self.0.remove_tls12_session(server);
    }

    fn insert_tls13_ticket(&self, server: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        self.0.insert_tls13_ticket(server, ticket);
    }

    fn take_tls13_ticket(&self, server: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.0.take_tls13_ticket(server)
    }
}

#[cfg(test)]
mod tests;
