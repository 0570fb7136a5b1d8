//! The client of the command line: one call to a running gateway.

pub mod codec;
mod deadline;
mod ids;
mod stream;
mod tls;
mod told;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use prost::Message;
use prost_reflect::{DynamicMessage, MethodDescriptor, SerializeOptions};
use tokio::runtime;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::args::parse_duration;
use crate::cli::exit::EXIT_USAGE;
use crate::proto;
use crate::tls::dial::H2Connector;
use deadline::{ANSWER, Deadline};
use ids::{Ids, STANDARD_INPUT};
use tls::TlsArgs;

/// The flags of `call`.
#[derive(Debug, Clone, Args)]
pub struct CallArgs {
    /// The RPC, such as GetUserPresence
    rpc: String,

    /// The request as JSON; `-` reads it from the standard input
    #[arg(default_value = "{}")]
    request: String,

    /// The address of the gateway; TLS is spoken if it begins with `https://`, or if one of the
    /// flags of TLS is given
    #[arg(long, default_value = "127.0.0.1:50051")]
    address: String,

    /// The bearer token, without the word `Bearer`; the environment keeps it
    /// out of the list of processes
    #[arg(long, env = "PRESENCE_GATEWAY_TOKEN", hide_env_values = true)]
    token: Option<String>,

    /// How long to wait for the answer [default: 30s, and any time for a stream]
    #[arg(long, value_name = "DURATION")]
    deadline: Option<String>,

    /// For a stream: a file with an id on each line; `-` reads them from the standard input
    #[arg(long, value_name = "FILE")]
    ids: Option<String>,

    #[command(flatten)]
    tls: TlsArgs,
}

/// Makes the call: the answer goes to the standard output as JSON, an error
/// with its details to the standard error stream.
#[must_use]
pub fn call(args: &CallArgs) -> ExitCode {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(make(args));
            // Not waiting for a lookup of a name, which cannot be cancelled.
            runtime.shutdown_background();
            code
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "presence-gateway call: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn make(args: &CallArgs) -> ExitCode {
    match prepare(args) {
        Err(problem) => {
            let _ = writeln!(io::stderr(), "presence-gateway call: {problem}");
            EXIT_USAGE.into()
        }
        Ok(prepared) => send(prepared).await,
    }
}

/// A call that is ready to be made.
struct Prepared {
    gateway: Gateway,
    method: MethodDescriptor,
    request: Request<DynamicMessage>,
    ids: Option<Ids>,
    /// How long the answer is waited for, if not for ever.
    time: Option<Duration>,
}

/// Where the gateway is, and how it is spoken to.
type Gateway = (Endpoint, Option<H2Connector>);

fn prepare(args: &CallArgs) -> Result<Prepared, String> {
    let method = method(&args.rpc)?;
    if args.request == STANDARD_INPUT && args.ids.as_deref() == Some(STANDARD_INPUT) {
        return Err("--ids: the request is read from the standard input already".to_owned());
    }
    let json = match args.request.as_str() {
        STANDARD_INPUT => io::read_to_string(io::stdin()).map_err(|error| error.to_string())?,
        json => json.to_owned(),
    };
    let mut json = serde_json::Deserializer::from_str(&json);
    let request = DynamicMessage::deserialize(method.input(), &mut json)
        .and_then(|request| json.end().map(|()| request))
        .map_err(|error| format!("the request is not a {}: {error}", method.input().name()))?;
    let is_stream = method.is_client_streaming();
    let time = match &args.deadline {
        Some(raw) => {
            Some(parse_duration(raw).map_err(|wrong| format!("--deadline: `{raw}` {wrong}"))?)
        }
        None => (!is_stream).then_some(DEADLINE),
    };
    let ids = match &args.ids {
        Some(file) if is_stream => {
            Some(Ids::of(file).map_err(|error| format!("--ids: `{file}`: {error}"))?)
        }
        Some(_) => return Err(format!("--ids: {} is no stream", method.name())),
        None if is_stream && !names_ids(&request) => {
            return Err(format!(
                "--ids: {} needs ids: give a file with one on each line, `-` for the standard \
                 input, or `ids` in the request",
                method.name()
            ));
        }
        None => None,
    };
    let (address, is_secure) = match args.address.split_once("://") {
        Some(("http", _)) => (args.address.clone(), false),
        Some(("https", _)) => (args.address.clone(), true),
        Some(_) => {
            return Err(format!(
                "--address: `{}` must begin with `https://` or `http://`, or with the host",
                args.address
            ));
        }
        None if args.tls.given().is_some() => (format!("https://{}", args.address), true),
        None => (format!("http://{}", args.address), false),
    };
    let secure = match args.tls.given() {
        Some(flag) if !is_secure => {
            return Err(format!(
                "{flag}: --address `{}` is plain http; begin it with `https://`",
                args.address
            ));
        }
        _ => is_secure.then(|| args.tls.read()).transpose()?,
    };
    let endpoint = Endpoint::from_shared(address)
        .map_err(|_| format!("--address: `{}` is not `host:port`", args.address))?
        .connect_timeout(CONNECT);

    let mut request = Request::new(request);
    if let Some(token) = &args.token {
        let mut value = AsciiMetadataValue::try_from(format!("Bearer {token}"))
            .map_err(|_| "the token holds what no header can".to_owned())?;
        value.set_sensitive(true);
        request.metadata_mut().insert("authorization", value);
    }
    Ok(Prepared {
        gateway: (endpoint, secure),
        method,
        request,
        ids,
        time,
    })
}

/// Whether the request of a stream has ids itself.
fn names_ids(request: &DynamicMessage) -> bool {
    let ids = request.get_field_by_name("ids");
    ids.is_some_and(|ids| ids.as_list().is_some_and(|ids| !ids.is_empty()))
}

/// How long an answer is waited for, unless the caller says otherwise.
const DEADLINE: Duration = Duration::from_secs(30);

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// Finds an RPC by its name, with or without its service.
fn method(name: &str) -> Result<MethodDescriptor, String> {
    let mut methods: Vec<_> = proto::methods().collect();
    let wanted = name.rsplit(['/', '.']).next().unwrap_or(name);
    if let Some(found) = methods.iter().position(|method| method.name() == wanted) {
        return Ok(methods.swap_remove(found));
    }
    let names: Vec<&str> = methods.iter().map(MethodDescriptor::name).collect();
    Err(format!(
        "there is no RPC `{name}`; there are\n  {}",
        names.join("\n  ")
    ))
}

async fn send(prepared: Prepared) -> ExitCode {
    let Prepared {
        gateway,
        method,
        mut request,
        ids,
        time,
    } = prepared;
    let is_secure = gateway.1.is_some();
    let deadline = Deadline::after(time);
    let connected = deadline.bound("there was a connection", connect(gateway));
    let answer = match connected.await {
        Ok(channel) => {
            deadline.set(&mut request);
            if method.is_client_streaming() {
                let call = (request, deadline);
                return stream::call(channel, &method, call, ids, is_secure).await;
            }
            let answer = unary(channel, &method, request, is_secure);
            deadline.bound(ANSWER, answer).await
        }
        Err(status) => Err(status),
    };
    match answer {
        Ok(answer) => {
            let _ = writeln!(io::stdout(), "{answer}");
            ExitCode::SUCCESS
        }
        Err(status) => {
            let _ = write!(io::stderr(), "{}", told::told(&status));
            ExitCode::FAILURE
        }
    }
}

async fn connect((endpoint, secure): Gateway) -> Result<Channel, Status> {
    let connected = match secure {
        None => endpoint.connect().await,
        Some(secure) => {
            let connector = tower::service_fn(move |uri| secure.clone().connect(uri));
            endpoint.connect_with_connector(connector).await
        }
    };
    connected.map_err(|error| {
        let causes = causes(&error).join(": ");
        Status::unavailable(format!("no connection to the gateway: {causes}"))
    })
}

async fn grpc(channel: Channel) -> Result<tonic::client::Grpc<Channel>, Status> {
    let mut client = tonic::client::Grpc::new(channel).max_decoding_message_size(usize::MAX);
    let ready = client.ready().await;
    ready.map_err(|error| Status::unavailable(error.to_string()))?;
    Ok(client)
}

fn path(method: &MethodDescriptor) -> Result<http::uri::PathAndQuery, Status> {
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    path.parse()
        .map_err(|_| Status::internal("the RPC has no path"))
}

async fn unary(
    channel: Channel,
    method: &MethodDescriptor,
    request: Request<DynamicMessage>,
    is_secure: bool,
) -> Result<String, Status> {
    let mut client = grpc(channel).await?;
    let request = request.map(|request| request.encode_to_vec());
    let answer = client.unary(request, path(method)?, codec::Raw).await;
    let answer = answer.map_err(|status| lost(status, is_secure))?;
    let answer = answer.into_inner();
    let answer = DynamicMessage::decode(method.output(), answer.as_slice())
        .map_err(|error| Status::internal(format!("the answer cannot be read: {error}")))?;
    json(&answer, io::stdout().is_terminal()).map_err(|error| Status::internal(error.to_string()))
}

/// Tells a connection that broke apart from what the gateway says.
fn lost(status: Status, is_secure: bool) -> Status {
    let causes = causes(&status);
    if causes.is_empty() {
        return status;
    }
    let hint = if is_secure {
        "the gateway may want a certificate (--tls-cert)"
    } else {
        "the gateway may speak TLS (`https://`)"
    };
    let causes = causes.join(": ");
    Status::unavailable(format!(
        "the connection to the gateway ended before the answer: {causes}; {hint}"
    ))
}

/// What lies behind an error, each in its own words.
fn causes(error: &dyn std::error::Error) -> Vec<String> {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    let mut causes: Vec<String> = causes.map(ToString::to_string).collect();
    // Some only hold another one, and say the same.
    causes.dedup();
    causes
}

/// The JSON of a message as the vendor would spell it: numbers are numbers.
fn json(message: &DynamicMessage, is_pretty: bool) -> serde_json::Result<String> {
    let mut json = Vec::new();
    let options = SerializeOptions::new().stringify_64_bit_integers(false);
    if is_pretty {
        message.serialize_with_options(&mut serde_json::Serializer::pretty(&mut json), &options)?;
    } else {
        message.serialize_with_options(&mut serde_json::Serializer::new(&mut json), &options)?;
    }
    String::from_utf8(json).map_err(serde::ser::Error::custom)
}
