//! The upgrade of a request to the WebSocket of a channel.

use std::sync::Arc;

use axum::response::Response;
use http::{Request, StatusCode};
use hyper::upgrade::OnUpgrade;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::handshake::server::create_response;

use super::socket::Connection;
use crate::Sandbox;
use crate::api_error::ApiError;
use crate::query::decode;
use crate::reply::Reply;
use crate::request::ReceivedRequest;

/// What the journal calls it.
pub(crate) const NAME: &str = "websocket";

/// A response extension: the connection becomes this WebSocket.
#[derive(Clone)]
pub(crate) struct Upgrade(Arc<Mutex<Option<(Connection, OnUpgrade)>>>);

impl Upgrade {
    /// Serves the WebSocket until its end, or until `ended`.
    pub(crate) async fn serve(self, ended: watch::Receiver<bool>) {
        let both = self.0.lock().take();
        if let Some((connection, on_upgrade)) = both {
            connection.serve(on_upgrade, ended).await;
        }
    }
}

/// The id of the channel whose WebSocket a request is for.
pub(crate) fn channel(request: &ReceivedRequest) -> Option<String> {
    let id = request.uri.path().strip_prefix("/channels/")?;
    (!id.contains('/')).then(|| decode(id))
}

/// Checks a request for a WebSocket; the reply is the end of the handshake.
///
/// 404 for a channel that is not there, 401 if its token was revoked **[A: the vendor's
/// Swift client acts on it]**. Which status the vendor has for a request that is
/// no upgrade is not known.
pub(crate) fn accept(
    sandbox: &Sandbox,
    request: &ReceivedRequest,
    id: &str,
) -> Result<Reply, ApiError> {
    {
        let mut state = sandbox.lock();
        let state = &mut *state;
        let Some(channel) = state.channels.get(id, Instant::now()) else {
            return Err(ApiError::not_found("Channel", id));
        };
        if state.revoked.contains(channel.token) {
            return Err(ApiError::bad_credentials());
        }
    }
    let mut handshake = Request::new(());
    *handshake.method_mut() = request.method.clone();
    *handshake.version_mut() = request.version;
    handshake.headers_mut().clone_from(&request.headers);
    let response = create_response(&handshake).map_err(|error| {
        let message = format!("This is a WebSocket, and the request is no upgrade: {error}");
        ApiError::new(400, "bad.request", &message)
    })?;
    let header = |name: &'static str| {
        let value = response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok());
        (name, value.unwrap_or_default().to_owned())
    };
    Ok(Reply {
        status: response.status().as_u16(),
        headers: ["connection", "upgrade", "sec-websocket-accept"]
            .map(header)
            .into(),
        body: None,
    })
}

/// Connects the channel of a request whose response accepts its upgrade.
pub(crate) fn connect(
    sandbox: &Sandbox,
    request: &ReceivedRequest,
    mut response: Response,
    on_upgrade: Option<OnUpgrade>,
) -> Response {
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return response;
    }
    let connection = channel(request).and_then(|id| Connection::open(sandbox, &id));
    if let Some(both) = connection.zip(on_upgrade) {
        let upgrade = Upgrade(Arc::new(Mutex::new(Some(both))));
        response.extensions_mut().insert(upgrade);
    }
    response
}
