//! The client of a connection to the gateway.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use http::uri::{InvalidUri, PathAndQuery};
use http::{HeaderMap, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use prost_reflect::MethodDescriptor;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tower::Service;

use super::address::Address;
use super::deadline::Deadline;
use super::diagnosis::{self, Spoken};
use super::dial::dial;
use super::failure::Failure;
use super::recorded::Record;
use super::tls::{ClientTls, TlsArgs};

/// Where the gateway is, and how to connect to it.
pub(super) struct Gateway {
    pub address: Address,
    pub tls: Option<ClientTls>,
}

impl Gateway {
    /// The gateway at an address, given by this flag or variable.
    pub(super) fn new(setting: &str, given: &str, flags: &TlsArgs) -> Result<Self, Vec<String>> {
        let address = Address::parse(given).map_err(|wrong| vec![format!("{setting}: {wrong}")])?;
        let flag = flags.first_given();
        let tls = match (address.is_secure, flag) {
            (Some(false), Some(flag)) => {
                return Err(vec![format!(
                    "{flag}: {setting} `{given}` selects no TLS; begin it with `https://`"
                )]);
            }
            (Some(true), _) | (None, Some(_)) => Some(flags.client()?),
            (_, None) => None,
        };
        Ok(Self { address, tls })
    }

    /// The URI of the gateway.
    pub(super) fn uri(&self) -> Result<Uri, Status> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let uri = format!("{scheme}://{}", self.address.authority());
        uri.parse()
            .map_err(|error: InvalidUri| Status::internal(error.to_string()))
    }

    /// Connects.
    pub(super) async fn connect(self, deadline: Deadline) -> Result<Client, Failure> {
        let (stream, record) = dial(&self, deadline).await?;
        let endpoint = Endpoint::from(self.uri()?);
        // For one connection: there is one call.
        let mut stream = Some(TokioIo::new(stream));
        let connector = tower::service_fn(move |_| {
            let stream = stream.take();
            async { stream.ok_or_else(|| io::Error::from(io::ErrorKind::ConnectionAborted)) }
        });
        let head = Arc::default();
        let connected = endpoint.connect_with_connector(connector).await;
        let channel = match connected {
            Ok(channel) => channel,
            Err(error) => return Err(diagnosis::broken(&self, &record, &causes(&error)).await),
        };
        let watched = Watched {
            channel,
            head: Arc::clone(&head),
        };
        let mut grpc = Grpc::new(watched).max_decoding_message_size(usize::MAX);
        if let Err(error) = grpc.ready().await {
            return Err(diagnosis::broken(&self, &record, &causes(&error)).await);
        }
        Ok(Client {
            grpc,
            gateway: self,
            record,
            head,
        })
    }
}

/// A client with a connection that is ready for one call.
pub(super) struct Client {
    pub grpc: Grpc<Watched>,
    gateway: Gateway,
    record: Record,
    head: Arc<Mutex<Option<Head>>>,
}

impl Client {
    /// Explains a status that the gateway did not send: that of a connection that
    /// broke, of a peer that does not speak gRPC, and of a deadline without a sign
    /// of life. A status that the gateway sent stays as it is.
    pub(super) async fn explain(&self, status: Status) -> Failure {
        if let Some(head) = self.head.lock().as_ref().filter(|head| !head.is_grpc()) {
            return diagnosis::not_grpc(&self.gateway, head);
        }
        let causes = causes(&status);
        if !causes.is_empty() {
            return diagnosis::broken(&self.gateway, &self.record, &causes).await;
        }
        let is_silent = Spoken::of(&self.record.first()) == Spoken::Nothing;
        if status.code() == Code::DeadlineExceeded && is_silent {
            return diagnosis::mute(&self.gateway, status);
        }
        Failure::from(status)
    }
}

/// The head of a response.
#[derive(Debug)]
pub(super) struct Head {
    pub status: StatusCode,
    pub headers: HeaderMap,
}

impl Head {
    /// The value of a header as text.
    pub(super) fn header(&self, name: http::HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn is_grpc(&self) -> bool {
        let kind = self.header(http::header::CONTENT_TYPE);
        let is_grpc = kind.is_some_and(|kind| kind.starts_with("application/grpc"));
        is_grpc && self.status == StatusCode::OK
    }
}

/// A channel that keeps the head of the response, which tonic drops.
#[derive(Debug, Clone)]
pub(super) struct Watched {
    channel: Channel,
    head: Arc<Mutex<Option<Head>>>,
}

impl Service<http::Request<Body>> for Watched {
    type Response = http::Response<Body>;
    type Error = tonic::transport::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.channel.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let (response, kept) = (self.channel.call(request), Arc::clone(&self.head));
        Box::pin(async move {
            let response = response.await?;
            *kept.lock() = Some(Head {
                status: response.status(),
                headers: response.headers().clone(),
            });
            Ok(response)
        })
    }
}

/// The path of an RPC.
pub(super) fn path(method: &MethodDescriptor) -> Result<PathAndQuery, Status> {
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    path.parse()
        .map_err(|_| Status::internal("the RPC has no path"))
}

/// The causes of an error, each as text.
fn causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    let mut causes: Vec<String> = causes.map(ToString::to_string).collect();
    // Some errors only wrap another, and print the same text.
    causes.dedup();
    causes.join(": ")
}
