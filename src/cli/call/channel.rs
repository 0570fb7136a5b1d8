//! The connection to the gateway.

use std::time::Duration;

use http::uri::PathAndQuery;
use prost_reflect::MethodDescriptor;
use tonic::Status;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};

use super::tls::TlsArgs;
use crate::tls::dial::H2Connector;

/// How long a connection attempt may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Where the gateway is, and how to connect to it.
pub(super) struct Gateway {
    endpoint: Endpoint,
    tls: Option<H2Connector>,
}

impl Gateway {
    /// The gateway at `--address`.
    pub(super) fn new(address: &str, flags: &TlsArgs) -> Result<Self, String> {
        let given = flags.first_given();
        let (url, is_secure) = match address.split_once("://") {
            Some(("http", _)) => (address.to_owned(), false),
            Some(("https", _)) => (address.to_owned(), true),
            Some(_) => {
                return Err(format!(
                    "--address: `{address}` must begin with `https://` or `http://`, or with the \
                     host"
                ));
            }
            None if given.is_some() => (format!("https://{address}"), true),
            None => (format!("http://{address}"), false),
        };
        let tls = match given {
            Some(flag) if !is_secure => {
                return Err(format!(
                    "{flag}: --address `{address}` is plain http; begin it with `https://`"
                ));
            }
            _ => is_secure.then(|| flags.connector()).transpose()?,
        };
        let endpoint = Endpoint::from_shared(url)
            .map_err(|_| format!("--address: `{address}` is not `host:port`"))?
            .connect_timeout(CONNECT_TIMEOUT);
        Ok(Self { endpoint, tls })
    }

    /// Connects.
    pub(super) async fn connect(self) -> Result<Client, Status> {
        let has_tls = self.tls.is_some();
        let connected = match self.tls {
            None => self.endpoint.connect().await,
            Some(tls) => {
                let connector = tower::service_fn(move |uri| tls.clone().connect(uri));
                self.endpoint.connect_with_connector(connector).await
            }
        };
        let channel = connected.map_err(|error| {
            let causes = causes(&error).join(": ");
            Status::unavailable(format!("no connection to the gateway: {causes}"))
        })?;
        let mut grpc = Grpc::new(channel).max_decoding_message_size(usize::MAX);
        let ready = grpc.ready().await;
        ready.map_err(|error| Status::unavailable(error.to_string()))?;
        Ok(Client { grpc, has_tls })
    }
}

/// A client with a connection that is ready for one call.
pub(super) struct Client {
    pub grpc: Grpc<Channel>,
    has_tls: bool,
}

impl Client {
    /// Replaces the status of a connection that broke by one that says why. A
    /// status that the gateway sent stays as it is.
    pub(super) fn explain(&self, status: Status) -> Status {
        let causes = causes(&status);
        if causes.is_empty() {
            return status;
        }
        let hint = if self.has_tls {
            "the gateway may require a certificate (--tls-cert)"
        } else {
            "the gateway may require TLS (`https://`)"
        };
        let causes = causes.join(": ");
        Status::unavailable(format!(
            "the connection to the gateway ended before the response: {causes}; {hint}"
        ))
    }
}

/// The path of an RPC.
pub(super) fn path(method: &MethodDescriptor) -> Result<PathAndQuery, Status> {
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    path.parse()
        .map_err(|_| Status::internal("the RPC has no path"))
}

/// The causes of an error, each as text.
fn causes(error: &dyn std::error::Error) -> Vec<String> {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    let mut causes: Vec<String> = causes.map(ToString::to_string).collect();
    // Some errors only wrap another, and print the same text.
    causes.dedup();
    causes
}
