//! The command `call`: a client that makes one call to a running gateway.

mod channel;
pub mod codec;
mod deadline;
mod id_reader;
mod json;
mod prepare;
mod status_text;
mod stream;
mod tls;

use std::fmt::{self, Display};
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::Args;
use prost::Message;
use prost_reflect::{DynamicMessage, MethodDescriptor};
use tonic::{Request, Status};

use super::exit::{self, EXIT_USAGE};
use super::runtime;
use channel::Client;
use deadline::{Deadline, RESPONSE};
use prepare::PreparedCall;
use status_text::status_text;
use tls::TlsArgs;

/// The flags of `call`.
#[derive(Debug, Clone, Args)]
pub struct CallArgs {
    /// The RPC, such as GetUserPresence
    rpc: String,

    /// The request as JSON; `-` reads it from the standard input
    #[arg(default_value = "{}")]
    request: String,

    /// The address of the gateway; `https://` before it, or any of the TLS flags, selects TLS
    #[arg(long, default_value = "127.0.0.1:50051")]
    address: String,

    /// The bearer token, without the word `Bearer`; the variable keeps it out of the list of
    /// processes
    #[arg(long, env = "PRESENCE_GATEWAY_TOKEN", hide_env_values = true)]
    token: Option<Token>,

    /// How long to wait for the response [default: 30s; no limit for a stream]
    #[arg(long, value_name = "DURATION")]
    deadline: Option<String>,

    /// For a stream: a file with an id on each line; `-` reads them from the standard input
    #[arg(long, value_name = "FILE")]
    ids: Option<String>,

    #[command(flatten)]
    tls: TlsArgs,
}

/// A bearer token, which `Debug` hides.
#[derive(Clone)]
struct Token(String);

impl From<String> for Token {
    fn from(token: String) -> Self {
        Self(token)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// Runs `call`: prints the response as JSON to the standard output, or an
/// error with its details to the standard error stream.
#[must_use]
pub fn call(args: &CallArgs) -> ExitCode {
    let prepared = match PreparedCall::new(args) {
        Ok(prepared) => prepared,
        Err(problem) => {
            report(problem);
            return EXIT_USAGE.into();
        }
    };
    exit::exit_code(runtime::run(1, async { Ok(send(prepared).await) }))
}

fn report(problem: impl Display) {
    let _ = writeln!(io::stderr(), "presence-gateway call: {problem}");
}

async fn send(call: PreparedCall) -> ExitCode {
    let (method, mut request) = (call.method, call.request);
    let deadline = Deadline::after(call.timeout);
    let connected = deadline.limit("there was a connection", call.gateway.connect());
    let response = match connected.await {
        Ok(client) => {
            deadline.set_timeout(&mut request);
            if method.is_client_streaming() {
                return stream::run(client, &method, request, call.ids, deadline).await;
            }
            deadline
                .limit(RESPONSE, unary(client, &method, request))
                .await
        }
        Err(status) => Err(status),
    };
    match response {
        Ok(response) => match writeln!(io::stdout(), "{response}") {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                report(format_args!("cannot write the response: {error}"));
                ExitCode::FAILURE
            }
        },
        Err(status) => {
            let _ = write!(io::stderr(), "{}", status_text(&status));
            ExitCode::FAILURE
        }
    }
}

async fn unary(
    mut client: Client,
    method: &MethodDescriptor,
    request: Request<DynamicMessage>,
) -> Result<String, Status> {
    let request = request.map(|request| request.encode_to_vec());
    let path = channel::path(method)?;
    let response = client.grpc.unary(request, path, codec::Raw).await;
    let response = response.map_err(|status| client.explain(status))?;
    let response = DynamicMessage::decode(method.output(), response.into_inner().as_slice())
        .map_err(|error| Status::internal(format!("the response cannot be decoded: {error}")))?;
    json::to_json(&response, io::stdout().is_terminal())
        .map_err(|error| Status::internal(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_debug_text_of_a_token_does_not_show_it() {
        assert_eq!(format!("{:?}", Token("secret".to_owned())), "…");
    }
}
